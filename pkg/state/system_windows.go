package state

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// open opens a file so that other processes can rename or replace it meanwhile, as on Unix. os.OpenFile does not.
func open(path string, flag int) (*os.File, error) {
	dir, name := filepath.Split(path)
	if !filepath.IsLocal(name) { // a device, such as NUL
		return os.OpenFile(path, flag, filePerm)
	}
	root, err := os.OpenRoot(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(name, flag, filePerm)
}

// create is open, but if flag has os.O_CREATE and the file is missing, it creates a private file first.
func create(path string, flag int) (*os.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := makeFile(path); err != nil && (flag&os.O_EXCL != 0 || !errors.Is(err, fs.ErrExist)) {
			return nil, err
		}
	}
	return open(path, flag&^(os.O_CREATE|os.O_EXCL))
}

// makeFile creates an empty private file.
func makeFile(path string) error {
	return makePrivate(path, func(name *uint16, attributes *windows.SecurityAttributes) error {
		handle, err := windows.CreateFile(name, windows.GENERIC_WRITE,
			windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, attributes,
			windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
		if err != nil {
			return err
		}
		return windows.CloseHandle(handle)
	})
}

func openLock(path string) (*os.File, error) { return create(path, os.O_CREATE|os.O_RDWR) }

// tryLock reports whether the lock was free. The lock belongs to the handle, so goroutines also exclude each other.
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

func mkdir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), dirPerm); err != nil {
		return err
	}
	if err := makePrivate(path, windows.CreateDirectory); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.MkdirAll(path, dirPerm) // fails if it is not a folder
}

// Rename renames a file within its folder and replaces an existing file of that name, even if it is open. Scanners
// open new files in a way that prevents a rename for a moment, so Rename retries for half a second.
func Rename(from, to string) error {
	root, err := os.OpenRoot(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer root.Close()
	for wait := time.Millisecond; ; wait *= 2 {
		err = root.Rename(filepath.Base(from), filepath.Base(to))
		busy := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !busy || wait > busyTimeout {
			return err
		}
		<-time.After(wait)
	}
}

// busyTimeout is half of the total time that Rename waits.
const busyTimeout = 255 * time.Millisecond

func newTemp(dir string) (*os.File, error) {
	name := strings.Replace(TempPattern, "*", rand.Text(), 1)
	return create(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR)
}

// NotDirError returns another error than err if a path leads through a file. Windows has the same error for a missing
// path.
func NotDirError(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for above := path; ; above = filepath.Dir(above) {
		info, failed := os.Stat(above)
		switch {
		case failed == nil && !info.IsDir():
			return errNotDir
		case failed == nil || above == filepath.Dir(above):
			return err
		}
	}
}

var errNotDir = errors.New("not a directory")

// unixWording gives a system error the wording of other systems.
func unixWording(err error) error {
	switch err {
	case windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND:
		return &unixError{err, "no such file or directory"}
	case windows.ERROR_ACCESS_DENIED:
		return &unixError{err, "permission denied"}
	case windows.ERROR_FILE_EXISTS, windows.ERROR_ALREADY_EXISTS:
		return &unixError{err, "file exists"}
	case windows.ERROR_DISK_FULL:
		return &unixError{err, "no space left on device"}
	case windows.ERROR_SHARING_VIOLATION:
		return &unixError{err, "another program has it open"}
	}
	return err
}

type unixError struct {
	error
	words string
}

func (e *unixError) Error() string { return e.words }
func (e *unixError) Unwrap() error { return e.error }

// lockTemp does nothing: only the age shows whether a process is writing the file.
func lockTemp(string) (*os.File, error) { return nil, nil }

func tempAbandoned(_ string, old bool) (unlock func(), abandoned bool) { return func() {}, old }

// keepOwner gives the new file the access list of its folder if others may read the file. Temporary files have an
// access list for this user only.
func keepOwner(f file, _ fs.FileInfo, perm fs.FileMode) fs.FileMode {
	if perm&0o044 != 0 {
		_ = setList(f.Name(), "D:", windows.UNPROTECTED_DACL_SECURITY_INFORMATION) // on failure it stays private
	}
	return perm
}

// syncDir does nothing: a folder cannot be flushed on Windows, and the rename is journaled.
func syncDir(string) error { return nil }
