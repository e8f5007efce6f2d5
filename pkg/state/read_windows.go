package state

import (
	"io/fs"
	"os"
)

// openPrivate checks the kind alone: the mode bits of Windows say nothing about who may read.
func openPrivate(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, &Error{Path: path, Msg: "is a symbolic link", HintText: "name the file itself, not a link to it"}
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Msg: "is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}
