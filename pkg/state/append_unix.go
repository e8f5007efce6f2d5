//go:build unix

package state

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, filePerm)
	if err != nil {
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) {
			return nil, &Error{Path: path, Msg: "is a symbolic link", HintText: "name the file itself, not a link to it"}
		}
		return nil, failed(path, "cannot open", err)
	}
	if err := checkPrivate(path, f, uint32(os.Geteuid())); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
