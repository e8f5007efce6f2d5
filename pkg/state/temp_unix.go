//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockTemp locks a temporary file through a handle of its own, so that the lock outlives the writer's close and lasts until
// the file has its name. Where the file system has no locks, its age has to tell.
func lockTemp(path string) (*os.File, error) {
	lock, err := openTemp(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	if got, err := tryLock(lock); err == nil && !got {
		lock.Close()
		return nil, fs.ErrNotExist // it is being swept
	}
	return lock, nil
}

// tempAbandoned reports whether no process is writing the file. It then has its lock until unlock.
func tempAbandoned(path string, old bool) (unlock func(), abandoned bool) {
	f, err := openTemp(path)
	if err != nil {
		return nil, false
	}
	if got, err := tryLock(f); got || err != nil && old {
		return func() { f.Close() }, true
	}
	f.Close()
	return nil, false
}

func openTemp(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
