//go:build unix

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

const (
	nobody  = 65534
	byOther = "can be read or written by others (mode %04o)"
)

// TestOpenPrivate checks that a refused file is not changed, and that a file with a second name can be read.
func TestOpenPrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	p := newTestDir(t)
	p.build(
		"own 0600", "readonly 0400", "readable 0644", "group 0620", "others 0602", "twice 0600",
		"foreign 0600", "folder/ 0700", "link -> own", "dangling -> absent",
	)
	must(t, os.Link(p.in("twice"), p.in("hard")), syscall.Mkfifo(p.in("fifo"), 0o600))
	const write = os.O_WRONLY | os.O_CREATE
	const add = os.O_RDWR | os.O_APPEND | os.O_CREATE
	type test struct {
		name       string
		flag       int
		text, hint string
	}
	hard := "name another file, or remove this name: rm " + p.word("hard")
	tests := []test{
		{"own", os.O_RDONLY, "", ""},
		{"own", write, "", ""},
		{"readonly", os.O_RDONLY, "", ""},
		{"new", write, "", ""},
		{"absent", os.O_RDWR, "cannot open: no such file or directory", ""},
		{"missing/log", add, "cannot open: no such file or directory", ""},
		{"readable", write, fmt.Sprintf(byOther, 0o644), "chmod 600 " + p.word("readable")},
		{"group", add, fmt.Sprintf(byOther, 0o620), "chmod 600 " + p.word("group")},
		{"others", os.O_RDONLY, fmt.Sprintf(byOther, 0o602), "chmod 600 " + p.word("others")},
		{"link", os.O_RDONLY, "is a symbolic link", nameItself},
		{"link", write, "is a symbolic link", nameItself},
		{"link", add, "is a symbolic link", nameItself},
		{"dangling", write, "is a symbolic link", nameItself},
		{"hard", os.O_RDONLY, "", ""},
		{"hard", write, "is a hard link: the file has 2 names", hard},
		{"hard", add, "is a hard link: the file has 2 names", hard},
		{"folder", add, "cannot open: is a directory", ""},
		{"folder", os.O_RDONLY, "is not a regular file", ""},
		{"fifo", os.O_RDONLY, "is not a regular file", ""},
		{"fifo", write, "is not a regular file", ""},
		{"fifo", add, "is not a regular file", ""},
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(p.in("foreign"), nobody, -1))
		tests = append(tests, test{"foreign", write, "belongs to user 65534", "it must be yours or root's: chown 0 " + p.word("foreign")})
	}
	for _, tt := range tests {
		f, err := OpenPrivate(p.in(tt.name), tt.flag)
		p.refusedWith(err, tt.name, tt.text, tt.hint)
		f.Close()
	}
	p.wantMode("new", 0o600)
	p.wantAbsent("absent")
	p.wantAbsent("missing")
	for _, name := range []string{"own", "readable", "group", "twice", "foreign"} {
		p.wantContent(name, "text")
	}
}

func TestReadPrivate(t *testing.T) {
	p := newTestDir(t)
	p.build("good 0600", "group 0640")
	for name, size := range map[string]int64{"full": MaxSize, "large": MaxSize + 1, "larger": 2 * MaxSize, "largest": 2*MaxSize + 1} {
		p.file(name, 0o600)
		must(t, os.Truncate(p.in(name), size))
	}
	for _, tt := range []struct {
		name       string
		limit      int64
		text, hint string
	}{
		{"good", MaxSize, "", ""},
		{"full", MaxSize, "", ""},
		{"large", 2 * MaxSize, "", ""},
		{"larger", 2 * MaxSize, "", ""},
		{"group", MaxSize, fmt.Sprintf(byOther, 0o640), "chmod 600 " + p.word("group")},
		{"large", MaxSize, "is larger than 1 MiB", ""},
		{"largest", 2 * MaxSize, "is larger than 2 MiB", ""},
		{"absent", MaxSize, "cannot open: no such file or directory", ""},
	} {
		data, err := ReadPrivate(p.in(tt.name), tt.limit)
		p.refusedWith(err, tt.name, tt.text, tt.hint)
		if info, _ := os.Stat(p.in(tt.name)); tt.text == "" && int64(len(data)) != info.Size() {
			t.Errorf("%s: got %d bytes, want %d", tt.name, len(data), info.Size())
		}
	}
	_, err := ReadPrivate(p.in("absent"), MaxSize)
	wantError(t, "a missing file", err, fs.ErrNotExist)
}

// TestReadPrivateOnce checks that a large file is in memory only once: it is not copied while it is read.
func TestReadPrivateOnce(t *testing.T) {
	p := newTestDir(t)
	const size = 16 << 20
	p.file("large", 0o600)
	must(t, os.Truncate(p.in("large"), size))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	data, err := ReadPrivate(p.in("large"), size)
	runtime.ReadMemStats(&after)
	took := after.TotalAlloc - before.TotalAlloc
	must(t, err)
	errorIf(t, len(data) != size || took > size*5/4, "%d bytes of %d took %d", len(data), size, took)
}

// A file that grows after its size was checked must not be truncated silently: /dev/zero has size 0 and no end.
func TestReadBoundedGrows(t *testing.T) {
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Skip("needs /dev/zero: ", err)
	}
	_, err = readBounded("f", f, nil, MaxSize)
	errorIf(t, err == nil || err.Error() != "f: is larger than 1 MiB", "got %v, want that it is too large", err)
}

// TestOwner checks the owners of files and links: another user's are refused, root's are accepted. The files belong to
// the user who runs the test, so the check is made as another user; if root runs the test, files are also given to
// others.
func TestOwner(t *testing.T) {
	p := newTestDir(t)
	p.build("key 0600", "file 0644", "link -> file")
	key, err := os.Open(p.in("key"))
	must(t, err)
	defer key.Close()
	file, err := os.Open(p.in("file"))
	must(t, err)
	defer file.Close()
	me := uint32(os.Geteuid())
	must(t, checkPrivate(p.in("key"), key, false, me), checkTrusted(p.in("link"), file, me))
	if me != 0 {
		for _, err := range []error{checkPrivate(p.in("key"), key, false, me+1), checkTrusted(p.in("file"), file, me+1)} {
			errorIf(t, err == nil || !strings.Contains(err.Error(), "belongs to user"),
				"another's file: %v, want a refusal", err)
		}
		t.Skip("not root: giving files and links away is not tested")
	}
	must(t, checkPrivate(p.in("key"), key, false, nobody), checkTrusted(p.in("link"), file, nobody)) // root's
	if err := errors.Join(os.Chown(p.in("key"), nobody, -1), os.Lchown(p.in("link"), nobody, -1)); err != nil {
		t.Skip("root cannot give files away here: ", err)
	}
	_, err = ReadPrivate(p.in("key"), MaxSize)
	p.refusedWith(err, "key", "belongs to user 65534", "it must be yours or root's: chown 0 "+p.word("key"))
	_, err = OpenTrusted(p.in("link"))
	p.refusedWith(err, "link", "is a symbolic link of another user", "name the file itself, or create the link again")
	must(t, checkTrusted(p.in("link"), file, nobody)) // the user's own link to root's file
	must(t, os.Chown(p.in("file"), nobody, -1))
	_, err = OpenTrusted(p.in("file"))
	p.refusedWith(err, "file", "belongs to user 65534", "it must be yours or root's: chown 0 "+p.word("file"))
}

func TestOpenTrusted(t *testing.T) {
	p := newTestDir(t)
	p.build(
		"private 0600", "readable 0644", "group 0664", "world 0602", "open/ 0777", "open/file 0600",
		"sticky/ 1777", "sticky/file 0600", "team/ 0775", "team/file 0644", "link -> readable",
		"tolink -> group", "toopen -> "+p.in("open/file"), "twice -> link", "far -> open/../toopen",
		"loop -> loop",
	)
	must(t, syscall.Mkfifo(p.in("fifo"), 0o600))
	open := "is a folder in which everyone can replace files (mode 0777)"
	for _, tt := range []struct{ name, at, text, hint string }{
		{"private", "", "", ""},
		{"readable", "", "", ""},
		{"link", "", "", ""},
		{"twice", "", "", ""},
		{"sticky/file", "", "", ""},
		{"team/file", "", "", ""},
		{"group", "group", "can be written by others (mode 0664)", "chmod go-w " + p.word("group")},
		{"world", "world", "can be written by others (mode 0602)", "chmod go-w " + p.word("world")},
		{"tolink", "tolink", "can be written by others (mode 0664)", "chmod go-w " + p.word("tolink")},
		{"open/file", "open", open, "chmod o-w " + p.word("open")},
		{"toopen", "open", open, "chmod o-w " + p.word("open")},
		{"far", "open", open, "chmod o-w " + p.word("open")},
		{"absent", "absent", "cannot open: no such file or directory", ""},
		{"loop", "loop", "cannot open: too many levels of symbolic links", ""},
		{"fifo", "fifo", "is not a regular file", "copy the data from the FIFO to a file"},
	} {
		f, err := OpenTrusted(p.in(tt.name))
		p.refusedWith(err, tt.at, tt.text, tt.hint)
		if err == nil {
			readAll(t, tt.name, f, "text")
		}
	}
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = w.WriteString("text")
	must(t, err, w.Close())
	f, err := OpenTrusted(fmt.Sprintf("/dev/fd/%d", r.Fd())) // as the shell passes <(command)
	must(t, err)
	readAll(t, "a pipe from the shell", f, "text")
	f, err = OpenTrusted(os.DevNull) // everyone can write it, and it has no content
	must(t, err)
	readAll(t, os.DevNull, f, "")
}

// TestReadKey checks that the rule of private files applies to key files, except for links inside a folder of the
// reader.
func TestReadKey(t *testing.T) {
	p := newTestDir(t)
	must(t, os.Chmod(p.dir, 0o755)) // independent of the umask
	p.build(
		"private 0400", "readable 0644", "fixed 0444", // no write bits, but on the root file system or not root's
		"dir/ 0700", "dir/key 0600", "link -> private", "toreadable -> readable", "..data -> dir",
		"mounted -> ..data/key", "out -> ../"+filepath.Base(p.dir)+"/private",
		"absolute -> "+p.in("private"), "nowhere -> absent", "open/ 0777", "open/key 0600",
		"open/link -> key", "sticky/ 1777", "sticky/key 0600", "sticky/link -> key",
	)
	must(t, syscall.Mkfifo(p.in("fifo"), 0o600))
	for _, tt := range []struct{ name, text, hint string }{
		{"private", "", ""}, {"link", "", ""}, {"mounted", "", ""}, {"open/key", "", ""}, {"sticky/key", "", ""},
		{"readable", fmt.Sprintf(byOther, 0o644), "chmod 600 " + p.word("readable")},
		{"fixed", fmt.Sprintf(byOther, 0o444), "chmod 600 " + p.word("fixed")},
		{"toreadable", fmt.Sprintf(byOther, 0o644), "chmod 600 " + p.word("toreadable")},
		{"out", "is a symbolic link out of its folder", nameItself},
		{"absolute", "is a symbolic link out of its folder", nameItself},
		{"open/link", "is a symbolic link in a folder that others can write", nameItself},
		{"sticky/link", "is a symbolic link in a folder that others can write", nameItself},
		{"nowhere", "cannot open: no such file or directory", ""},
		{"absent", "cannot open: no such file or directory", ""},
		{"none/absent", "cannot open: no such file or directory", ""},
		{"fifo", "is not a regular file", ""},
		{"dir", "is not a regular file", ""},
	} {
		text, err := ReadKey(p.in(tt.name))
		p.refusedWith(err, tt.name, tt.text, tt.hint)
		errorIf(t, tt.text == "" && string(text) != "text", "%s: got %q, want text", tt.name, text)
	}
	t.Chdir(p.dir)
	_, err := ReadKey("private")
	errorIf(t, err != nil, "by its bare name: %v", err)
	_, err = ReadKey("absent")
	wantError(t, "a missing file", err, fs.ErrNotExist)
}

func TestCheckOwn(t *testing.T) {
	base, err := os.MkdirTemp("", "own") // t.TempDir can be too long for the name of a socket
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	p := testDir{t, base}
	p.build("folder/ 0700", "open/ 0710", "link -> "+p.in("folder"), "file 0600")
	for name, perm := range map[string]fs.FileMode{"socket": 0o600, "shared": 0o666} {
		l, err := net.Listen("unix", p.in(name))
		must(t, err)
		defer l.Close()
		must(t, os.Chmod(p.in(name), perm))
	}
	me := uint32(os.Geteuid())
	for _, tt := range []struct {
		name string
		want fs.FileMode
		user uint32
		says string
	}{
		{"folder", fs.ModeDir, me, ""},
		{"socket", fs.ModeSocket, me, ""},
		{"open", fs.ModeDir, me, "can be used by others (mode 0710)"},
		{"shared", fs.ModeSocket, me, "can be used by others (mode 0666)"},
		{"link", fs.ModeDir, me, "was replaced after it was created"},
		{"file", fs.ModeSocket, me, "was replaced after it was created"},
		{"folder", fs.ModeSocket, me, "was replaced after it was created"},
		{"folder", fs.ModeDir, me + 1, "does not belong to user"},
		{"socket", fs.ModeSocket, me + 1, "does not belong to user"},
	} {
		err := checkOwn(p.in(tt.name), tt.want, tt.user)
		errorIf(t, tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)),
			"%s: got %v, want %q", tt.name, err, tt.says)
	}
	wantError(t, "missing", CheckOwn(p.in("missing"), fs.ModeDir), fs.ErrNotExist)
	must(t, CheckOwn(p.in("folder"), fs.ModeDir))
}
