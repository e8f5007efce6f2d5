//go:build unix

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ferry/pkg/text"

	"golang.org/x/sys/unix"
)

// OpenTrusted opens a file that controls what ferry does, such as the configuration. Only this user and root may be
// able to write it: the file and each symbolic link to it must belong to one of them, in folders where others cannot
// replace files, and group and others must not be able to write the file. A file on a read-only mount cannot be
// written, so it is not checked. A pipe must pass the checks of owner and mode; a device is not checked. Open refuses
// a FIFO. Every failure is an *Error.
func OpenTrusted(path string) (*os.File, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	return checked(f, checkTrusted(path, f, uint32(os.Geteuid())))
}

// Open opens a file for reading. It never waits for the writer of a FIFO: it refuses a FIFO. A pipe from the shell, as
// in <(command), is accepted. Every failure is an *Error.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = failed(path, "cannot stat it", err)
	case info.Mode()&fs.ModeNamedPipe != 0 && !fromShell(path):
		err = refused(path, "is not a regular file", "copy the data from the FIFO to a file")
	}
	return checked(f, err)
}

// fromShell reports whether a path names an open file of this process.
func fromShell(path string) bool {
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// checkTrusted has the user as an argument, so that a test that runs as root can check as another user.
func checkTrusted(path string, f *os.File, uid uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return failed(path, "cannot stat it", err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case kind != unix.S_IFREG && kind != unix.S_IFIFO, readOnlyMount(f):
		return nil
	case st.Uid != uid && st.Uid != 0:
		return wrongOwner(path, st.Uid, uid)
	case st.Mode&0o022 != 0:
		return refused(path, fmt.Sprintf("can be written by others (mode %04o)", st.Mode&0o777), "chmod go-w "+text.CommandWord(path))
	case kind == unix.S_IFIFO:
		return nil
	}
	return checkLinks(path, uid)
}

// checkReplace checks a name that WriteFile is going to follow or replace. A link must belong to this user or root,
// and must not be in a folder that everyone can write. In such a folder an existing file must also belong to this user
// or root, because the new file would be given to the owner of the old one.
func checkReplace(path string, info fs.FileInfo) error {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return failed(path, "cannot stat its folder", err)
	}
	open, others := dir.Mode().Perm()&0o002 != 0, isOthers(info, uint32(os.Geteuid()))
	switch link := info.Mode()&fs.ModeSymlink != 0; {
	case link && others:
		return refused(path, "is a symbolic link of another user", nameItself)
	case link && open:
		return refused(path, "is a symbolic link in a folder that others can write", nameItself)
	case open && others:
		return refused(path, "belongs to another user, in a folder that others can write", "name another file")
	}
	return nil
}

// isOthers reports whether a file belongs neither to the user nor to root.
func isOthers(info fs.FileInfo, uid uint32) bool {
	st, known := info.Sys().(*syscall.Stat_t)
	return !known || st.Uid != uid && st.Uid != 0
}

// checkLinks follows the symbolic links from path to the file and checks each link and its folder.
func checkLinks(path string, uid uint32) error {
	for range maxLinks {
		dir := filepath.Dir(path)
		info, err := os.Stat(dir)
		if err != nil {
			return failed(dir, "cannot stat it", err)
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 && !readOnlyFolder(dir) {
			return refused(dir, fmt.Sprintf("is a folder in which everyone can replace files (mode %04o)", info.Mode().Perm()),
				"chmod o-w "+text.CommandWord(dir))
		}
		if info, err = os.Lstat(path); err != nil {
			return failed(path, "cannot stat it", err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return nil
		}
		if isOthers(info, uid) {
			return refused(path, "is a symbolic link of another user", "name the file itself, or create the link again")
		}
		target, err := os.Readlink(path)
		if err != nil {
			return failed(path, "cannot read the link", err)
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return refused(path, "has too many symbolic links before it", "")
}

// openKey opens a key file and checks it by the rules of ReadKey.
func openKey(path string) (*os.File, error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	link := info.Mode()&fs.ModeSymlink != 0
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // stays in the folder, does not wait for a FIFO's writer
	switch {
	case err != nil && link && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return nil, refused(path, "is a symbolic link out of its folder", nameItself)
	case err != nil:
		return nil, failed(path, "cannot open", err)
	}
	return checked(f, checkKey(path, dir, f, link, uint32(os.Geteuid())))
}

// checkKey is checkPrivate, but also accepts files that a container runtime mounts.
func checkKey(path, dir string, f *os.File, link bool, uid uint32) error {
	var st, folder, top unix.Stat_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &st), unix.Stat(dir, &folder), unix.Stat("/", &top)); err != nil {
		return failed(path, "cannot stat it", err)
	}
	readOnly := readOnlyMount(f)
	closed := (folder.Uid == 0 || folder.Uid == uid) && folder.Mode&0o022 == 0 || readOnlyFolder(dir)
	mounted := readOnly || st.Uid == 0 && st.Mode&0o222 == 0 && st.Dev != top.Dev && folder.Uid == 0 && closed
	switch {
	case link && !closed:
		return refused(path, "is a symbolic link in a folder that others can write", nameItself)
	case mounted && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o022 == 0:
		return nil
	}
	return checkPrivate(path, f, false, uid)
}
