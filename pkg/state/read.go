package state

import (
	"fmt"
	"io"
	"os"
)

// ReadPrivate reads a file that holds a secret. The file itself, not a symbolic link, must be a regular one, owned by
// the current user or root, closed to group and others for reading and writing, and at most MaxSize bytes: FACTS
// section 2, "refuse a key file that others can read". The checks are made on the open file, so nothing can be swapped
// in between. Every failure is an *Error; a missing file satisfies errors.Is(err, fs.ErrNotExist).
func ReadPrivate(path string) ([]byte, error) { return ReadPrivateMax(path, MaxSize) }

// ReadPrivateMax is ReadPrivate for a file of up to limit bytes, which is to be a number of whole MiB.
func ReadPrivateMax(path string, limit int64) ([]byte, error) {
	f, err := openPrivate(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(path, f, limit)
}

// readBounded reads one byte more than is allowed, so that a file that grew after the check is noticed.
func readBounded(path string, f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, failed(path, "cannot look at it", err)
	}
	tooLarge := &Error{Path: path, Msg: fmt.Sprintf("is larger than %d MiB", limit>>20)}
	if info.Size() > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, failed(path, "cannot read", err)
	}
	if int64(len(data)) > limit {
		return nil, tooLarge
	}
	return data, nil
}
