package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

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
		if f, err = os.CreateTemp(dir, TempPattern); err != nil {
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
