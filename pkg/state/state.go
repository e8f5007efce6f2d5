// Package state owns private files: atomic writes, locks between processes, and the checks of owner and mode that a
// file holding a secret must pass. It refuses to know what the files mean, and it never picks a path: callers hand it
// one.
//
// Owner and mode checks exist on Unix only. On Windows a new file takes the access list of its folder, which for a
// user's profile is that user, and the checks pass.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const (
	// MaxSize is the most bytes that ReadPrivate reads.
	MaxSize = 1 << 20

	filePerm = 0o600
	dirPerm  = 0o700
)

// Error says which file was refused or failed, and why. It never holds the file's content.
type Error struct {
	Path     string
	Msg      string
	HintText string
	Err      error // the cause, nil when the file was refused by a check
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Path + ": " + e.Msg
	}
	return fmt.Sprintf("%s: %s: %v", e.Path, e.Msg, e.Err)
}

// Unwrap gives the cause, so that errors.Is(err, fs.ErrNotExist) holds for a missing file.
func (e *Error) Unwrap() error { return e.Err }

// Hint tells what to do about it; it may be empty.
func (e *Error) Hint() string { return e.HintText }

func failed(path, msg string, err error) error { return &Error{Path: path, Msg: msg, Err: Bare(err)} }

// Bare is an error without the path and the operation that the os package put around it, for a message that says them
// already.
func Bare(err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// MkdirPrivate makes a folder and its missing parents with mode 0700. A folder that exists is left as it is. It fails
// with *Error when something else has the name.
func MkdirPrivate(path string) error {
	if err := os.MkdirAll(path, dirPerm); err != nil {
		return failed(path, "cannot make the folder", err)
	}
	return nil
}
