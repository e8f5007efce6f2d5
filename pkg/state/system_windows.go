package state

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, filePerm)
}

// tryLock says whether the lock was free. LockFileEx belongs to the handle, so goroutines exclude each other as well.
func tryLock(f *os.File) (bool, error) {
	err := lockFile(f, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

func blockLock(f *os.File) error { return lockFile(f, windows.LOCKFILE_EXCLUSIVE_LOCK) }

func lockFile(f *os.File, flags uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
}

// CheckOwn checks the type alone: the mode bits of Windows say nothing about who may use a file.
func CheckOwn(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return failed(path, "cannot look at it", err)
	}
	if info.Mode().Type() != want {
		return refused(path, "is something else than it was made as", "")
	}
	return nil
}

// OpenPrivate checks the kind alone: the mode bits of Windows say nothing about who may read.
func OpenPrivate(path string, flag int) (*os.File, error) {
	if err := checkKind(path); err != nil && (flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, filePerm)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}

func checkKind(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return failed(path, "cannot open", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return refused(path, "is a symbolic link", nameItself)
	case !info.Mode().IsRegular():
		return refused(path, "is not a regular file", "")
	}
	return nil
}

// lockTemp does nothing: the system removes no file that is open, and for the rest the age tells.
func lockTemp(string) (*os.File, error) { return nil, nil }

func tempAbandoned(_ string, old bool) (unlock func(), abandoned bool) { return func() {}, old }

// keepOwner has nothing to keep: Windows mode bits say only whether a file is read-only, and the access list comes
// from the folder.
func keepOwner(_ file, _ fs.FileInfo, perm fs.FileMode) fs.FileMode { return perm }

// syncDir has nothing to do: a folder cannot be flushed on Windows, and the rename is journalled.
func syncDir(string) error { return nil }

// OpenTrusted opens a file and checks nothing: the mode bits of Windows say nothing about who may write.
func OpenTrusted(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}

// Open opens a file to read.
func Open(path string) (*os.File, error) { return OpenTrusted(path) }

func openKey(path string) (*os.File, error) { return OpenPrivate(path, os.O_RDONLY) }

func checkReplace(string, fs.FileInfo, int) error { return nil }
