package state

import (
	"io"
	"io/fs"
	"os"
)

// disk is what a write asks of the system, step by step, so that a test can make each step fail in turn.
type disk struct {
	createTemp func(dir string) (f file, release func(), err error)
	create     func(path string) (file, error)
	rename     func(from, to string) error
	remove     func(path string) error
	syncDir    func(dir string) error
}

// file is what a write asks of an open file.
type file interface {
	io.WriteCloser
	Name() string
	Chmod(fs.FileMode) error
	Chown(uid, gid int) error
	Stat() (fs.FileInfo, error)
	Sync() error
}

// system is the disk itself.
func system() disk {
	return disk{
		createTemp: func(dir string) (file, func(), error) { return createTemp(dir) },
		create: func(path string) (file, error) {
			return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filePerm)
		},
		rename:  os.Rename,
		remove:  os.Remove,
		syncDir: syncDir,
	}
}
