//go:build unix

package state

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// CheckOwn fails with *Error unless path itself, not what a link leads to, is of the wanted type (fs.ModeDir,
// fs.ModeSocket), belongs to this user, and other users can do nothing with it. It is for names under which somebody
// else could have put something. A name that does not exist is an error for which fs.ErrNotExist holds.
func CheckOwn(path string, want fs.FileMode) error { return checkOwn(path, want, uint32(os.Geteuid())) }

// checkOwn takes the user as an argument, so that a test that runs as root can be another user.
func checkOwn(path string, want fs.FileMode, uid uint32) error {
	info, err := os.Lstat(path)
	if err != nil {
		return failed(path, "cannot look at it", err)
	}
	st, known := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Type() != want:
		return &Error{Path: path, Msg: "is something else than it was made as"}
	case !known || st.Uid != uid:
		return &Error{Path: path, Msg: fmt.Sprintf("belongs to another user than %d", uid)}
	case info.Mode().Perm()&0o077 != 0:
		return &Error{Path: path, Msg: fmt.Sprintf("can be used by others (mode %04o)", info.Mode().Perm())}
	}
	return nil
}
