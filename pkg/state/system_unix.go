//go:build unix

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"ferry/pkg/text"

	"golang.org/x/sys/unix"
)

func create(path string, flag int) (*os.File, error) { return os.OpenFile(path, flag, filePerm) }

func mkdir(path string) error { return os.MkdirAll(path, dirPerm) }

// Rename renames a file within its folder and replaces an existing file of that name.
func Rename(from, to string) error { return os.Rename(from, to) }

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, filePerm)
}

// tryLock reports whether the lock was free. flock belongs to the open file, so goroutines also exclude each other.
func tryLock(f *os.File) (bool, error) {
	err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func blockLock(f *os.File) error { return flock(f, unix.LOCK_EX) }

// flock continues after a signal, because the Go runtime sends signals.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// CheckOwn returns an *Error unless path is of the wanted type (fs.ModeDir, fs.ModeSocket), belongs to this user, and
// gives other users no access. It checks path itself, not the target of a link. It is for names that another user
// could have taken. For a missing name, errors.Is(err, fs.ErrNotExist) is true.
func CheckOwn(path string, want fs.FileMode) error { return checkOwn(path, want, uint32(os.Geteuid())) }

// checkOwn has the user as an argument, so that a test that runs as root can check as another user.
func checkOwn(path string, want fs.FileMode, uid uint32) error {
	info, err := os.Lstat(path)
	if err != nil {
		return failed(path, "cannot stat it", err)
	}
	st, known := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Type() != want:
		return refused(path, "was replaced after it was created", "")
	case !known || st.Uid != uid:
		return refused(path, fmt.Sprintf("does not belong to user %d", uid), "")
	case info.Mode().Perm()&0o077 != 0:
		return refused(path, fmt.Sprintf("can be used by others (mode %04o)", info.Mode().Perm()), "")
	}
	return nil
}

// OpenPrivate opens a private file. If it is missing and flag has os.O_CREATE, the file is created with mode 0600.
// path must be a regular file, not a symbolic link, owned by the current user or root, that group and others can
// neither read nor write. A file opened for writing must have no other name. The checks are made on the open file, so
// it cannot be replaced in between. Do not pass os.O_TRUNC, which would empty the file before the checks. Every
// failure is an *Error.
func OpenPrivate(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, filePerm)
	if err != nil {
		// FreeBSD returns EMLINK and NetBSD EFTYPE where other systems return ELOOP; only the wording depends on it.
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) {
			return nil, refused(path, "is a symbolic link", nameItself)
		}
		if errors.Is(err, unix.ENXIO) { // a FIFO without a reader, or a socket
			return nil, refused(path, "is not a regular file", "")
		}
		return nil, failed(path, "cannot open", err)
	}
	return checked(f, checkPrivate(path, f, flag&(os.O_WRONLY|os.O_RDWR) != 0, uint32(os.Geteuid())))
}

// checkPrivate has the user as an argument, so that a test that runs as root can check as another user. It refuses to
// write to a hard link, because the write would also change the file of the other name.
func checkPrivate(path string, f *os.File, writes bool, uid uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return failed(path, "cannot stat it", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return refused(path, "is not a regular file", "")
	case st.Uid != uid && st.Uid != 0:
		return wrongOwner(path, st.Uid, uid)
	case st.Mode&0o066 != 0:
		return refused(path, fmt.Sprintf("can be read or written by others (mode %04o)", st.Mode&0o777), "chmod 600 "+text.CommandWord(path))
	case writes && st.Nlink > 1:
		return refused(path, fmt.Sprintf("is a hard link: the file has %d names", st.Nlink), "name another file, or remove this name: rm "+text.CommandWord(path))
	}
	return nil
}

func wrongOwner(path string, owner, uid uint32) error {
	return refused(path, fmt.Sprintf("belongs to user %d", owner),
		fmt.Sprintf("it must be yours or root's: chown %d %s", uid, text.CommandWord(path)))
}

func newTemp(dir string) (*os.File, error) { return os.CreateTemp(dir, TempPattern) }

// unixWording returns err unchanged: ferry uses the wording of Unix on all systems.
func unixWording(err error) error { return err }

// NotDirError returns err unchanged: Unix has a separate error for a path through a file.
func NotDirError(_ string, err error) error { return err }

// lockTemp locks a temporary file through a separate handle, so that the lock stays after the writer closes its
// handle, until the file is renamed. If the file system has no locks, tempAbandoned uses the age of the file.
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
		return nil, fs.ErrNotExist // another process is removing it
	}
	return lock, nil
}

// tempAbandoned reports whether no process is writing the file. If so, it holds the file's lock until unlock.
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

// keepOwner gives the new file the owner and group of the old one, so that a user keeps a file that root edits. It
// returns the mode to set. If the group cannot be kept, its bits are dropped, because they were meant for another
// group.
func keepOwner(f file, old fs.FileInfo, perm fs.FileMode) fs.FileMode {
	if old == nil {
		return perm
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return perm
	}
	// The errors do not matter: Stat returns the actual owner and group.
	_ = f.Chown(int(was.Uid), -1)
	_ = f.Chown(-1, int(was.Gid))
	now, err := f.Stat()
	if err != nil {
		return perm &^ 0o077
	}
	if is, ok := now.Sys().(*syscall.Stat_t); !ok || is.Gid != was.Gid {
		perm &^= 0o070
	}
	return perm
}

// syncDir makes a rename survive a power failure. File systems that cannot flush a folder return EINVAL or ENOTSUP,
// which is not a failure of the write.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil // a folder that can be written but not listed cannot be opened
		}
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
