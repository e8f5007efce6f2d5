//go:build unix

package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// place is a folder in which a test makes files of any mode.
type place struct {
	t   *testing.T
	dir string
}

func (p place) in(name string) string { return filepath.Join(p.dir, name) }

func (p place) file(name string, perm fs.FileMode) {
	p.t.Helper()
	if err := errors.Join(os.WriteFile(p.in(name), []byte("text"), 0o600), os.Chmod(p.in(name), perm)); err != nil {
		p.t.Fatal(err)
	}
}

func (p place) folder(name string, perm fs.FileMode) {
	p.t.Helper()
	if err := errors.Join(os.Mkdir(p.in(name), 0o700), os.Chmod(p.in(name), perm)); err != nil {
		p.t.Fatal(err)
	}
}

func (p place) link(target, name string) {
	p.t.Helper()
	if err := os.Symlink(target, p.in(name)); err != nil {
		p.t.Fatal(err)
	}
}

// refusedWith holds an error to a path, a text and a hint; "" is none.
func refusedWith(t *testing.T, name string, err error, path, text, hint string) {
	t.Helper()
	var e *Error
	switch {
	case text == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case text == "":
	case !errors.As(err, &e) || err.Error() != path+": "+text || e.Hint() != hint:
		t.Errorf("%s: got %v, want %s: %s, with the hint %q", name, err, path, text, hint)
	}
}

func TestOpenTrusted(t *testing.T) {
	p := place{t, t.TempDir()}
	p.file("private", 0o600)
	p.file("readable", 0o644)
	p.file("group", 0o664)
	p.file("world", 0o602)
	p.folder("open", 0o777)
	p.file("open/file", 0o600)
	p.folder("sticky", 0o777|fs.ModeSticky)
	p.file("sticky/file", 0o600)
	p.folder("team", 0o775)
	p.file("team/file", 0o644)
	p.link("readable", "link")
	p.link("group", "tolink")
	p.link(p.in("open/file"), "toopen")
	p.link("link", "twice")
	p.link("open/../toopen", "far")
	p.link("loop", "loop")
	if err := syscall.Mkfifo(p.in("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := "is a folder in which everyone can replace files (mode 0777)"
	for _, tt := range []struct{ name, at, text, hint string }{
		{"private", "", "", ""},
		{"readable", "", "", ""},
		{"link", "", "", ""},
		{"twice", "", "", ""},
		{"sticky/file", "", "", ""},
		{"team/file", "", "", ""},
		{"group", "group", "can be written by others (mode 0664)", "chmod go-w " + p.in("group")},
		{"world", "world", "can be written by others (mode 0602)", "chmod go-w " + p.in("world")},
		{"tolink", "tolink", "can be written by others (mode 0664)", "chmod go-w " + p.in("tolink")},
		{"open/file", "open", open, "chmod o-w " + p.in("open")},
		{"toopen", "open", open, "chmod o-w " + p.in("open")},
		{"far", "open", open, "chmod o-w " + p.in("open")},
		{"absent", "absent", "cannot open: no such file or directory", ""},
		{"loop", "loop", "cannot open: too many levels of symbolic links", ""},
	} {
		f, err := OpenTrusted(p.in(tt.name))
		refusedWith(t, tt.name, err, p.in(tt.at), tt.text, tt.hint)
		if err != nil {
			continue
		}
		if text, err := io.ReadAll(f); err != nil || string(text) != "text" {
			t.Errorf("%s: %q, %v", tt.name, text, err)
		}
		f.Close()
	}
	_, err := OpenTrusted(p.in("fifo"))
	refusedWith(t, "fifo", err, p.in("fifo"), "is not a regular file", "copy what comes from the FIFO into a file")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = w.WriteString("text")
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := OpenTrusted(fmt.Sprintf("/dev/fd/%d", r.Fd())) // as the shell passes <(command)
	if err != nil {
		t.Fatal("a pipe from the shell: ", err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); err != nil || string(text) != "text" {
		t.Errorf("a pipe from the shell: %q, %v", text, err)
	}
	for _, path := range []string{os.DevNull} { // everyone can write it, and it has no content
		f, err := OpenTrusted(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		f.Close()
	}
}

// TestTrustedOwner holds files and links to their owners. They belong to the user of the test: the check is made as
// another one.
func TestTrustedOwner(t *testing.T) {
	p := place{t, t.TempDir()}
	p.file("file", 0o644)
	p.link("file", "link")
	f, err := os.Open(p.in("file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	me := uint32(os.Geteuid())
	if err := checkTrusted(p.in("link"), f, me); err != nil {
		t.Errorf("own file: %v", err)
	}
	if me != 0 {
		if err := checkTrusted(p.in("file"), f, me+1); err == nil || !strings.Contains(err.Error(), "belongs to user") {
			t.Errorf("another's file: %v", err)
		}
		t.Skip("not root: giving files and links away is not tested")
	}
	if err := checkTrusted(p.in("link"), f, 65534); err != nil {
		t.Errorf("root's file, read by another: %v", err)
	}
	if err := os.Lchown(p.in("link"), 65534, -1); err != nil {
		t.Skip("root cannot give files away here: ", err)
	}
	_, err = OpenTrusted(p.in("link"))
	refusedWith(t, "another's link", err, p.in("link"), "is a symbolic link of another user", "name the file itself, or make the link anew")
	if err := checkTrusted(p.in("link"), f, 65534); err != nil {
		t.Errorf("its own link to root's file: %v", err)
	}
	if err := os.Chown(p.in("file"), 65534, -1); err != nil {
		t.Fatal(err)
	}
	_, err = OpenTrusted(p.in("file"))
	refusedWith(t, "another's file", err, p.in("file"), "belongs to user 65534", "it must be yours or root's: chown "+p.in("file"))
}

// TestWriteFileTrust holds that WriteFile follows no link that another user made or could have made, and gives no file to
// another user in a folder that everyone can write.
func TestWriteFileTrust(t *testing.T) {
	p := place{t, t.TempDir()}
	p.file("target", 0o600)
	p.file("kept", 0o600)
	p.file("given", 0o600)
	p.link("target", "link")
	p.link("kept", "foreignlink")
	p.folder("sticky", 0o777|fs.ModeSticky)
	p.file("sticky/own", 0o600)
	p.file("sticky/given", 0o600)
	p.link("../kept", "sticky/link")
	p.link("../absent", "sticky/dangling")
	const itself = "name the file itself, not a link to it"
	const open = "is a symbolic link in a folder that others can write"
	tests := []struct{ name, text, hint string }{
		{"link", "", ""}, {"sticky/own", "", ""}, {"sticky/new", "", ""}, {"given", "", ""},
		{"sticky/link", open, itself}, {"sticky/dangling", open, itself},
	}
	if os.Geteuid() == 0 {
		for _, name := range []string{"given", "sticky/given", "foreignlink"} {
			if err := os.Lchown(p.in(name), 65534, -1); err != nil {
				t.Fatal(err)
			}
		}
		tests = append(tests, []struct{ name, text, hint string }{
			{"foreignlink", "is a symbolic link of another user", itself},
			{"sticky/given", "belongs to another user, in a folder that others can write", "name another file"},
		}...)
	}
	for _, tt := range tests {
		refusedWith(t, tt.name, CheckWritable(p.in(tt.name)), p.in(tt.name), tt.text, tt.hint)
		err := WriteFile(p.in(tt.name), []byte("new"), 0o600)
		refusedWith(t, tt.name, err, p.in(tt.name), tt.text, tt.hint)
		want := "new"
		switch {
		case tt.text == "":
		case err == nil:
			t.Errorf("%s was written, want %q", tt.name, tt.text)
			continue
		case tt.name == "sticky/dangling":
			continue
		default:
			want = "text"
		}
		content(t, p.in(tt.name), want)
	}
	if _, err := os.Lstat(p.in("absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a link names was made: %v", err)
	}
	onlyFiles(t, p.in("sticky"), "dangling", "given", "link", "new", "own")
}

// TestReadKey holds key files to the rule of private files, but for links inside a folder of the reader's own.
func TestReadKey(t *testing.T) {
	p := place{t, t.TempDir()}
	if err := os.Chmod(p.dir, 0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
	p.file("private", 0o400)
	p.file("readable", 0o644)
	p.file("fixed", 0o444) // no write bit, but on the root's file system or not root's
	p.folder("dir", 0o700)
	p.file("dir/key", 0o600)
	p.link("private", "link")
	p.link("readable", "toreadable")
	p.link("dir", "..data")
	p.link("..data/key", "mounted")
	p.link("../"+filepath.Base(p.dir)+"/private", "out")
	p.link(p.in("private"), "absolute")
	p.link("absent", "nowhere")
	p.folder("open", 0o777)
	p.file("open/key", 0o600)
	p.link("key", "open/link")
	p.folder("sticky", 0o777|fs.ModeSticky)
	p.file("sticky/key", 0o600)
	p.link("key", "sticky/link")
	if err := syscall.Mkfifo(p.in("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	const itself = "name the file itself, not a link to it"
	for _, tt := range []struct{ name, text, hint string }{
		{"private", "", ""}, {"link", "", ""}, {"mounted", "", ""}, {"open/key", "", ""}, {"sticky/key", "", ""},
		{"readable", "can be read or written by others (mode 0644)", "chmod 600 " + p.in("readable")},
		{"fixed", "can be read or written by others (mode 0444)", "chmod 600 " + p.in("fixed")},
		{"toreadable", "can be read or written by others (mode 0644)", "chmod 600 " + p.in("toreadable")},
		{"out", "is a symbolic link out of its folder", itself},
		{"absolute", "is a symbolic link out of its folder", itself},
		{"open/link", "is a symbolic link in a folder that others can write", itself},
		{"sticky/link", "is a symbolic link in a folder that others can write", itself},
		{"nowhere", "cannot open: no such file or directory", ""},
		{"absent", "cannot open: no such file or directory", ""},
		{"none/absent", "cannot open: no such file or directory", ""},
		{"fifo", "is not a regular file", ""},
		{"dir", "is not a regular file", ""},
	} {
		text, err := ReadKey(p.in(tt.name))
		refusedWith(t, tt.name, err, p.in(tt.name), tt.text, tt.hint)
		if tt.text == "" && string(text) != "text" {
			t.Errorf("%s: %q", tt.name, text)
		}
	}
	t.Chdir(p.dir)
	if _, err := ReadKey("private"); err != nil {
		t.Errorf("by its bare name: %v", err)
	}
	if _, err := ReadKey("absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v is not ErrNotExist", err)
	}
}
