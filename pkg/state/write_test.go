package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

func TestWriteFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("mode bits are Unix's")
	}
	for _, tt := range []struct {
		name      string
		old, perm fs.FileMode // old 0: no file yet
		want      fs.FileMode
	}{
		{"new", 0, 0o600, 0o600},
		{"new and public, past the umask", 0, 0o666, 0o666},
		{"equal", 0o644, 0o644, 0o644},
		{"stricter is kept", 0o400, 0o600, 0o400},
		{"wider is narrowed", 0o644, 0o600, 0o600},
		{"neither holds the other", 0o606, 0o660, 0o600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestDir(t)
			if tt.old != 0 {
				p.file("f", tt.old)
			}
			must(t, WriteFile(p.in("f"), []byte("new"), tt.perm))
			p.wantMode("f", tt.want)
			p.wantFiles("f")
		})
	}
}

// Dotfile managers link ~/.config into a repository: the link must stay, and its target must change.
func TestWriteFileKeepsLinks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		build  func(p testDir)
		target string
	}{
		{"relative", func(p testDir) { p.link("repo/f", "link") }, "repo/f"},
		{"absolute", func(p testDir) { p.link(p.in("repo/f"), "link") }, "repo/f"},
		{"to nothing yet", func(p testDir) { p.link("repo/g", "link") }, "repo/g"},
		{"two links", func(p testDir) {
			p.build("link -> second", "second -> repo/f")
		}, "repo/f"},
		{"up through a linked folder", func(p testDir) {
			must(p.t, os.MkdirAll(p.in("deep/inner"), 0o700))
			p.build("short -> deep/inner", "link -> short/../h")
		}, "deep/h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestDir(t)
			p.build("repo/ 0700", "repo/f 0600")
			tt.build(p)
			must(t, WriteFile(p.in("link"), []byte("new"), 0o600))
			_, err := os.Readlink(p.in("link"))
			errorIf(t, err != nil, "the link is no link any more: %v", err)
			p.wantContent(tt.target, "new")
		})
	}
}

func TestWriteFileRefuses(t *testing.T) {
	p := newTestDir(t)
	p.build("folder/ 0700", "loop -> loop")
	for name, want := range map[string]string{
		"folder": "is not a regular file", "loop": "has too many links", "absent/f": "cannot find its folder",
	} {
		e, ok := errors.AsType[*Error](WriteFile(p.in(name), []byte("x"), 0o600))
		errorIf(t, !ok || e.Msg != want, "%s: got %v, want %q", name, e, want)
	}
	p.wantFiles("folder", "loop")
}

// Readers must see one complete content or another while many processes write and sweep at once.
func TestWriteFileConcurrently(t *testing.T) {
	p := newTestDir(t)
	page := func(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%02d", i), 8<<10) }
	names := []string{"0", "1", "2", "3"}
	for _, name := range names {
		must(t, WriteFile(p.in(name), page(0), 0o600))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		name := p.in(names[i%4])
		wg.Go(func() {
			for range 20 {
				if err := WriteFile(name, page(i), 0o600); err != nil {
					t.Error(err)
					return
				}
				Sweep(p.dir)
			}
		})
		if runtime.GOOS == "windows" {
			continue // an open file cannot be replaced there
		}
		wg.Go(func() {
			for range 20 {
				got, err := os.ReadFile(name)
				if err != nil || len(got) != 16<<10 || !bytes.Equal(got, bytes.Repeat(got[:2], 8<<10)) {
					t.Errorf("saw a mixture of %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	p.wantFiles(names...)
}

func TestCreateFileNeverReplaces(t *testing.T) {
	p := newTestDir(t)
	must(t, CreateFile(p.in("f"), []byte("first"), 0o600))
	wantError(t, "a file", CreateFile(p.in("f"), []byte("second"), 0o600), fs.ErrExist)
	p.wantContent("f", "first")
	p.link("nowhere", "link")
	wantError(t, "a link that leads nowhere", CreateFile(p.in("link"), []byte("x"), 0o600), fs.ErrExist)
	p.wantFiles("f", "link")
}

func TestMkdirPrivate(t *testing.T) {
	p := newTestDir(t)
	for range 2 {
		must(t, MkdirPrivate(p.in("a/b")))
	}
	if runtime.GOOS != "windows" {
		p.wantMode("a", 0o700)
	}
	p.file("f", 0o600)
	err := MkdirPrivate(filepath.Join(p.dir, "f", "g"))
	errorIf(t, !errors.As(err, new(*Error)), "got %v, want an *Error", err)
}
