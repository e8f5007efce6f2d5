package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// Write writes the configuration to a folder and creates an empty token store if there is none. It replaces only files
// that begin with Mark, and on failure leaves both as they were. It creates a missing folder, but not its parents, so
// that a mistyped path does not receive the keys.
func (f *Files) Write(ctx context.Context, dir string, tokens Store) (created bool, err error) {
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
	if created, err = makeFolder(dir); err != nil {
		return false, err
	}
	if err := tokens.Create(ctx); err != nil {
		return created, err
	}
	return created, f.replace(keys, main, old, perm)
}

// makeFolder creates a folder if it is missing.
func makeFolder(dir string) (created bool, err error) {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return false, nil
	}
	if err = os.Mkdir(dir, 0o755); err == nil {
		return true, nil
	}
	fault := &state.Error{Path: dir, Msg: "cannot create the folder", Err: state.StripPath(err)}
	if errors.Is(err, fs.ErrNotExist) {
		fault.Advice = text.Advice(mkdirCommand(filepath.Dir(dir)) + " if the path is right")
	}
	return false, fault
}

// mkdirCommand returns the command that creates a folder and its missing parents.
func mkdirCommand(dir string) string {
	if runtime.GOOS == "windows" {
		return "mkdir " + text.CommandWord(dir)
	}
	return "mkdir -p " + text.CommandWord(dir)
}

// replace writes both files. If the second write fails, it restores the first; old is nil if the file was missing.
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

// readOwn reads a file that may be missing, and refuses a file that ferry did not write.
func readOwn(path string) (content []byte, perm fs.FileMode, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, &state.Error{Path: path, Msg: "cannot stat it", Err: state.StripPath(err)}
	}
	if info.Mode().IsRegular() {
		file, err := os.Open(path)
		if err != nil {
			return nil, 0, &state.Error{Path: path, Msg: "cannot open", Err: state.StripPath(err)}
		}
		defer file.Close()
		if content, err = io.ReadAll(io.LimitReader(file, state.MaxSize+1)); err != nil {
			return nil, 0, &state.Error{Path: path, Msg: "cannot read", Err: state.StripPath(err)}
		}
		if len(content) > state.MaxSize { // replace would restore only a part of it
			return nil, 0, text.Errorf("name another folder with --out, or move the file away",
				"%s: is larger than %s, and is not replaced", path, text.Size(state.MaxSize))
		}
	}
	if !bytes.HasPrefix(content, []byte(Mark)) {
		return nil, 0, text.Errorf("name another folder with --out, or move the file away",
			"%s: was not written by ferry, and is not replaced", path)
	}
	return content, info.Mode().Perm(), nil
}
