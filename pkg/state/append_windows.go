package state

import (
	"errors"
	"io/fs"
	"os"
)

func openAppend(path string) (*os.File, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, failed(path, "cannot open", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, &Error{Path: path, Msg: "is a symbolic link", HintText: "name the file itself, not a link to it"}
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Msg: "is not a regular file"}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, filePerm)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}
