package state

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// TestRemove removes everything in a folder except what is in use: a lock, a file being written, a non-empty folder.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	all := func(fs.DirEntry) bool { return true }
	paths, err := List(filepath.Join(dir, "none"), all)
	errorIf(t, len(paths) != 0 || err != nil, "a folder that is not there: got %v, %v; want nothing", paths, err)
	for _, name := range []string{"data", "free.lock", "held.lock", "full/file", tempPrefix + "old" + tempSuffix} {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600))
	}
	unlock, err := Lock(t.Context(), filepath.Join(dir, "held.lock"))
	must(t, err)
	defer unlock()
	temp, release, err := createTemp(dir)
	must(t, err)
	defer temp.Close()
	defer release()
	paths, err = List(dir, all)
	if err != nil || len(paths) != 6 {
		t.Fatalf("got %v, %v; want 6 paths", paths, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel() // so that nothing waits for the lock
	err = Remove(ended, filepath.Join(dir, "held.lock"))
	errorIf(t, err == nil, "a lock that is held was removed")
	paths = slices.DeleteFunc(paths, func(path string) bool { return filepath.Base(path) == "held.lock" })
	err = Remove(t.Context(), append(paths, filepath.Join(dir, "gone"))...)
	errorIf(t, err == nil, "got no error for what cannot be removed")
	left, err := List(dir, all)
	want := []string{temp.Name(), filepath.Join(dir, "full"), filepath.Join(dir, "held.lock")}
	if runtime.GOOS == "windows" { // there only the age shows that a file is not being written
		want = append(want, filepath.Join(dir, tempPrefix+"old"+tempSuffix))
	}
	slices.Sort(want)
	errorIf(t, !slices.Equal(left, want) || err != nil, "left: got %v, %v; want %v", left, err, want)
}
