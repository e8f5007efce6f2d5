package limit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// ours matches the names of this package's files, and of one that a killed process left half-written beside them.
const ours = `^([0-9a-f]{32}\.(bucket|usage|usage\.holds)(\.lock)?|\.ferry-.*\.tmp)$`

// Files lists the paths of what a folder holds of buckets, budgets and usage, locks included, in their order. All of
// them can be removed: what is lost is what they count. A folder that is not there holds none.
func Files(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{Text: "the folder of limits cannot be read", Err: err}
	}
	name := regexp.MustCompile(ours)
	var paths []string
	for _, entry := range entries {
		if name.MatchString(entry.Name()) && !entry.IsDir() {
			paths = append(paths, filepath.Join(folder, entry.Name()))
		}
	}
	return paths, nil
}
