package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Stored is one kind of thing that is kept in a folder.
type Stored struct {
	What, Where string
	// Count is how many there are.
	Count int
	// Remove takes them away, each that is in use after a wait of at most RemoveTimeout.
	Remove func(ctx context.Context) error
}

// RemoveTimeout bounds the wait for a file that is in use.
const RemoveTimeout = 10 * time.Second

// List gives the paths of what ours accepts in a folder, in their order. A folder that is not there has none.
func List(dir string, ours func(entry fs.DirEntry) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	err = NotFolder(dir, err)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var paths []string
	for _, entry := range entries {
		if ours(entry) {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	return paths, err
}

// IsTemp tells ferry's temporary files by their names.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// IsLock tells locks by their names.
func IsLock(name string) bool { return filepath.Ext(name) == ".lock" }

// Remove removes files, but for temporary ones that a process is writing. Those that are gone already are no fault. A lock
// is removed when it is free. Nothing else removes locks: a process that waits for the old file and one that makes a new
// file would both hold the lock. Who removes all that is kept accepts that.
func Remove(ctx context.Context, paths ...string) error {
	var failed []error
	for _, path := range paths {
		switch {
		case IsTemp(filepath.Base(path)):
			if !sweepOne(path) {
				failed = append(failed, fmt.Errorf("%s: another process is writing it, or it cannot be removed", path))
			}
		case IsLock(path):
			failed = append(failed, removeLock(ctx, path))
		default:
			failed = append(failed, remove(path))
		}
	}
	return errors.Join(failed...)
}

func removeLock(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, RemoveTimeout)
	defer cancel()
	unlock, err := Lock(ctx, path)
	if err != nil {
		return err
	}
	err = remove(path)
	unlock()
	if err != nil { // some systems remove no file that is open
		err = remove(path)
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// TempPattern is how ferry's temporary files are called, for os.CreateTemp. Sweep removes such a file once its process is
// gone.
const TempPattern = tempPrefix + "*" + tempSuffix

const (
	tempPrefix, tempSuffix = ".ferry-", ".tmp"
	// tempAge is how old a temporary file is that surely no process is writing, where locks cannot tell.
	tempAge = time.Hour
	// maxSwept bounds the names of a folder that Sweep looks at.
	maxSwept = 100_000
)

// createTemp makes a temporary file that Sweep leaves alone until release.
func createTemp(dir string) (f *os.File, release func(), err error) {
	for range maxLinks {
		if f, err = newTemp(dir); err != nil {
			return nil, nil, err
		}
		lock, err := lockTemp(f.Name())
		release = func() { lock.Close() } // closing nil does nothing
		if err == nil && leadsTo(f.Name(), f) {
			return f, release, nil
		}
		// It was swept before it had its lock.
		release()
		f.Close()
	}
	return nil, nil, errors.New("other processes remove each temporary file")
}

// Sweep removes the temporary files in a folder that killed processes left. Those that a process is writing stay, and so
// does what cannot be removed; it gives their paths.
func Sweep(dir string) (left []string) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer folder.Close()
	for seen := 0; seen < maxSwept; {
		names, err := folder.Readdirnames(1000)
		for _, name := range names {
			if !IsTemp(name) {
				continue
			}
			if path := filepath.Join(dir, name); !sweepOne(path) {
				left = append(left, path)
			}
		}
		if seen += len(names); err != nil {
			return left
		}
	}
	return left
}

// sweepOne reports whether the file is gone.
func sweepOne(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return errors.Is(err, fs.ErrNotExist)
	}
	unlock, abandoned := tempAbandoned(path, time.Since(info.ModTime()) > tempAge)
	if !abandoned {
		return false
	}
	defer unlock()
	err = os.Remove(path)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}
