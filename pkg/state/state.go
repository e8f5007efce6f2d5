// Package state owns private files: atomic writes, locks between processes, and the checks of owner and mode that a
// file holding a secret must pass. It refuses to know what the files mean, and it never picks a path: callers hand it
// one.
//
// Windows has access lists in place of modes: what is private there is for the user, the system and its administrators.
package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	// MaxSize is the most bytes that a key or another small file has.
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

const nameItself = "name the file itself, not a link to it"

// refused is the error of a check.
func refused(path, msg, hint string) error { return &Error{Path: path, Msg: msg, HintText: hint} }

// failed is the error of a call of the system.
func failed(path, msg string, err error) error {
	return &Error{Path: path, Msg: msg, Err: Bare(NotFolder(path, err))}
}

// Bare is an error without the path and the operation that the os package put around it, for a message that says them
// already. The words are the same on every system.
func Bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	return worded(err)
}

// MkdirPrivate makes a folder and its missing parents with mode 0700. A folder that exists is left as it is. It fails
// with *Error when something else has the name.
func MkdirPrivate(path string) error {
	if err := mkdir(path); err != nil {
		return failed(path, "cannot make the folder", err)
	}
	return nil
}

// ReadPrivate reads a file that holds a secret, which OpenPrivate opens: FACTS section 2, "refuse a key file that others
// can read". It may have limit bytes, a number of whole MiB. Every failure is an *Error; a missing file satisfies
// errors.Is(err, fs.ErrNotExist).
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := OpenPrivate(path, os.O_RDONLY)
	return readBounded(path, f, err, limit)
}

// ReadKey is ReadPrivate for a key that another program may have put there, as the secrets of Docker and Kubernetes are.
// The name may be a symbolic link to a file inside its own folder, when others cannot write that folder. Others may
// read the file on a mount that is read-only, whichever user owns it there, and where it is root's, with no write bit at all, in
// root's folder on a mount of its own.
func ReadKey(path string) ([]byte, error) {
	f, err := openKey(path)
	return readBounded(path, f, err, MaxSize)
}

// ReadTrusted reads what OpenTrusted opens, at most limit bytes, which is to be a number of whole MiB.
func ReadTrusted(path string, limit int64) ([]byte, error) {
	f, err := OpenTrusted(path)
	return readBounded(path, f, err, limit)
}

// checked gives an open file, and closes one that a check refused.
func checked(f *os.File, err error) (*os.File, error) {
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readBounded reads and closes a file that was opened, or not. It reads one byte more than is allowed, so that a file that
// grew after the check is noticed.
func readBounded(path string, f *os.File, err error, limit int64) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, failed(path, "cannot look at it", err)
	}
	var data bytes.Buffer
	if info.Size() <= limit {
		data = *bytes.NewBuffer(make([]byte, 0, int(info.Size())+bytes.MinRead)) // it is not copied while it is read
		_, err = data.ReadFrom(io.LimitReader(f, limit+1))
	}
	switch {
	case err != nil:
		return nil, failed(path, "cannot read", err)
	case max(info.Size(), int64(data.Len())) > limit:
		return nil, refused(path, fmt.Sprintf("is larger than %d MiB", limit>>20), "")
	}
	return data.Bytes(), nil
}
