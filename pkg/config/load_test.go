package config

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestFolders(t *testing.T) {
	root := t.TempDir() // always absolute
	join := filepath.Join
	for _, tt := range []struct {
		find   func(goos string, lookup Lookup) (string, error)
		goos   string
		lookup Lookup
		want   string
	}{
		{Path, "linux", vars("FERRY_CONFIG", "x.yaml", "HOME", "/h"), "x.yaml"},
		{Path, "linux", vars("XDG_CONFIG_HOME", root, "HOME", "/h"), join(root, "ferry", "config.yaml")},
		{Path, "linux", vars("XDG_CONFIG_HOME", "rel", "HOME", "/h"), join("/h", ".config", "ferry", "config.yaml")},
		{Path, "darwin", vars("XDG_CONFIG_HOME", "", "HOME", "/h"), join("/h", ".config", "ferry", "config.yaml")},
		{Path, "windows", vars("AppData", "d", "HOME", "/h"), join("d", "ferry", "config.yaml")},
		{Path, "linux", vars("HOME", ""), ""},
		{Path, "linux", nil, ""},
		{Path, "windows", vars("HOME", "/h"), join("/h", ".config", "ferry", "config.yaml")},
		{Path, "windows", vars("USERPROFILE", "/h"), join("/h", ".config", "ferry", "config.yaml")},
		{Path, "windows", nil, ""},
		{StateDir, "linux", vars("XDG_STATE_HOME", root, "HOME", "/h"), join(root, "ferry")},
		{StateDir, "linux", vars("HOME", root), join(root, ".local", "state", "ferry")},
		{StateDir, "darwin", vars("XDG_STATE_HOME", "x", "HOME", root), join(root, ".local", "state", "ferry")},
		{StateDir, "linux", nil, ""},
		{StateDir, "windows", vars("LocalAppData", root, "HOME", "/h"), join(root, "ferry")},
		{StateDir, "windows", vars("HOME", root), join(root, ".local", "state", "ferry")},
		{StateDir, "windows", nil, ""},
	} {
		got, err := tt.find(tt.goos, tt.lookup)
		var e *Error
		if got != tt.want || (tt.want == "") != (errors.As(err, &e) && e.Hint() != "") {
			t.Errorf("%s: got %q, %v, want %q", tt.goos, got, err, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	check(t, os.WriteFile(in("good"), []byte("timeout: 3s\n"), 0o600))
	check(t, os.WriteFile(in("bad"), []byte("timeout: 3\n"), 0o600))
	for _, path := range []string{"", in("absent"), in("good/config.yaml"), in("no/folder")} {
		if f, err := Load(path); err != nil || f.Path != path || len(f.keys) > 0 {
			t.Errorf("%s: got %+v, %v, want an empty file", path, f, err)
		}
	}
	_ = os.Symlink("absent", in("nowhere"))
	if _, err := os.Readlink(in("nowhere")); err == nil { // on Windows not every user can create a link
		var e *Error
		if f, err := Load(in("nowhere")); !errors.As(err, &e) || e.File != in("nowhere") || e.Hint() == "" {
			t.Errorf("a link that leads nowhere: %+v, %v", f, err)
		}
	}
	if f, err := Load(in("good")); err != nil || f.values["timeout"] != "3s" {
		t.Errorf("got %+v, %v", f, err)
	}
	var e *Error
	if _, err := Load(in("bad")); !errors.As(err, &e) || e.File != in("bad") || e.Line != 1 || e.Column != 10 {
		t.Errorf("got %v", err)
	}
	if _, err := Load(dir); !errors.As(err, &e) || !strings.HasPrefix(err.Error(), dir+": cannot read: ") {
		t.Errorf("a folder: got %v", err)
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"timeout", "timeuot", 1}, {"retry", "retrys", 1}, {"ab", "ba", 1}, {"abc", "xyz", 3},
		{"NODE", "node", 0}, {"香港", "香冈", 1}}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%s, %s: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

const twelveNodes = "\n  n%d: {label: 节点, url: \"https://n%d.example.com/api\", api: messages, key: \"env:K%d\", model: claude-haiku-5-5, headers: {X-Team: core}}"

func BenchmarkLoadTwelveNodes(b *testing.B) {
	src := "node: n1\nretry: {policy: script, attempts: 3, delay: 2s}\ntls: {min: \"1.3\"}\nnodes:"
	for i := range 12 {
		src += strings.ReplaceAll(twelveNodes, "%d", strconv.Itoa(i))
	}
	path := filepath.Join(b.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(src+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if f, err := Load(path); err != nil || len(f.Nodes) != 12 {
			b.Fatal(err)
		}
	}
}
