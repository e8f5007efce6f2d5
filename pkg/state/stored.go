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

// Stored is one kind of data that is stored in a folder.
type Stored struct {
	What, Where string
	// Count is the number of items.
	Count int
	// Remove removes the items. It waits at most RemoveTimeout for each item that is in use.
	Remove func(ctx context.Context) error
}

// RemoveTimeout limits the wait for a file that is in use.
const RemoveTimeout = 10 * time.Second

// List returns the paths of the entries of a folder that ours accepts, in order. A missing folder has none.
func List(dir string, ours func(entry fs.DirEntry) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	err = NotDirError(dir, err)
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

// IsTemp reports whether name is the name of a temporary file of ferry.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// IsLock reports whether name is the name of a lock.
func IsLock(name string) bool { return filepath.Ext(name) == ".lock" }

// Remove removes files, except temporary files that a process is writing. A missing file is not an error. A lock is
// removed when it is free. Nothing else removes locks, because a process that waits for the old file and a process
// that creates a new file would both hold the lock. A user who removes all stored data accepts that.
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
	if err != nil { // some systems cannot remove an open file
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

// TempPattern is the name pattern of ferry's temporary files, for os.CreateTemp. Sweep removes such a file after its
// process has ended.
const TempPattern = tempPrefix + "*" + tempSuffix

const (
	tempPrefix, tempSuffix = ".ferry-", ".tmp"
	// tempAge is the age from which a temporary file counts as abandoned if locks are not available.
	tempAge = time.Hour
	// maxSwept limits the number of names in a folder that Sweep checks.
	maxSwept = 100_000
)

// createTemp creates a temporary file that Sweep does not remove before release.
func createTemp(dir string) (f *os.File, release func(), err error) {
	for range maxLinks {
		if f, err = newTemp(dir); err != nil {
			return nil, nil, err
		}
		lock, err := lockTemp(f.Name())
		release = func() { lock.Close() } // closing nil does nothing
		if err == nil && namesFile(f.Name(), f) {
			return f, release, nil
		}
		// Another process removed it before it was locked.
		release()
		f.Close()
	}
	return nil, nil, errors.New("other processes remove each temporary file")
}

// Sweep removes the temporary files in a folder that killed processes left. It keeps files that a process is writing
// or that cannot be removed, and returns their paths.
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

// sweepOne removes an abandoned temporary file and reports whether the file is gone.
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
