//go:build unix

package session

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOpenWithFewFiles checks that Open returns a conversation with its turns or an error if few files can be opened,
// and never a nil handle without an error.
func TestOpenWithFewFiles(t *testing.T) {
	store := Store{t.TempDir()}
	kept := must(store.Open(t.Context(), "kept", start, time.Hour))(t)
	check(t, kept.Ask("hello", nil, start))
	kept.Close()
	var before unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	few := before
	few.Cur = min(64, few.Cur)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	for range 64 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		open = append(open, f)
	}
	if len(open) == 64 {
		t.Fatal("the limit has no effect")
	}
	outcomes := map[string]int{}
	for spare := range 5 {
		for _, name := range []string{"kept", "new"} {
			h, err := store.Open(t.Context(), name, start, time.Hour)
			switch {
			case err == nil && h != nil && (name == "new" || h.Session().Pending == "hello"):
				outcomes["open"]++
			case errors.Is(err, ErrUnavailable) && h != nil && name == "new":
				outcomes["in memory"]++
			case err != nil && !errors.Is(err, ErrUnavailable) && h == nil:
				outcomes["refused"]++
			default:
				t.Errorf("%s with %d files to spare: %v, %v", name, spare, h, err)
			}
			if h != nil {
				h.Close()
			}
		}
		open[0].Close()
		open = open[1:]
	}
	if outcomes["open"] == 0 || outcomes["in memory"] == 0 || outcomes["refused"] == 0 {
		t.Errorf("%v: not all was tested", outcomes)
	}
}

// TestRefusedFiles checks that a file that another user could have created is refused, and neither read nor replaced.
func TestRefusedFiles(t *testing.T) {
	tests := []struct {
		name, want string
		make       func(path string) error
	}{
		{"link", "is a symbolic link", func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		}},
		{"dangling link", "is a symbolic link", func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink(filepath.Join(filepath.Dir(path), "elsewhere"), path))
		}},
		{"open to others", "can be read or written by others (mode 0644)", func(path string) error {
			return os.Chmod(path, 0o644)
		}},
		{"fifo", "is not a regular file", func(path string) error {
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600))
		}},
		{"foreign", "belongs to user 65534", func(path string) error { return os.Chown(path, 65534, -1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			createSession(t, s, "work", start)
			path := s.path("work")
			if err := tt.make(path); err != nil {
				if tt.name == "foreign" {
					t.Skip("only root can give a file away: ", err)
				}
				t.Fatal(err)
			}
			before := must(os.Lstat(path))(t)
			h, err := s.Open(t.Context(), "work", start, time.Hour)
			if err == nil || h != nil || errors.Is(err, ErrUnavailable) || !strings.HasPrefix(err.Error(), path+": "+tt.want) {
				t.Errorf("Open: %v, %v", h, err)
			}
			infos, err := s.List()
			if err != nil || len(infos) != 1 || infos[0].Err == nil {
				t.Errorf("List: %+v, %v", infos, err)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("the file was replaced: %v", err)
			}
			if _, err := os.Lstat(filepath.Join(s.Dir, "elsewhere")); err == nil {
				t.Error("the link was followed")
			}
		})
	}
}
