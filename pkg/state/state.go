// Package state owns private files: atomic writes, locks between processes, and the checks of owner and mode that a
// file with a secret must pass. It does not interpret the files' content and never chooses a path: callers pass the
// path.
//
// Windows has access lists instead of modes. There, private means that only the user, the system and its
// administrators have access.
package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"ferry/pkg/text"
)

const (
	// MaxSize is the maximum size in bytes of a key or another small file.
	MaxSize = 1 << 20

	filePerm = 0o600
	dirPerm  = 0o700
)

// Error reports which file was refused or failed, and why. It never contains the file's content.
type Error struct {
	Path string
	Msg  string
	text.Advice
	Err error // the cause, nil if a check refused the file
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Path + ": " + e.Msg
	}
	return fmt.Sprintf("%s: %s: %v", e.Path, e.Msg, e.Err)
}

// Unwrap returns the cause, so that errors.Is(err, fs.ErrNotExist) is true for a missing file.
func (e *Error) Unwrap() error { return e.Err }

const nameItself = "name the file itself, not a link to it"

// refused returns the error of a failed check.
func refused(path, msg, hint string) error {
	return &Error{Path: path, Msg: msg, Advice: text.Advice(hint)}
}

// failed returns the error of a failed system call.
func failed(path, msg string, err error) error {
	return &Error{Path: path, Msg: msg, Err: StripPath(NotDirError(path, err))}
}

// StripPath returns err without the path and the operation that the os package added, for a message that already
// contains them. The wording is the same on every system.
func StripPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	return unixWording(err)
}

// MkdirPrivate creates a folder and its missing parents with mode 0700. It does not change an existing folder. It
// returns an *Error if the name belongs to something else.
func MkdirPrivate(path string) error {
	if err := mkdir(path); err != nil {
		return failed(path, "cannot create the folder", err)
	}
	return nil
}

// ReadPrivate opens a file that contains a secret with OpenPrivate and reads it: FACTS section 2, "refuse a key file
// that others can read". The file may have at most limit bytes, a whole number of MiB. Every failure is an *Error; for
// a missing file errors.Is(err, fs.ErrNotExist) is true.
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := OpenPrivate(path, os.O_RDONLY)
	return readBounded(path, f, err, limit)
}

// ReadKey is ReadPrivate for a key that another program may have put there, such as a secret of Docker or Kubernetes.
// The name may be a symbolic link to a file inside its own folder, if others cannot write that folder. Others may be
// able to read the file in two cases: if it is on a read-only mount, whoever owns it; or if it belongs to root, has no
// write bits, and is in root's folder on a separate mount.
func ReadKey(path string) ([]byte, error) {
	f, err := openKey(path)
	return readBounded(path, f, err, MaxSize)
}

// ReadTrusted opens a file with OpenTrusted and reads at most limit bytes, a whole number of MiB.
func ReadTrusted(path string, limit int64) ([]byte, error) {
	f, err := OpenTrusted(path)
	return readBounded(path, f, err, limit)
}

// checked returns an open file, or closes it if a check refused it.
func checked(f *os.File, err error) (*os.File, error) {
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readBounded reads and closes a file, unless opening it failed. It reads one byte more than allowed, to detect a file
// that grew after the check.
func readBounded(path string, f *os.File, err error, limit int64) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, failed(path, "cannot stat it", err)
	}
	var data bytes.Buffer
	if info.Size() <= limit {
		data = *bytes.NewBuffer(make([]byte, 0, int(info.Size())+bytes.MinRead)) // never copied while reading
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
