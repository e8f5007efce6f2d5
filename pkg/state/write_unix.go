//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepOwner gives the new file the owner and group of the one it replaces, so that root editing a user's file does not
// take it away, and returns the mode to set. Where the group cannot be kept, its bits are dropped: they were meant for
// another group.
func keepOwner(f file, old fs.FileInfo, perm fs.FileMode) fs.FileMode {
	if old == nil {
		return perm
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return perm
	}
	// The result is what counts: the answer of stat says whose file it is now, whatever the calls said.
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

// syncDir makes a rename last through a power cut. Filesystems that cannot flush a folder say EINVAL or ENOTSUP, which
// is no failure of the write.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil // a folder that may be written but not listed cannot be opened
		}
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
