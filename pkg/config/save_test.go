package config

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "config.yaml")
	set := func(key, value string) error {
		return Save(t.Context(), path, func(src []byte) ([]byte, error) { return Set(src, key, value) })
	}
	check(t, set("timeout", "5m"))
	checkMode := func(path string, want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %04o", path, info.Mode(), err, want)
		}
	}
	checkMode(path, 0o600)
	checkMode(filepath.Dir(path), 0o700)
	check(t, os.Chmod(path, 0o644))
	check(t, set("node", "demo"))
	checkMode(path, 0o644)
	before, err := os.ReadFile(path)
	if err != nil || string(before) != "timeout: 5m\nnode: demo\n" {
		t.Fatalf("got %q, %v", before, err)
	}

	// Nothing is written on an error, whatever its source.
	why := errors.New("why")
	if err := Save(t.Context(), path, func([]byte) ([]byte, error) { return nil, why }); err != why {
		t.Errorf("got %v", err)
	}
	err = Save(t.Context(), path, func([]byte) ([]byte, error) { return []byte("zzz: 1\n"), nil })
	if err == nil || err.Error() != path+":1:1: zzz: unknown key" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Save(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("changed to %q, %v", after, err)
	}
	// An error with a position in the file gets the file's name.
	check(t, os.WriteFile(path, []byte("a: b\n"), 0o600))
	if err := set("timeout", "5m"); err == nil || err.Error() != path+":1:1: a: unknown key" {
		t.Errorf("got %v", err)
	}
}

// No edit is lost if many run at once.
func TestSaveTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := Save(t.Context(), path, func(src []byte) ([]byte, error) {
				return Set(src, "nodes.n"+strconv.Itoa(i)+".url", "https://h")
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f, err := Load(path)
	if err != nil || len(f.Nodes) != 8 {
		t.Errorf("got %d nodes, %v", len(f.Nodes), err)
	}
}

func TestInit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ferry", "config.yaml")
	check(t, Init(path))
	if f, err := Load(path); err != nil || len(f.values) != 0 || len(f.Nodes) != 0 {
		t.Errorf("got %+v, %v", f, err)
	}
	var e *Error
	if err := Init(path); !errors.Is(err, fs.ErrExist) || !errors.As(err, &e) || e.Hint() == "" {
		t.Errorf("a second time: got %v", err)
	}
	link := filepath.Join(dir, "link")
	_ = os.Symlink("nowhere", link)
	if _, err := os.Readlink(link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := Init(link); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link that leads nowhere: got %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("the link was followed")
	}
}

// With every setting enabled, the template is valid, names every key, and shows the defaults.
func TestTemplate(t *testing.T) {
	on := regexp.MustCompile(`(?m)^#(  )?(\pL)`).ReplaceAllString(string(Template()), "$1$2")
	f, err := Parse("config.yaml", []byte(on))
	if err != nil {
		t.Fatalf("%v\n%s", err, on)
	}
	for _, s := range keys {
		got, ok := f.values[s.Key]
		want := s.Default
		if s.Key == "proxy" {
			want = "none"
		}
		switch {
		case s.Usage == "":
			name := s.Key[strings.LastIndex(strings.TrimSuffix(s.Key, ".*"), ".")+1:]
			if name, _, _ = strings.Cut(name, "."); !strings.Contains(string(Template()), name) {
				t.Errorf("%s is not in the template", s.Key)
			}
		case !s.inFile() || s.Key == "tls.ca" || s.Key == "filter.words": // a remark names them
			continue
		case !ok: // without a default, an example is shown
			t.Errorf("%s is not in the template", s.Key)
		}
		if want != "" && got != want {
			t.Errorf("%s: the template shows %q, want %q", s.Key, got, want)
		}
	}
	if len(f.Nodes) != 6 {
		t.Errorf("%d example nodes, want 6", len(f.Nodes))
	}
	out, err := Set(Template(), "timeout", "5m")
	if err != nil || string(out) != string(Template())+"timeout: 5m\n" {
		t.Errorf("set in the template: %v", err)
	}
}
