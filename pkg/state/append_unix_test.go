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

// appending are the flags of a log.
const appending = os.O_RDWR | os.O_APPEND | os.O_CREATE

// TestOpenAppend holds that two who have the same file open write behind each other, and that it is made for its owner
// alone.
func TestOpenAppend(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "log")
	var open []*os.File
	for range 2 {
		f, err := OpenPrivate(path, appending)
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
		os.Symlink("target", in("link")), os.Mkdir(in("folder"), 0o700), syscall.Mkfifo(in("fifo"), 0o600),
		os.Link(in("target"), in("hard"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"group":       "can be read or written by others (mode 0620)",
		"link":        "is a symbolic link",
		"hard":        "is a hard link: the file has 2 names",
		"folder":      "cannot open: is a directory",
		"fifo":        "is not a regular file",
		"missing/log": "cannot open: no such file or directory",
	} {
		f, err := OpenPrivate(in(name), appending)
		var e *Error
		if f != nil || !errors.As(err, &e) || err.Error() != in(name)+": "+want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := os.Lstat(in("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

// TestOpenPrivate holds that what is refused is not changed, and that a file with a second name can be read.
func TestOpenPrivate(t *testing.T) {
	p := place{t, t.TempDir()}
	p.file("own", 0o600)
	p.file("readable", 0o644)
	p.file("twice", 0o600)
	p.file("foreign", 0o600)
	p.link("own", "link")
	p.link("absent", "dangling")
	if err := errors.Join(os.Link(p.in("twice"), p.in("hard")), syscall.Mkfifo(p.in("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const write = os.O_WRONLY | os.O_CREATE
	const itself = "name the file itself, not a link to it"
	tests := []struct {
		name       string
		flag       int
		text, hint string
	}{
		{"own", os.O_RDONLY, "", ""},
		{"own", write, "", ""},
		{"new", write, "", ""},
		{"absent", os.O_RDWR, "cannot open: no such file or directory", ""},
		{"readable", write, "can be read or written by others (mode 0644)", "chmod 600 " + p.in("readable")},
		{"link", write, "is a symbolic link", itself},
		{"dangling", write, "is a symbolic link", itself},
		{"hard", os.O_RDONLY, "", ""},
		{"hard", write, "is a hard link: the file has 2 names", "name another file, or remove this name: rm " + p.in("hard")},
		{"fifo", os.O_RDONLY, "is not a regular file", ""},
		{"fifo", write, "is not a regular file", ""},
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(p.in("foreign"), 65534, -1); err != nil {
			t.Fatal(err)
		}
		foreign := tests[0]
		foreign.name, foreign.flag = "foreign", write
		foreign.text, foreign.hint = "belongs to user 65534", "it must be yours or root's: chown "+p.in("foreign")
		tests = append(tests, foreign)
	}
	for _, tt := range tests {
		f, err := OpenPrivate(p.in(tt.name), tt.flag)
		refusedWith(t, tt.name, err, p.in(tt.name), tt.text, tt.hint)
		if tt.text != "" && err == nil {
			t.Errorf("%s was opened, want %q", tt.name, tt.text)
		}
		f.Close()
	}
	if info, err := os.Stat(p.in("new")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file: %v, %v; want mode 0600", info, err)
	}
	if _, err := os.Lstat(p.in("absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the link names was made: %v", err)
	}
	for _, name := range []string{"own", "readable", "twice", "foreign"} {
		if text, err := os.ReadFile(p.in(name)); err != nil || string(text) != "text" {
			t.Errorf("%s holds %q, %v; want it as it was", name, text, err)
		}
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
