package state

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk holds the system calls of a write, so that a test can make each step fail in turn.
type disk struct {
	createTemp func(dir string) (f file, release func(), err error)
	create     func(path string) (file, error)
	rename     func(from, to string) error
	remove     func(path string) error
	syncDir    func(dir string) error
}

// file holds the calls of a write on an open file.
type file interface {
	io.WriteCloser
	Name() string
	Chmod(fs.FileMode) error
	Chown(uid, gid int) error
	Stat() (fs.FileInfo, error)
	Sync() error
}

// system returns the real disk.
func system() disk {
	return disk{
		createTemp: func(dir string) (file, func(), error) { return createTemp(dir) },
		create: func(path string) (file, error) {
			return create(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
		},
		rename:  Rename,
		remove:  os.Remove,
		syncDir: syncDir,
	}
}

// maxLinks limits a chain of symbolic links. Linux has the same limit.
const maxLinks = 40

// WriteFile writes data to path atomically: a reader, or a crash at any moment, sees the old content or the new, never
// a mixture. It creates a temporary file in the same folder with mode 0600, writes and flushes it, renames it over the
// target, and flushes the folder. A symbolic link is kept, as dotfile managers need, and its target is replaced. A
// link that another user made or could have made is refused.
//
// A new file gets perm. An existing file keeps its mode, without the bits that are not in perm. On Unix its owner and
// group are kept if the system allows it. The folder must exist. Every failure is an *Error and leaves nothing behind.
// The next write in the folder removes what a killed process left.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return system().writeFile(path, data, perm)
}

func (d disk) writeFile(path string, data []byte, perm fs.FileMode) error {
	target, old, err := resolve(path)
	if err != nil {
		return err
	}
	if old != nil {
		perm &= old.Mode().Perm()
	}
	Sweep(filepath.Dir(target))
	tmp, release, err := d.createTemp(filepath.Dir(target))
	if err != nil {
		return failed(path, "cannot create a temporary file beside it", err)
	}
	defer release()
	if err := fill(tmp, data, perm.Perm(), old); err != nil {
		return d.abandon(tmp.Name(), failed(path, "cannot write", err))
	}
	if err := d.rename(tmp.Name(), target); err != nil {
		return d.abandon(tmp.Name(), failed(path, "cannot replace", err))
	}
	if err := d.syncDir(filepath.Dir(target)); err != nil {
		return failed(path, "cannot flush its folder", err)
	}
	return nil
}

// CheckWritable checks whether WriteFile could write path. Every failure is an *Error. It changes nothing.
func CheckWritable(path string) error {
	target, _, err := resolve(path)
	if err != nil {
		return err
	}
	probe, release, err := createTemp(filepath.Dir(target))
	if err != nil {
		return failed(path, "cannot create a temporary file beside it", err)
	}
	defer release()
	probe.Close()
	return system().abandon(probe.Name(), nil)
}

// CreateFile writes a new file and never changes an existing one. If the name exists, even as a symbolic link without
// a target, it returns an *Error for which errors.Is(err, fs.ErrExist) is true. An incomplete file is removed on
// failure. A crash in the middle leaves an incomplete file, so CreateFile is only for files of which a part does no
// harm.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	return system().createFile(path, data, perm)
}

func (d disk) createFile(path string, data []byte, perm fs.FileMode) error {
	f, err := d.create(path)
	if err != nil {
		return failed(path, "cannot create", err)
	}
	if err := fill(f, data, perm.Perm(), nil); err != nil {
		return d.abandon(path, failed(path, "cannot write", err))
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return failed(path, "cannot flush its folder", err)
	}
	return nil
}

// fill writes, flushes and always closes f. It sets the mode through the handle, because the umask does not apply
// there.
func fill(f file, data []byte, perm fs.FileMode, old fs.FileInfo) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(keepOwner(f, old, perm))
	}
	if err == nil {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

// abandon removes what a failed write left and returns why, joined with the error of the removal if there is one. A
// missing file is not an error.
func (d disk) abandon(path string, why error) error {
	if err := d.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(why, failed(path, "cannot remove the incomplete file", err))
	}
	return why
}

// resolve follows symbolic links to the name that a rename has to replace, which need not exist. The second value
// describes the file of that name, or is nil if there is none.
func resolve(path string) (string, fs.FileInfo, error) {
	name := path
	for range maxLinks {
		// The folder is resolved first, and names are joined without cleaning: "link/../x" is not "x".
		dir, base := filepath.Split(name)
		if dir == "" {
			dir = "."
		}
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return "", nil, failed(path, "cannot find its folder", err)
		}
		name = filepath.Join(dir, base)
		info, err := os.Lstat(name)
		if err == nil {
			if err := checkReplace(name, info); err != nil {
				return "", nil, err
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name, nil, nil
		case err != nil:
			return "", nil, failed(path, "cannot stat it", err)
		case info.Mode().IsRegular():
			return name, info, nil
		case info.Mode()&fs.ModeSymlink == 0:
			return "", nil, refused(path, "is not a regular file", "")
		}
		to, err := os.Readlink(name)
		if err != nil {
			return "", nil, failed(path, "cannot follow the link", err)
		}
		if filepath.IsAbs(to) {
			name = to
		} else {
			name = dir + string(filepath.Separator) + to
		}
	}
	return "", nil, refused(path, "has too many links", "")
}
