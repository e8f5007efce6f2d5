package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// output is one file to write, and what was there before.
type output struct {
	path    string
	content []byte
	perm    fs.FileMode
	old     []byte // nil for none
	oldPerm fs.FileMode
}

// Write puts the configuration into a folder, which is made where it is missing, and makes an empty store of tokens where
// there is none. It replaces only files that begin with Mark, and on any failure leaves both as they were.
func (f *Files) Write(ctx context.Context, dir string, tokens Store) error {
	if _, err := tokens.List(); err != nil {
		return err
	}
	outputs := []*output{
		{path: filepath.Join(dir, KeysFile), content: f.Keys, perm: 0o600},
		{path: filepath.Join(dir, MainFile), content: f.Main, perm: 0o644},
	}
	for _, o := range outputs {
		if err := o.look(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &state.Error{Path: dir, Msg: "cannot make the folder", Err: state.Bare(err)}
	}
	if err := tokens.Create(ctx); err != nil {
		return err
	}
	return writeAll(outputs)
}

// writeAll writes all, or puts back what it has written.
func writeAll(outputs []*output) error {
	for i, o := range outputs {
		if err := state.WriteFile(o.path, o.content, o.perm); err != nil {
			return errors.Join(append([]error{err}, undo(outputs[:i])...)...)
		}
	}
	return nil
}

// look reads what is there, and refuses what is not ferry's.
func (o *output) look() error {
	info, err := os.Lstat(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &state.Error{Path: o.path, Msg: "cannot look at it", Err: state.Bare(err)}
	}
	if info.Mode().IsRegular() {
		file, err := os.Open(o.path)
		if err != nil {
			return &state.Error{Path: o.path, Msg: "cannot open", Err: state.Bare(err)}
		}
		defer file.Close()
		if o.old, err = io.ReadAll(io.LimitReader(file, state.MaxSize)); err != nil {
			return &state.Error{Path: o.path, Msg: "cannot read", Err: state.Bare(err)}
		}
	}
	if !bytes.HasPrefix(o.old, []byte(Mark)) {
		return text.Errorf("name another folder with --out, or move the file away",
			"%s: was not written by ferry, and is not replaced", o.path)
	}
	o.oldPerm = info.Mode().Perm()
	return nil
}

// undo puts back what was there.
func undo(outputs []*output) []error {
	var failed []error
	for _, o := range outputs {
		var err error
		if o.old == nil {
			err = os.Remove(o.path)
		} else {
			err = state.WriteFile(o.path, o.old, o.oldPerm)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}
