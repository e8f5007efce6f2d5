package session

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
)

func TestListAndLast(t *testing.T) {
	s := newStore(t)
	if infos, err := s.List(); err != nil || len(infos) != 0 {
		t.Errorf("no folder: %v, %v", infos, err)
	}
	if names, err := s.Prune(t.Context(), time.Hour, start); err != nil || len(names) != 0 {
		t.Errorf("no folder: %v, %v", names, err)
	}
	name, err := s.Last()
	if name != "" || !errors.Is(err, ErrNotFound) || err.Error() != "there is no session to continue" || text.Hint(err) == "" {
		t.Errorf("no folder: %q, %v", name, err)
	}
	have(t, s, "old", start)
	have(t, s, "new", start.Add(2*time.Hour))
	have(t, s, "mid", start.Add(time.Hour))
	write(t, filepath.Join(s.Dir, "notes.txt"), "not ours")
	write(t, filepath.Join(s.Dir, "bad name.json"), "not ours")
	infos := must(s.List())(t)
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
		if info.Err != nil || info.Turns != 2 || info.Pending {
			t.Errorf("%+v", info)
		}
	}
	if got := strings.Join(names, " "); got != "new mid old" {
		t.Errorf("listed %s", got)
	}
	if name, err := s.Last(); name != "new" || err != nil {
		t.Errorf("last: %q, %v", name, err)
	}
	h := mustOpen(t, s, "old", start) // a prompt that fails counts as use
	check(t, h.Ask("x", start.Add(3*time.Hour)))
	h.Close()
	if name, err := s.Last(); name != "old" || err != nil {
		t.Errorf("last: %q, %v", name, err)
	}
	if infos, _ := s.List(); !infos[0].Pending || infos[0].Turns != 2 {
		t.Errorf("%+v", infos[0])
	}
	if names, err := s.Names(); err != nil || strings.Join(names, " ") != "mid new old" {
		t.Errorf("names: %v, %v", names, err)
	}
}

// A damaged file is listed, and hides no other, but --continue does not quietly take the second best.
func TestListDamaged(t *testing.T) {
	s := newStore(t)
	have(t, s, "good", start)
	write(t, s.path("bad"), "{")
	for _, tt := range []struct {
		written time.Time
		last    string
		fails   bool
	}{
		{start.Add(-time.Hour), "good", false},
		{start.Add(time.Hour), "bad", true},
	} {
		check(t, os.Chtimes(s.path("bad"), tt.written, tt.written))
		name, err := s.Last()
		if name != tt.last || (err != nil) != tt.fails || tt.fails && !strings.Contains(err.Error(), s.path("bad")) {
			t.Errorf("last: %q, %v", name, err)
		}
		infos, err := s.List()
		if err != nil || len(infos) != 2 || infos[0].Name != tt.last || (infos[0].Err != nil) != tt.fails {
			t.Errorf("list: %+v, %v", infos, err)
		}
	}
}

// A file by another hand may have its members in any order.
func TestLastUse(t *testing.T) {
	want := time.Date(2026, 11, 23, 15, 2, 7, 0, time.UTC)
	long := strings.Repeat("x", headSize)
	for _, text := range []string{
		good,
		strings.Replace(good, `"name"`, `"note":"`+long+`","name"`, 1),
		strings.Replace(good, `"name"`, `"note":{"used":"2001-01-01T00:00:00Z"},"name"`, 1),
	} {
		if got, err := lastUse([]byte(text)); err != nil || !got.Equal(want) {
			t.Errorf("%.80s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "[]", "{", `{"used":1}`, `{"schema":1}`} {
		if got, err := lastUse([]byte(text)); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRemove(t *testing.T) {
	s := newStore(t)
	have(t, s, "a", start)
	have(t, s, "b", start)
	removed, err := s.Remove(t.Context(), "a", "unknown")
	if len(removed) != 0 || !errors.Is(err, ErrNotFound) || err.Error() != "there is no session unknown" ||
		text.Hint(err) != "ferry config session list shows them" {
		t.Errorf("got %v, %v", removed, err)
	}
	if _, err := s.Read("a"); err != nil {
		t.Errorf("one unknown name, and another is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, ".unknown.lock")); err == nil {
		t.Error("a lock was made for nothing")
	}
	removed, err = s.Remove(t.Context(), "a", "b", "a")
	if err != nil || !slices.Equal(removed, []string{"a", "b"}) {
		t.Errorf("got %v, %v", removed, err)
	}
	if infos, err := s.List(); err != nil || len(infos) != 0 {
		t.Errorf("left: %v, %v", infos, err)
	}
}

func TestPrune(t *testing.T) {
	s := newStore(t)
	const week = 7 * 24 * time.Hour
	now := start.Add(week)
	have(t, s, "exactly", start)
	have(t, s, "older", start.Add(-time.Millisecond))
	have(t, s, "ancient", start.Add(-week))
	have(t, s, "fresh", now)
	write(t, s.path("bad"), "{")
	removed, err := s.Prune(t.Context(), week, now)
	if !slices.Equal(removed, []string{"older", "ancient"}) || err == nil || !strings.HasPrefix(err.Error(), s.path("bad")+": ") {
		t.Errorf("removed %v, %v", removed, err)
	}
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"bad", "exactly", "fresh"}) {
		t.Errorf("left %v, %v", names, err)
	}
}

// TestStored removes all conversations, with the locks and the half-written files beside them, and nothing else.
func TestStored(t *testing.T) {
	s := newStore(t)
	have(t, s, "a", start)
	have(t, s, "b", start)
	write(t, filepath.Join(s.Dir, "notes.txt"), "not ours")
	stored, err := s.Stored()
	if err != nil || stored.Count != 2 || stored.Where != s.Dir {
		t.Fatalf("got %+v, %v; want 2 conversations in %s", stored, err, s.Dir)
	}
	if _, err := s.Remove(t.Context(), "b"); err != nil { // as another process may
		t.Fatal(err)
	}
	check(t, stored.Remove(t.Context()))
	entries, err := os.ReadDir(s.Dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "notes.txt" {
		t.Errorf("left: %v, %v; want notes.txt alone", entries, err)
	}
}
