package state

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
			return create(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
		},
		rename:  Rename,
		remove:  os.Remove,
		syncDir: syncDir,
	}
}

// maxLinks bounds a chain of symbolic links, as Linux does.
const maxLinks = 40

// WriteFile puts data into path so that a reader, or a crash at any moment, sees the old content or the new, never a
// mixture: a temporary file in the same folder, made with mode 0600, is written, flushed, renamed over the target, and
// the folder is flushed. A symbolic link is kept, as the managers of dotfiles want, and its target is replaced;
// but a link that another user made or could have made is refused.
//
// A new file gets perm. A file that exists keeps its bits where they are no wider than perm; bits beyond perm are
// dropped. On Unix its owner and group are kept where the system allows it. The folder must exist. On failure, always
// an *Error, nothing is left behind. What a killed process left is removed by the next write in that folder.
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
		return failed(path, "cannot make a temporary file beside it", err)
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

// CheckWritable finds out whether WriteFile could put a file there. It fails with *Error and changes nothing.
func CheckWritable(path string) error {
	target, _, err := resolve(path)
	if err != nil {
		return err
	}
	probe, release, err := createTemp(filepath.Dir(target))
	if err != nil {
		return failed(path, "cannot make a temporary file beside it", err)
	}
	defer release()
	probe.Close()
	return system().abandon(probe.Name(), nil)
}

// CreateFile writes a new file and never touches one that exists: a name in use, be it a symbolic link that leads
// nowhere, is an *Error for which errors.Is(err, fs.ErrExist) holds. A file that could not be written whole is removed.
// A crash in the middle leaves its beginning: it is for files of which a part does no harm.
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

// fill writes and flushes f, and closes it in every case. The mode is set through the handle, past the umask.
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

// abandon removes what a failed write left and returns why it failed, with the removal's own failure if there is one.
// Being already gone is what was wanted.
func (d disk) abandon(path string, why error) error {
	if err := d.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(why, failed(path, "cannot remove what was half written", err))
	}
	return why
}

// resolve follows symbolic links to the name that a rename has to replace, which need not exist. The second value
// describes the file there, nil when there is none.
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
			return "", nil, failed(path, "cannot look at it", err)
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
