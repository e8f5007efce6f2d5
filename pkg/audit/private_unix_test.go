//go:build unix

package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/pkg/state"
)

func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	l := newLog(path, 600)
	must(t, l.Write(t.Context(), Entry{}))
	for _, name := range Files(path) {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, err, info.Mode())
		}
	}
	link, open, folder := filepath.Join(dir, "link"), filepath.Join(dir, "open"), filepath.Join(dir, "folder")
	must(t, os.Symlink(path, link), os.WriteFile(open, nil, 0o640), os.Chmod(open, 0o640), os.Mkdir(folder, 0o700))
	for name, want := range map[string]string{
		link: "is a symbolic link", open: "can be read or written by others", folder: "cannot open",
		filepath.Join(dir, "missing", "audit.jsonl"): "cannot open",
	} {
		err := newLog(name, 600).Write(t.Context(), Entry{})
		var refused *state.Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// TestFullDisk checks that writing to a full disk returns an error.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer full.Close()
	if err := appendLine(full, []byte("{}\n")); err == nil {
		t.Error("a full disk took a line")
	}
}
