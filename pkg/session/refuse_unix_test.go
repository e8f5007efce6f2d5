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
)

// A file that somebody else could have put there is refused by every way in, and neither read nor replaced.
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
			have(t, s, "work", start)
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
