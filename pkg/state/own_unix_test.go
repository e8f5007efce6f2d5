//go:build unix

package state

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckOwn(t *testing.T) {
	base, err := os.MkdirTemp("", "own") // a test's own folder can have too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	in := func(name string) string { return filepath.Join(base, name) }
	me := uint32(os.Geteuid())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(in("folder"), 0o700))
	must(os.Mkdir(in("open"), 0o700))
	must(os.Chmod(in("open"), 0o710))
	must(os.Symlink(in("folder"), in("link")))
	must(os.WriteFile(in("file"), nil, 0o600))
	l, err := net.Listen("unix", in("socket"))
	must(err)
	defer l.Close()
	must(os.Chmod(in("socket"), 0o600))
	l2, err := net.Listen("unix", in("shared"))
	must(err)
	defer l2.Close()
	must(os.Chmod(in("shared"), 0o666))
	tests := []struct {
		name string
		want fs.FileMode
		user uint32
		says string
	}{
		{"folder", fs.ModeDir, me, ""},
		{"socket", fs.ModeSocket, me, ""},
		{"open", fs.ModeDir, me, "can be used by others (mode 0710)"},
		{"shared", fs.ModeSocket, me, "can be used by others (mode 0666)"},
		{"link", fs.ModeDir, me, "is something else"},
		{"file", fs.ModeSocket, me, "is something else"},
		{"folder", fs.ModeSocket, me, "is something else"},
		{"folder", fs.ModeDir, me + 1, "belongs to another user"},
		{"socket", fs.ModeSocket, me + 1, "belongs to another user"},
	}
	for _, tt := range tests {
		err := checkOwn(in(tt.name), tt.want, tt.user)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
	if err := CheckOwn(in("missing"), fs.ModeDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	must(CheckOwn(in("folder"), fs.ModeDir))
}
