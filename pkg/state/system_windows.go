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

// open opens a file in a way that lets others rename or replace it meanwhile, as on Unix. os.OpenFile does not.
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

// create is open, and makes the file for this user alone where the flag says so and it is missing.
func create(path string, flag int) (*os.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := makeFile(path); err != nil && (flag&os.O_EXCL != 0 || !errors.Is(err, fs.ErrExist)) {
			return nil, err
		}
	}
	return open(path, flag&^(os.O_CREATE|os.O_EXCL))
}

// makeFile makes an empty private file.
func makeFile(path string) error {
	return makePrivate(path, func(name *uint16, attributes *windows.SecurityAttributes) error {
		made, err := windows.CreateFile(name, windows.GENERIC_WRITE,
			windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, attributes,
			windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
		if err != nil {
			return err
		}
		return windows.CloseHandle(made)
	})
}

func openLock(path string) (*os.File, error) { return create(path, os.O_CREATE|os.O_RDWR) }

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

// mkdir makes a private folder.
func mkdir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), dirPerm); err != nil {
		return err
	}
	if err := makePrivate(path, windows.CreateDirectory); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.MkdirAll(path, dirPerm) // which fails where it is no folder
}

// Rename gives a file another name in its folder, and replaces what has that name even while it is open. Scanners open new
// files in a way that forbids it for a moment, so it is tried again for half a second.
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

// busyTimeout is half of how long Rename waits in all.
const busyTimeout = 255 * time.Millisecond

// newTemp makes a temporary file.
func newTemp(dir string) (*os.File, error) {
	name := strings.Replace(TempPattern, "*", rand.Text(), 1)
	return create(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR)
}

// NotFolder tells a path through a file from one that is not there, for which Windows has the same error.
func NotFolder(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for above := path; ; above = filepath.Dir(above) {
		info, failed := os.Stat(above)
		switch {
		case failed == nil && !info.IsDir():
			return errNotFolder
		case failed == nil || above == filepath.Dir(above):
			return err
		}
	}
}

var errNotFolder = errors.New("not a directory")

// worded gives an error of the system the words that other systems have for it.
func worded(err error) error {
	switch err {
	case windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND:
		return &wordedError{err, "no such file or directory"}
	case windows.ERROR_ACCESS_DENIED:
		return &wordedError{err, "permission denied"}
	case windows.ERROR_FILE_EXISTS, windows.ERROR_ALREADY_EXISTS:
		return &wordedError{err, "file exists"}
	case windows.ERROR_DISK_FULL:
		return &wordedError{err, "no space left on device"}
	case windows.ERROR_SHARING_VIOLATION:
		return &wordedError{err, "another program has it open"}
	}
	return err
}

type wordedError struct {
	error
	words string
}

func (e *wordedError) Error() string { return e.words }
func (e *wordedError) Unwrap() error { return e.error }

// lockTemp does nothing: the age alone tells whether a process is writing the file.
func lockTemp(string) (*os.File, error) { return nil, nil }

func tempAbandoned(_ string, old bool) (unlock func(), abandoned bool) { return func() {}, old }

// keepOwner gives the new file the access list of its folder, where others may read it: temporary files have one for this
// user alone.
func keepOwner(f file, _ fs.FileInfo, perm fs.FileMode) fs.FileMode {
	if perm&0o044 != 0 {
		_ = setList(f.Name(), "D:", windows.UNPROTECTED_DACL_SECURITY_INFORMATION) // else it stays private
	}
	return perm
}

// syncDir has nothing to do: a folder cannot be flushed on Windows, and the rename is journalled.
func syncDir(string) error { return nil }
