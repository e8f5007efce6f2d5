//go:build unix

package state

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openPrivate opens without following a link and without waiting for a FIFO's other end, then checks what it got.
func openPrivate(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, filePerm)
	if err != nil {
		// FreeBSD says EMLINK and NetBSD EFTYPE where the others say ELOOP; only the wording depends on it.
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) {
			return nil, &Error{Path: path, Msg: "is a symbolic link", HintText: "name the file itself, not a link to it"}
		}
		if errors.Is(err, unix.ENXIO) { // a FIFO without a reader, or a socket
			return nil, &Error{Path: path, Msg: "is not a regular file"}
		}
		return nil, failed(path, "cannot open", err)
	}
	err = checkPrivate(path, f, uint32(os.Geteuid()))
	if err == nil && flag&(os.O_WRONLY|os.O_RDWR) != 0 {
		err = checkOneName(path, f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkOneName refuses a hard link: what is written would be in the other file too.
func checkOneName(path string, f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return failed(path, "cannot look at it", err)
	}
	if st.Nlink > 1 {
		return &Error{Path: path, Msg: fmt.Sprintf("is a hard link: the file has %d names", st.Nlink),
			HintText: "name another file, or remove this name: rm " + path}
	}
	return nil
}

// checkPrivate takes the user as an argument, so that a test that runs as root can be another user.
func checkPrivate(path string, f *os.File, uid uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return failed(path, "cannot look at it", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return &Error{Path: path, Msg: "is not a regular file"}
	case st.Uid != uid && st.Uid != 0:
		return &Error{Path: path, Msg: fmt.Sprintf("belongs to user %d", st.Uid),
			HintText: "it must be yours or root's: chown " + path}
	case st.Mode&0o066 != 0:
		return &Error{Path: path, Msg: fmt.Sprintf("can be read or written by others (mode %04o)", st.Mode&0o777),
			HintText: "chmod 600 " + path}
	}
	return nil
}
