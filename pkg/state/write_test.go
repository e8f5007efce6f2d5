package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// onlyFiles fails when a temporary file was left behind.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("folder holds %q, want %q", got, want)
	}
}

func content(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s holds %q, want %q", path, got, want)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestWriteFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("mode bits are Unix's")
	}
	tests := []struct {
		name      string
		old, perm fs.FileMode // old 0: no file yet
		want      fs.FileMode
	}{
		{"new", 0, 0o600, 0o600},
		{"new and public, past the umask", 0, 0o666, 0o666},
		{"equal", 0o644, 0o644, 0o644},
		{"stricter is kept", 0o400, 0o600, 0o400},
		{"wider is narrowed", 0o644, 0o600, 0o600},
		{"neither holds the other", 0o606, 0o660, 0o600},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if tt.old != 0 {
				if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, tt.old); err != nil {
					t.Fatal(err)
				}
			}
			if err := WriteFile(path, []byte("new"), tt.perm); err != nil {
				t.Fatal(err)
			}
			if got := mode(t, path); got != tt.want {
				t.Errorf("mode %04o, want %04o", got, tt.want)
			}
			onlyFiles(t, dir, "f")
		})
	}
}

// The managers of dotfiles link ~/.config into a repository: the link must stay, and the file behind it change.
func TestWriteFileKeepsLinks(t *testing.T) {
	tests := []struct {
		name   string
		build  func(dir string) error
		target string
	}{
		{"relative", func(dir string) error { return os.Symlink(filepath.Join("repo", "f"), filepath.Join(dir, "link")) }, "repo/f"},
		{"absolute", func(dir string) error { return os.Symlink(filepath.Join(dir, "repo", "f"), filepath.Join(dir, "link")) }, "repo/f"},
		{"to nothing yet", func(dir string) error { return os.Symlink(filepath.Join("repo", "g"), filepath.Join(dir, "link")) }, "repo/g"},
		{"two links", func(dir string) error {
			return errors.Join(os.Symlink("second", filepath.Join(dir, "link")),
				os.Symlink(filepath.Join("repo", "f"), filepath.Join(dir, "second")))
		}, "repo/f"},
		{"up through a linked folder", func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "deep", "inner"), 0o700),
				os.Symlink(filepath.Join("deep", "inner"), filepath.Join(dir, "short")),
				os.Symlink("short/../h", filepath.Join(dir, "link")))
		}, "deep/h"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "repo"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "repo", "f"), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.build(dir); err != nil {
				t.Skip("no symbolic links here: ", err)
			}
			link := filepath.Join(dir, "link")
			if err := WriteFile(link, []byte("new"), 0o600); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("the link is gone: %v, %v", info, err)
			}
			content(t, filepath.Join(dir, filepath.FromSlash(tt.target)), "new")
		})
	}
}

func TestWriteFileRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	tests := []struct{ path, want string }{
		{"folder", "is not a regular file"},
		{"loop", "has too many links"},
		{filepath.Join("absent", "f"), "cannot find its folder"},
	}
	for _, tt := range tests {
		err := WriteFile(filepath.Join(dir, tt.path), []byte("x"), 0o600)
		var e *Error
		if !errors.As(err, &e) || e.Msg != tt.want {
			t.Errorf("%s: got %v, want %q", tt.path, err, tt.want)
		}
	}
	onlyFiles(t, dir, "folder", "loop")
}

// Readers must see one whole content or another while many write at once.
func TestWriteFileConcurrently(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open for reading cannot be replaced on Windows")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	page := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%02d", i), 8<<10) }
	if err := WriteFile(path, page(0), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 4 {
				if err := WriteFile(path, page(i), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				got, err := os.ReadFile(path)
				if err != nil || len(got) != 16<<10 || !bytes.Equal(got, bytes.Repeat(got[:2], 8<<10)) {
					t.Errorf("saw a mixture of %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	onlyFiles(t, dir, "f")
}

func TestCreateFileNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := CreateFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateFile(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	content(t, path, "first")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := CreateFile(link, []byte("x"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link that leads nowhere: got %v, want ErrExist", err)
	}
	onlyFiles(t, dir, "f", "link")
}

func TestMkdirPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b")
	for range 2 {
		if err := MkdirPrivate(path); err != nil {
			t.Fatal(err)
		}
	}
	if got := mode(t, filepath.Join(dir, "a")); runtime.GOOS != "windows" && got != 0o700 {
		t.Errorf("mode %04o, want 0700", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if err := MkdirPrivate(filepath.Join(dir, "f", "g")); !errors.As(err, &e) {
		t.Errorf("got %v, want an *Error", err)
	}
}
