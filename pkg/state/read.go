package state

import (
	"io"
	"os"
)

// ReadPrivate reads a file that holds a secret. The file itself, not a symbolic link, must be a regular one, owned by
// the current user or root, closed to group and others for reading and writing, and at most MaxSize bytes: FACTS
// section 2, "refuse a key file that others can read". The checks are made on the open file, so nothing can be swapped
// in between. Every failure is an *Error; a missing file satisfies errors.Is(err, fs.ErrNotExist).
func ReadPrivate(path string) ([]byte, error) {
	f, err := openPrivate(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(path, f)
}

// readBounded reads one byte more than is allowed, so that a file that grew after the check is noticed.
func readBounded(path string, f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, failed(path, "cannot read", err)
	}
	if len(data) > MaxSize {
		return nil, &Error{Path: path, Msg: "is larger than 1 MiB"}
	}
	return data, nil
}
