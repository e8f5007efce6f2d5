package config

import (
	"context"
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ferry/pkg/state"
)

const fileMode = 0o600

// Save edits the file at path under a lock, so that two concurrent edits cannot lose a change: it reads, edits, checks
// the result with Parse, and only then writes. A missing file is edited as an empty file and created with mode 0600,
// its folder with 0700. An existing file keeps its mode, and a symbolic link stays a link. On failure nothing is
// written; the error is the error of edit, an *Error, or a *state.Error.
func Save(ctx context.Context, path string, edit func(src []byte) ([]byte, error)) error {
	dir := filepath.Dir(path)
	if err := state.MkdirPrivate(dir); err != nil {
		return err
	}
	unlock, err := state.Lock(ctx, filepath.Join(dir, "."+filepath.Base(path)+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	src, mode, err := readForEdit(path)
	if err != nil {
		return err
	}
	out, err := edit(src)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && e.File == "" && e.Line > 0 {
			e.File = path
		}
		return err
	}
	if _, err := Parse(path, out); err != nil {
		return err
	}
	return state.WriteFile(path, out, mode)
}

// readForEdit reads a file that may be missing. It returns the file's mode, or the mode of a new file.
func readForEdit(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fileMode, nil
	case err != nil:
		return nil, 0, &Error{File: path, Msg: "cannot stat it", Err: errors.Unwrap(err)}
	case !info.Mode().IsRegular():
		return nil, 0, &Error{File: path, Msg: "is not a regular file"}
	}
	src, err := read(path)
	return src, info.Mode().Perm(), err
}

//go:embed template.yaml
var template string

// Template returns the file that ferry config init writes: every key, commented out, with its reason and its default.
// To make a setting effective, remove the "#" before a letter, or before two spaces and a letter; the other "#" lines
// are remarks. A test compares the defaults with Settings.
func Template() []byte { return []byte(template) }

// Init writes Template to path. It creates a missing folder with mode 0700. It never changes an existing file or a
// symbolic link without a target: for these it returns an *Error for which errors.Is(err, fs.ErrExist) is true.
func Init(path string) error {
	if err := state.MkdirPrivate(filepath.Dir(path)); err != nil {
		return err
	}
	err := state.CreateFile(path, Template(), fileMode)
	if errors.Is(err, fs.ErrExist) {
		return &Error{File: path, Err: fs.ErrExist, Advice: "ferry config set KEY VALUE changes it"}
	}
	return err
}
