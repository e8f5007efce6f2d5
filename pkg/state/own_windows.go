package state

import (
	"io/fs"
	"os"
)

// CheckOwn checks the type alone: the mode bits of Windows say nothing about who may use a file.
func CheckOwn(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return failed(path, "cannot look at it", err)
	}
	if info.Mode().Type() != want {
		return &Error{Path: path, Msg: "is something else than it was made as"}
	}
	return nil
}
