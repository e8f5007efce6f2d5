//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenAppend holds that two who have the same file open write behind each other, and that it is made for its owner
// alone.
func TestOpenAppend(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "log")
	var open []*os.File
	for range 2 {
		f, err := OpenAppend(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		open = append(open, f)
	}
	for i, line := range []string{"one\n", "two\n", "three\n"} {
		if _, err := open[i%2].WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "one\ntwo\nthree\n" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestOpenAppendRefuses holds that nothing is written where it would be read or would wait.
func TestOpenAppendRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(in("target"), nil, 0o600), os.WriteFile(in("group"), nil, 0o600), os.Chmod(in("group"), 0o620),
		os.Symlink("target", in("link")), os.Mkdir(in("folder"), 0o700), syscall.Mkfifo(in("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"group":       "can be read or written by others (mode 0620)",
		"link":        "is a symbolic link",
		"folder":      "cannot open: is a directory",
		"fifo":        "is not a regular file",
		"missing/log": "cannot open: no such file or directory",
	} {
		f, err := OpenAppend(in(name))
		var e *Error
		if f != nil || !errors.As(err, &e) || err.Error() != in(name)+": "+want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := os.Lstat(in("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

// TestOpenLockedRefuses holds that a file which is held is named, and that a link leads to no lock.
func TestOpenLockedRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	held, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := OpenLocked(path); err == nil || err.Error() != path+": another ferry is working with it" {
		t.Errorf("held: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("elsewhere", link); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := OpenLocked(link); !errors.As(err, &e) {
		t.Errorf("a link: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the link names was made: %v", err)
	}
}
