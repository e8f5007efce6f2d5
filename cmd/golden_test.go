package cmd_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/cmd"

	"github.com/spf13/cobra"
)

// update rewrites the golden files: go test ./cmd -run Golden -update.
var update = flag.Bool("update", false, "rewrite the golden files")

// helpPages are the pages that ferry can print about itself, by the name of their golden file.
func helpPages() map[string][]string {
	pages := map[string][]string{}
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		for _, child := range c.Commands() {
			switch {
			case child.IsAdditionalHelpTopicCommand():
				pages["topic-"+child.Name()] = []string{"help", child.Name()}
			case child.Name() != "help" && child.Name() != "completion" && !child.Hidden:
				walk(child, append(path[:len(path):len(path)], child.Name()))
			}
		}
		pages[strings.Join(append([]string{"ferry"}, path...)[min(1, len(path)):], "-")] = append(path[:len(path):len(path)], "--help")
	}
	walk(cmd.Commands(), nil)
	return pages
}

// TestGoldenHelp compares each help page with its golden file, and its width with that of a wide terminal.
func TestGoldenHelp(t *testing.T) {
	pages := helpPages()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "golden", "help", "*.txt"))
	check(t, err)
	for _, file := range files {
		errorIf(t, pages[strings.TrimSuffix(filepath.Base(file), ".txt")] == nil,
			"%s is of no page: got %d pages", file, len(pages))
	}
	for name, args := range pages {
		t.Run(name, func(t *testing.T) {
			r := ferry(t, nil, args...)
			for _, line := range strings.Split(r.stdout, "\n") {
				atMost(t, "columns of "+line, len([]rune(line)), 120)
			}
			r.exactly(0, r.stdout, "")
			golden(t, filepath.Join("help", name+".txt"), r.stdout)
		})
	}
}

// golden compares got with a file of testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("..", "testdata", "golden", name)
	if *update {
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(got), 0o644))
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%s is not current (%v; go test ./cmd -run Golden -update); got:\n%s", path, err, got)
	}
}
