package state

import (
	"errors"
	"io/fs"
	"os"
)

// openPrivate checks the kind alone: the mode bits of Windows say nothing about who may read.
func openPrivate(path string, flag int) (*os.File, error) {
	if err := checkKind(path); err != nil && (flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, filePerm)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}

func checkKind(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return failed(path, "cannot open", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return &Error{Path: path, Msg: "is a symbolic link", HintText: "name the file itself, not a link to it"}
	case !info.Mode().IsRegular():
		return &Error{Path: path, Msg: "is not a regular file"}
	}
	return nil
}
