// Package config owns the configuration file, the nodes that it defines, their keys, and the precedence of flags,
// environment, file and defaults. It does not read the environment or the argument list itself: callers pass a Lookup.
// It never shows a secret, a line of the file, or a value that might be a secret: errors name the position, the key
// and what is expected there.
//
// A secret in the file is always a reference (env:, file:, cmd:, keyring:), never the secret. Anchors, aliases, merge
// keys and tags are refused, so that the written value is the effective value and one value can be edited on its own.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// MaxSize is the maximum size of the file in bytes.
const MaxSize = 1 << 20

// Lookup looks up an environment variable, like os.LookupEnv. An empty variable counts as not set.
type Lookup func(name string) (string, bool)

// Get returns a variable's value, or "" if it is not set. A nil Lookup has no variables.
func (l Lookup) Get(name string) string {
	if l == nil {
		return ""
	}
	v, _ := l(name)
	return v
}

// Error is an error in the file, in a variable or in a flag. It prints as "file:line:column: key: message", without
// the missing parts, and never contains a value that may be secret.
type Error struct {
	File         string // "" if no file is at fault
	Line, Column int    // 1-based, in characters; 0 if unknown
	Key          string // a dotted key, a variable or a flag
	Msg          string
	text.Advice
	Err error // the cause, if the system returned one
}

func (e *Error) Error() string {
	place := e.File
	if e.Line > 0 {
		place = strings.TrimPrefix(fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column), ":")
	}
	parts := []string{place, e.Key, e.Msg}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
}

// Unwrap returns the cause, so that errors.Is(err, fs.ErrPermission) is true for a file that may not be read.
func (e *Error) Unwrap() error { return e.Err }

// newError returns an Error without a position.
func newError(msg, hint string) *Error { return &Error{Msg: msg, Advice: text.Advice(hint)} }

// given makes e an error about the value of a flag or a variable: invalid --timeout "0": use …. It repeats the value
// only if the value is too short to be a secret and has no @, because an address can contain a password.
func (e *Error) given(name, value string) *Error {
	e.Key = "invalid " + name
	if len(value) <= 16 && !strings.Contains(value, "@") {
		e.Key += " " + strconv.Quote(value)
	}
	return e
}

// File is a configuration file that was read and checked. The zero File means that there is no file.
type File struct {
	Path  string   // as it was given; "" if unknown
	Nodes []string // the names, in the file's order

	keys      []string            // the dotted keys that have a value, in the file's order
	values    map[string]string   // their values
	positions map[string]position // positions of these, of groups (by name) and of list items (key/item)
}

// position is a position in the file.
type position struct{ line, column int }

// Dir returns the folder that relative paths in the file are relative to.
func (f *File) Dir() string { return filepath.Dir(f.Path) }

// origin returns the file and line of a key, as in "config.yaml:3".
func (f *File) origin(key string) string {
	return filepath.Base(f.Path) + ":" + strconv.Itoa(f.positions[key].line)
}

// under returns the file's entries in a group, with the rest of their names as keys, in the file's order.
func (f *File) under(group string) []Entry {
	var list []Entry
	for _, key := range f.keys {
		if name, ok := strings.CutPrefix(key, group+"."); ok {
			list = append(list, Entry{name, f.values[key], f.origin(key)})
		}
	}
	return list
}

// Path returns the path of the file: FERRY_CONFIG, else $XDG_CONFIG_HOME/ferry/config.yaml, else
// $HOME/.config/ferry/config.yaml; on Windows %AppData%\ferry\config.yaml. A relative XDG_CONFIG_HOME is ignored, as
// the XDG specification requires. It returns an *Error only if none of the variables is usable; Load("") still works
// then.
func Path(goos string, lookup Lookup) (string, error) {
	if p := lookup.Get("FERRY_CONFIG"); p != "" {
		return p, nil
	}
	dir, missing := folder(goos, lookup, "AppData", "XDG_CONFIG_HOME", ".config")
	if missing != "" {
		return "", newError("no place for a configuration file: "+missing+" is not set", "set FERRY_CONFIG to the path of the file")
	}
	return filepath.Join(dir, "config.yaml"), nil
}

// StateDir returns the folder for ferry's stored data: $XDG_STATE_HOME/ferry, else $HOME/.local/state/ferry; on
// Windows %LocalAppData%\ferry. A relative XDG_STATE_HOME is ignored. It fails only if none of the variables is
// usable.
func StateDir(goos string, lookup Lookup) (string, error) {
	dir, missing := folder(goos, lookup, "LocalAppData", "XDG_STATE_HOME", filepath.Join(".local", "state"))
	if missing == "" {
		return dir, nil
	}
	hint := "set it to a folder of yours"
	if missing == "HOME" {
		hint = "set HOME or XDG_STATE_HOME to a folder of yours"
	}
	return "", newError("no folder to store files: "+missing+" is not set", hint)
}

// folder returns one of ferry's folders: on Windows from the Windows variable, else from the XDG variable, or below
// HOME. If none of them is usable, it returns the name of the missing variable.
func folder(goos string, lookup Lookup, windows, xdg, below string) (dir, missing string) {
	missing = "HOME"
	if goos == "windows" {
		missing = windows
		if dir := lookup.Get(windows); dir != "" {
			return filepath.Join(dir, "ferry"), ""
		}
	}
	if dir := lookup.Get(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ferry"), ""
	}
	if dir := HomeDir(lookup); dir != "" {
		return filepath.Join(dir, below, "ferry"), ""
	}
	return "", missing
}

// HomeDir returns the user's home folder, or "" if no variable names it. Windows has a different variable for it.
func HomeDir(lookup Lookup) string { return cmp.Or(lookup.Get("HOME"), lookup.Get("USERPROFILE")) }

// Load reads and checks the file at path. A missing file, or no path at all, is an empty File. A symbolic link to a
// missing file is an error, because a file is expected. Errors are *Error.
func Load(path string) (*File, error) {
	if _, err := os.Lstat(path); missing(err) {
		return &File{Path: path}, nil
	}
	src, err := read(path)
	switch {
	case missing(err):
		return nil, &Error{File: path, Msg: "is a symbolic link to a missing file", Advice: "create the link again, or remove it"}
	case err != nil:
		return nil, err
	}
	return Parse(path, src)
}

// CheckNamed returns an *Error if path, the value of FERRY_CONFIG, does not exist. Otherwise the filter and the audit
// log would be off without any message.
func CheckNamed(path string) error {
	if _, err := os.Stat(path); missing(err) {
		return &Error{Key: "FERRY_CONFIG", Msg: "there is no file " + path,
			Advice: "correct the path, or unset FERRY_CONFIG; ferry config init writes a file there"}
	}
	return nil
}

// missing is also true if a part of the path is a file: daemons have /dev/null as home.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func read(path string) ([]byte, error) {
	src, err := state.ReadTrusted(path, MaxSize)
	refused, ok := errors.AsType[*state.Error](err)
	switch {
	case !ok:
		return src, err
	case refused.Err != nil:
		return nil, &Error{File: path, Msg: "cannot read", Err: refused.Err}
	}
	return nil, &Error{File: refused.Path, Msg: refused.Msg, Advice: refused.Advice}
}

// Parse checks src as the content of the file at path. The path is used only for messages and relative paths. It
// returns an *Error for the first fault in the file's order.
func Parse(path string, src []byte) (*File, error) {
	root, err := parseTree(src)
	if err == nil {
		var f *File
		if f, err = fileOf(path, root); err == nil {
			return f, nil
		}
	}
	err.File = path
	return nil, err
}

// fileOf checks the content of a tree, which is nil for a file without content.
func fileOf(path string, root *yaml.Node) (*File, *Error) {
	f := &File{Path: path, values: map[string]string{}, positions: map[string]position{}}
	if root == nil {
		return f, nil
	}
	if err := f.decode(root, nil); err != nil {
		return nil, err
	}
	return f, f.complete()
}
