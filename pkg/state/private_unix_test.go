//go:build unix

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadPrivate(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	make := func(name string, perm fs.FileMode, size int) {
		if err := os.WriteFile(in(name), []byte(strings.Repeat("k", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(in(name), perm); err != nil {
			t.Fatal(err)
		}
	}
	make("good", 0o600, 3)
	make("readonly", 0o400, 3)
	make("full", 0o600, MaxSize)
	make("group", 0o640, 3)
	make("others", 0o602, 3)
	make("large", 0o600, MaxSize+1)
	if err := errors.Join(os.Symlink("good", in("link")), os.Mkdir(in("folder"), 0o700),
		syscall.Mkfifo(in("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, err, hint string }{
		{"good", "", ""},
		{"readonly", "", ""},
		{"full", "", ""},
		{"group", "can be read or written by others (mode 0640)", "chmod 600 " + in("group")},
		{"others", "can be read or written by others (mode 0602)", "chmod 600 " + in("others")},
		{"large", "is larger than 1 MiB", ""},
		{"link", "is a symbolic link", "name the file itself, not a link to it"},
		{"folder", "is not a regular file", ""},
		{"fifo", "is not a regular file", ""},
		{"absent", "cannot open: no such file or directory", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadPrivate(in(tt.name), MaxSize)
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || err.Error() != in(tt.name)+": "+tt.err || e.Hint() != tt.hint {
				t.Errorf("got %v, want %q with hint %q", err, tt.err, tt.hint)
			}
		})
	}
	if _, err := ReadPrivate(in("absent"), MaxSize); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v is not ErrNotExist", err)
	}
}

func TestReadPrivateMax(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	const limit = 2 * MaxSize
	for _, size := range []int{0, MaxSize + 1, limit, limit + 1} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		data, err := ReadPrivate(path, limit)
		switch {
		case size <= limit && (err != nil || len(data) != size):
			t.Errorf("%d bytes: %d, %v", size, len(data), err)
		case size > limit && (err == nil || err.Error() != path+": is larger than 2 MiB"):
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivate(path, limit); err == nil || !strings.Contains(err.Error(), "by others") {
		t.Errorf("open to others: %v", err)
	}
}

// A file that grows after its size was looked at must not be cut quietly: /dev/zero has the size 0 and no end.
func TestReadBoundedGrows(t *testing.T) {
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Skip("needs /dev/zero: ", err)
	}
	defer f.Close()
	if _, err := readBounded("f", f, nil, MaxSize); err == nil || err.Error() != "f: is larger than 1 MiB" {
		t.Errorf("got %v", err)
	}
}

// Someone else's file is refused, root's is taken. The file belongs to whoever runs the test, so that the check is made
// as another user instead; where root runs it, files are given away as well.
func TestReadPrivateOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	me := uint32(os.Geteuid())
	if err := checkPrivate(path, f, false, me); err != nil {
		t.Errorf("own file: %v", err)
	}
	if me != 0 {
		if err := checkPrivate(path, f, false, me+1); err == nil || !strings.Contains(err.Error(), "belongs to user") {
			t.Errorf("another's file: %v", err)
		}
		t.Skip("not root: giving files away is not tested")
	}
	if err := checkPrivate(path, f, false, 65534); err != nil {
		t.Errorf("root's file, read by another: %v", err)
	}
	if err := os.Chown(path, 65534, -1); err != nil {
		t.Skip("root cannot give files away here: ", err)
	}
	if _, err := ReadPrivate(path, MaxSize); err == nil || err.Error() != path+": belongs to user 65534" {
		t.Errorf("another's file: %v", err)
	}
}

// Root that edits a user's file must not take it away from the user.
func TestWriteFileKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a file away")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chown(path, 65534, 65533), os.Chmod(path, 0o640)); err != nil {
		t.Skip("root cannot give files away here: ", err)
	}
	if err := WriteFile(path, []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != 65534 || st.Gid != 65533 || info.Mode().Perm() != 0o640 {
		t.Errorf("owner %d:%d, mode %04o; want 65534:65533, 0640", st.Uid, st.Gid, info.Mode().Perm())
	}
}

// A write that the system cuts short must leave the old file and nothing else. The limit on file sizes makes one: it is
// set in a process of its own, because it cannot be taken back.
func TestWriteFileCutShort(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), smallEnv+"="+path)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content(t, path, "old")
	onlyFiles(t, dir, "f")
}

func writeTooMuch(path string) int {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 4096, Max: 4096}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	for _, err := range []error{
		WriteFile(path, make([]byte, 64<<10), 0o600),
		CreateFile(path+".new", make([]byte, 64<<10), 0o600),
	} {
		if !errors.Is(err, syscall.EFBIG) {
			fmt.Println("want EFBIG, got", err)
			return 1
		}
	}
	return 0
}
