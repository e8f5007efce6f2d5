package session

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Where the folder cannot be made, a conversation works in memory: the answer must still arrive.
func TestUnavailable(t *testing.T) {
	block := filepath.Join(t.TempDir(), "file")
	write(t, block, "")
	for _, dir := range []string{block, filepath.Join(block, "ferry", "sessions")} {
		s := Store{dir}
		h, err := s.Open(t.Context(), "work", start, time.Hour)
		if !errors.Is(err, ErrUnavailable) || h == nil {
			t.Fatalf("%s: %v, %v", dir, h, err)
		}
		if err := errors.Join(h.Ask("a", start), h.Answer("b", "", "", start)); err != nil {
			t.Errorf("one warning is enough: %v", err)
		}
		if got := h.Session(); len(got.Turns) != 2 || !isToken(got.Token) {
			t.Errorf("in memory: %+v", got)
		}
		h.Close()
		if _, err := s.Read("work"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Read: %v", err)
		}
		if _, err := s.List(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("List: %v", err)
		}
		if _, err := s.Last(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Last: %v", err)
		}
		if _, err := s.Prune(t.Context(), time.Hour, start); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Prune: %v", err)
		}
		if _, err := s.Remove(t.Context(), "work"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Remove: %v", err)
		}
	}
}

// A disk that fails after Open loses nothing of the conversation in hand, and a later save brings all of it.
func TestDiskFailsInBetween(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	away := s.Dir + "-away"
	if err := os.Rename(s.Dir, away); err != nil {
		t.Skip("the folder cannot be moved while it is in use: ", err)
	}
	if err := h.Ask("a", start); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	check(t, os.Rename(away, s.Dir))
	check(t, h.Answer("b", "", "", start))
	if got, err := s.Read("work"); err != nil || len(got.Turns) != 2 || got.Pending != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A folder that can be read and not written still lends its words.
func TestReadOnlyFolder(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("root, and Windows, write into a folder whose mode says no; the missing lock below stands for it")
	}
	s := newStore(t)
	have(t, s, "work", start)
	check(t, os.Remove(filepath.Join(s.Dir, ".work.lock")))
	check(t, os.Chmod(s.Dir, 0o500))
	t.Cleanup(func() { _ = os.Chmod(s.Dir, 0o700) })
	lent(t, s)
}

func TestLockOutOfReach(t *testing.T) {
	s := newStore(t)
	have(t, s, "work", start)
	lock := filepath.Join(s.Dir, ".work.lock")
	check(t, errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)))
	lent(t, s)
}

// lent opens a session that cannot be locked: its words are there, and the file stays as it is.
func lent(t *testing.T, s Store) {
	t.Helper()
	before := content(t, s.path("work"))
	h, err := s.Open(t.Context(), "work", start, time.Hour)
	if !errors.Is(err, ErrUnavailable) || h == nil || len(h.Session().Turns) != 2 {
		t.Fatalf("got %v, %v", h, err)
	}
	defer h.Close()
	if err := errors.Join(h.Ask("a", start), h.Answer("b", "", "", start)); err != nil {
		t.Error(err)
	}
	if after := content(t, s.path("work")); after != before {
		t.Errorf("the file became %s", after)
	}
}
