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

// Save edits the file at path under a lock, so that two at once cannot lose each other's change: it reads, edits,
// checks the result as Parse does, and only then writes. A missing file is edited as an empty one and made with mode
// 0600, its folder with 0700; a file that exists keeps its mode, and a symbolic link stays one. On failure nothing is
// written; the error is edit's, an *Error, or a *state.Error.
func Save(ctx context.Context, path string, edit func(src []byte) ([]byte, error)) error {
	if path == "" {
		return bad("no place for a configuration file", "set FERRY_CONFIG to the path of the file")
	}
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
		var e *Error
		if errors.As(err, &e) && e.File == "" && e.Line > 0 {
			e.File = path
		}
		return err
	}
	if _, err := Parse(path, out); err != nil {
		return err
	}
	return state.WriteFile(path, out, mode)
}

// readForEdit reads a file that may be missing, with the mode that it has or is to have.
func readForEdit(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fileMode, nil
	case err != nil:
		return nil, 0, &Error{File: path, Msg: "cannot look at it", Err: errors.Unwrap(err)}
	case !info.Mode().IsRegular():
		return nil, 0, &Error{File: path, Msg: "is not a regular file"}
	}
	src, err := read(path)
	return src, info.Mode().Perm(), err
}

//go:embed template.yaml
var template string

// Template is the file that ferry config init writes: every key, commented out, with its reason and its default. A "#"
// before a letter, or before two spaces and a letter, goes to make a setting; the rest are remarks. A test holds the
// defaults to Settings.
func Template() []byte { return []byte(template) }

// Init writes Template to path, its folder made with mode 0700 when missing. It never touches a file that exists, nor a
// symbolic link that leads nowhere: that is an *Error for which errors.Is(err, fs.ErrExist) holds.
func Init(path string) error {
	if path == "" {
		return bad("no place for a configuration file", "set FERRY_CONFIG to the path of the file")
	}
	if err := state.MkdirPrivate(filepath.Dir(path)); err != nil {
		return err
	}
	err := state.CreateFile(path, Template(), fileMode)
	if errors.Is(err, fs.ErrExist) {
		return &Error{File: path, Msg: "is there already", Err: fs.ErrExist, Advice: "ferry config set KEY VALUE changes it"}
	}
	return err
}
