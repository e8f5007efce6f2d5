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

// Write puts the configuration into a folder and makes an empty store of tokens where there is none. It replaces only
// files that begin with Mark, and on any failure leaves both as they were. A missing folder is made, and none above it: a
// mistyped path must not get the keys.
func (f *Files) Write(ctx context.Context, dir string, tokens Store) (made bool, err error) {
	if _, err := tokens.List(); err != nil {
		return false, err
	}
	keys, main := filepath.Join(dir, KeysFile), filepath.Join(dir, MainFile)
	old, perm, err := readOwn(keys)
	if err != nil {
		return false, err
	}
	if _, _, err := readOwn(main); err != nil {
		return false, err
	}
	if made, err = makeFolder(dir); err != nil {
		return false, err
	}
	if err := tokens.Create(ctx); err != nil {
		return made, err
	}
	return made, f.replace(keys, main, old, perm)
}

// makeFolder makes a folder where there is none.
func makeFolder(dir string) (made bool, err error) {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return false, nil
	}
	if err = os.Mkdir(dir, 0o755); err == nil {
		return true, nil
	}
	fault := &state.Error{Path: dir, Msg: "cannot make the folder", Err: state.Bare(err)}
	if errors.Is(err, fs.ErrNotExist) {
		fault.HintText = "mkdir -p " + text.ShellWord(filepath.Dir(dir)) + " if the path is right"
	}
	return false, fault
}

// replace writes both files. Where the second fails, the first becomes what it was, nil for none.
func (f *Files) replace(keys, main string, old []byte, perm fs.FileMode) error {
	if err := state.WriteFile(keys, f.Keys, 0o600); err != nil {
		return err
	}
	err := state.WriteFile(main, f.Main, 0o644)
	switch {
	case err == nil:
		return nil
	case old == nil:
		return errors.Join(err, os.Remove(keys))
	}
	return errors.Join(err, state.WriteFile(keys, old, perm))
}

// readOwn reads a file that may be missing, and refuses what is not ferry's.
func readOwn(path string) (content []byte, perm fs.FileMode, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, &state.Error{Path: path, Msg: "cannot look at it", Err: state.Bare(err)}
	}
	if info.Mode().IsRegular() {
		file, err := os.Open(path)
		if err != nil {
			return nil, 0, &state.Error{Path: path, Msg: "cannot open", Err: state.Bare(err)}
		}
		defer file.Close()
		if content, err = io.ReadAll(io.LimitReader(file, state.MaxSize)); err != nil {
			return nil, 0, &state.Error{Path: path, Msg: "cannot read", Err: state.Bare(err)}
		}
	}
	if !bytes.HasPrefix(content, []byte(Mark)) {
		return nil, 0, text.Errorf("name another folder with --out, or move the file away",
			"%s: was not written by ferry, and is not replaced", path)
	}
	return content, info.Mode().Perm(), nil
}
