package state

import (
	"errors"
	"io/fs"
	"os"
)

func openAppend(path string) (*os.File, error) {
	if err := checkKind(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, filePerm)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}
