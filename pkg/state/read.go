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

// ReadKey is ReadPrivate for a key that another program may have put there, as the secrets of Docker and Kubernetes are.
// The name may be a symbolic link to a file inside its own folder, when others cannot write that folder. Others may
// read the file on a mount that is read-only, whichever user owns it there, and where it is root's, with no write bit at all, in
// root's folder on a mount of its own.
func ReadKey(path string) ([]byte, error) {
	f, err := openKey(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(path, f, MaxSize)
}

// ReadTrusted reads what OpenTrusted opens, at most limit bytes, which is to be a number of whole MiB.
func ReadTrusted(path string, limit int64) ([]byte, error) {
	f, err := OpenTrusted(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(path, f, limit)
}

// ReadPrivateMax is ReadPrivate for a file of up to limit bytes, which is to be a number of whole MiB.
func ReadPrivateMax(path string, limit int64) ([]byte, error) {
	f, err := openPrivate(path, os.O_RDONLY)
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
