package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// failing is a disk on which one operation fails, or that one and all following ones, as after a crash.
type failing struct {
	disk
	at    int // the operation that fails, from 1
	crash bool
	with  error
	seen  []string
}

func newFailing(at int, crash bool, with error) *failing {
	f := &failing{disk: system(), at: at, crash: crash, with: with}
	real := f.disk
	f.createTemp = func(dir string) (file, func(), error) {
		if err := f.step("create"); err != nil {
			return nil, nil, err
		}
		created, release, err := real.createTemp(dir)
		return &failingFile{created, f}, release, err
	}
	f.create = func(path string) (file, error) {
		if err := f.step("create"); err != nil {
			return nil, err
		}
		created, err := real.create(path)
		return &failingFile{created, f}, err
	}
	f.rename = func(from, to string) error {
		return f.try("rename", func() error { return real.rename(from, to) })
	}
	f.remove = func(path string) error {
		return f.try("remove", func() error { return real.remove(path) })
	}
	f.syncDir = func(dir string) error {
		return f.try("fsync folder", func() error { return real.syncDir(dir) })
	}
	return f
}

// try does the operation unless it is one that fails.
func (f *failing) try(name string, do func() error) error {
	if err := f.step(name); err != nil {
		return err
	}
	return do()
}

func (f *failing) step(name string) error {
	f.seen = append(f.seen, name)
	if n := len(f.seen); n == f.at || f.crash && n > f.at {
		return &fs.PathError{Op: name, Path: "x", Err: f.with}
	}
	return nil
}

type failingFile struct {
	file
	disk *failing
}

// Write fails halfway: the bytes written before stay in the file.
func (f *failingFile) Write(p []byte) (int, error) {
	if err := f.disk.step("write"); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f *failingFile) Chmod(mode fs.FileMode) error {
	return f.disk.try("chmod", func() error { return f.file.Chmod(mode) })
}

func (f *failingFile) Sync() error {
	return f.disk.try("fsync", f.file.Sync)
}

// Close always closes: a descriptor is closed even if close fails.
func (f *failingFile) Close() error {
	err := f.disk.step("close")
	return errors.Join(f.file.Close(), err)
}

// TestEveryStepFails makes each operation of a write fail in turn, either only that one or also all following ones.
// Each time the file must have the complete old or new content, the write must return an error, and nothing may be
// left behind unless the removal also failed.
func TestEveryStepFails(t *testing.T) {
	const before = "the old content, which is longer than the new one"
	const after = "the new content"
	writers := map[string]struct {
		old   string
		write func(d disk, path string) error
		steps []string
	}{
		"replace": {before, func(d disk, path string) error { return d.writeFile(path, []byte(after), 0o600) },
			[]string{"create", "write", "chmod", "fsync", "close", "rename", "fsync folder"}},
		"first write": {"", func(d disk, path string) error { return d.writeFile(path, []byte(after), 0o600) },
			[]string{"create", "write", "chmod", "fsync", "close", "rename", "fsync folder"}},
		"create": {"", func(d disk, path string) error { return d.createFile(path, []byte(after), 0o600) },
			[]string{"create", "write", "chmod", "fsync", "close", "fsync folder"}},
	}
	for name, w := range writers {
		for at := 0; at <= len(w.steps); at++ { // 0: none fails
			for _, crash := range []bool{false, true} {
				for _, with := range []error{syscall.EIO, syscall.ENOSPC} {
					t.Run(fmt.Sprintf("%s, step %d, crash %t, %v", name, at, crash, with), func(t *testing.T) {
						if at == 0 && crash {
							t.Skip("nothing would be tried")
						}
						dir := t.TempDir()
						path := filepath.Join(dir, "f")
						if w.old != "" {
							must(t, os.WriteFile(path, []byte(w.old), 0o600))
						}
						d := newFailing(at, crash, with)
						err := w.write(d.disk, path)
						checkFailed(t, d, w.steps, err)
						checkContent(t, path, w.old, after, w.steps, at, name == "create" && crash)
						checkLeft(t, dir, crash)
					})
				}
			}
		}
	}
}

// checkFailed compares the steps with the table, and the error with the injected one.
func checkFailed(t *testing.T, d *failing, steps []string, err error) {
	t.Helper()
	if d.at == 0 {
		if err != nil || !slices.Equal(d.seen, steps) {
			t.Fatalf("%v after %q, want %q", err, d.seen, steps)
		}
		return
	}
	if !slices.Equal(d.seen[:d.at], steps[:d.at]) {
		t.Errorf("failed %q, want %q", d.seen, steps[:d.at])
	}
	errorIf(t, !errors.As(err, new(*Error)) || !errors.Is(err, d.with), "%v, want an *Error of %v", err, d.with)
}

// checkContent checks that the file has one complete content. If a create is cut off and the cleanup fails too, the
// beginning of the file stays, as CreateFile documents.
func checkContent(t *testing.T, path, old, after string, steps []string, at int, cutCreate bool) {
	t.Helper()
	got, err := os.ReadFile(path)
	replaced := at == 0 || slices.Contains(steps[:at-1], "rename") || !slices.Contains(steps, "rename") && steps[at-1] == "fsync folder"
	switch {
	case replaced && string(got) != after:
		t.Errorf("holds %q, %v; want the new content", got, err)
	case replaced, cutCreate && at > 1:
	case old == "" && !errors.Is(err, fs.ErrNotExist):
		t.Errorf("holds %q, %v; want no file", got, err)
	case old != "" && string(got) != old:
		t.Errorf("holds %q, %v; want the old content", got, err)
	}
}

// checkLeft checks that the folder has only the file; after a crash also temporary files, whose names nothing reads.
func checkLeft(t *testing.T, dir string, crash bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		left := strings.HasPrefix(e.Name(), ".ferry-") && strings.HasSuffix(e.Name(), ".tmp")
		if e.Name() != "f" && (!left || !crash) {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}
