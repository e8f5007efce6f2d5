package session

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
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
	if name != "" || !errors.Is(err, ErrNotFound) || err.Error() != "there is no conversation to continue" || text.Hint(err) == "" {
		t.Errorf("no folder: %q, %v", name, err)
	}
	createSession(t, s, "old", start)
	createSession(t, s, "new", start.Add(2*time.Hour))
	createSession(t, s, "mid", start.Add(time.Hour))
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
	check(t, h.Ask("x", nil, start.Add(3*time.Hour)))
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

// TestListDamaged checks that a damaged file is listed with the others, and that Last does not silently return another
// session instead of it.
func TestListDamaged(t *testing.T) {
	s := newStore(t)
	createSession(t, s, "good", start)
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

// TestLastUse reads files from other programs, whose members may be in any order.
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
	createSession(t, s, "a", start)
	createSession(t, s, "b", start)
	removed, err := s.Remove(t.Context(), "a", "unknown")
	if len(removed) != 0 || !errors.Is(err, ErrNotFound) || err.Error() != "there is no conversation unknown" ||
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
	createSession(t, s, "exactly", start)
	createSession(t, s, "older", start.Add(-time.Millisecond))
	createSession(t, s, "ancient", start.Add(-week))
	createSession(t, s, "fresh", now)
	write(t, s.path("bad"), "{")
	removed, err := s.Prune(t.Context(), week, now)
	if !slices.Equal(removed, []string{"older", "ancient"}) || err == nil || !strings.HasPrefix(err.Error(), s.path("bad")+": ") {
		t.Errorf("removed %v, %v", removed, err)
	}
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"bad", "exactly", "fresh"}) {
		t.Errorf("left %v, %v", names, err)
	}
}

// TestStored checks that all conversations are removed with their locks and temporary files, and nothing else.
func TestStored(t *testing.T) {
	s := newStore(t)
	createSession(t, s, "a", start)
	createSession(t, s, "b", start)
	write(t, filepath.Join(s.Dir, "notes.txt"), "not ours")
	stored, err := s.Stored()
	if err != nil || stored.Count != 2 || stored.Where != s.Dir {
		t.Fatalf("got %+v, %v; want 2 conversations in %s", stored, err, s.Dir)
	}
	if _, err := s.Remove(t.Context(), "b"); err != nil { // like another process
		t.Fatal(err)
	}
	check(t, stored.Remove(t.Context()))
	entries, err := os.ReadDir(s.Dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "notes.txt" {
		t.Errorf("left: %v, %v; want notes.txt alone", entries, err)
	}
}

// TestUnavailable checks that a conversation works in memory if the folder cannot be created: the answer must still
// arrive.
func TestUnavailable(t *testing.T) {
	block := filepath.Join(t.TempDir(), "file")
	write(t, block, "")
	for _, dir := range []string{block, filepath.Join(block, "ferry", "sessions")} {
		s := Store{dir}
		h, err := s.Open(t.Context(), "work", start, time.Hour)
		if !errors.Is(err, ErrUnavailable) || h == nil {
			t.Fatalf("%s: %v, %v", dir, h, err)
		}
		if err := errors.Join(h.Ask("a", nil, start), h.Answer("b", "", "", start)); err != nil {
			t.Errorf("one warning is enough: %v", err)
		}
		if got := h.Session(); len(got.Turns) != 2 || !isToken(got.Token) {
			t.Errorf("in memory: %+v", got)
		}
		h.Close()
		_, read := s.Read("work")
		_, list := s.List()
		_, last := s.Last()
		_, prune := s.Prune(t.Context(), time.Hour, start)
		_, remove := s.Remove(t.Context(), "work")
		for i, err := range []error{read, list, last, prune, remove} {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("call %d: got %v, want ErrUnavailable", i, err)
			}
		}
	}
}

// TestDiskFailsInBetween checks that a disk failure after Open loses nothing, and that a later save writes everything.
func TestDiskFailsInBetween(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	away := s.Dir + "-away"
	if err := os.Rename(s.Dir, away); err != nil {
		t.Skip("the folder cannot be moved while it is in use: ", err)
	}
	if err := h.Ask("a", nil, start); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	check(t, os.Rename(away, s.Dir))
	check(t, h.Answer("b", "", "", start))
	if got, err := s.Read("work"); err != nil || len(got.Turns) != 2 || got.Pending != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestReadOnlyFolder checks that a session in a read-only folder can still be opened.
func TestReadOnlyFolder(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("root, and Windows, write into a folder whose mode says no; the missing lock below stands for it")
	}
	s := newStore(t)
	createSession(t, s, "work", start)
	check(t, os.Remove(filepath.Join(s.Dir, ".work.lock")))
	check(t, os.Chmod(s.Dir, 0o500))
	t.Cleanup(func() { _ = os.Chmod(s.Dir, 0o700) })
	openUnlocked(t, s)
}

func TestLockOutOfReach(t *testing.T) {
	s := newStore(t)
	createSession(t, s, "work", start)
	lock := filepath.Join(s.Dir, ".work.lock")
	check(t, errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)))
	openUnlocked(t, s)
}

// openUnlocked opens a session that cannot be locked. It must have its turns, and its file must not change.
func openUnlocked(t *testing.T, s Store) {
	t.Helper()
	before := content(t, s.path("work"))
	h, err := s.Open(t.Context(), "work", start, time.Hour)
	if !errors.Is(err, ErrUnavailable) || h == nil || len(h.Session().Turns) != 2 {
		t.Fatalf("got %v, %v", h, err)
	}
	defer h.Close()
	check(t, errors.Join(h.Ask("a", nil, start), h.Answer("b", "", "", start)))
	if after := content(t, s.path("work")); after != before {
		t.Errorf("the file became %s", after)
	}
}

func TestCheckName(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for _, name := range []string{
		"a", "work", "Work-2_b.c", "2026-11-23-1502-abcd23", "_x", "1", "香港", "Grüße", "नमस्ते", "a..b", "ends.", "x.json",
		"console", "com", "com10", "comlpt1", "lpt", "auxiliary", "my.con", long, "名" + strings.Repeat("x", maxName-3),
	} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	const rule = "use letters, digits, - _ and ., at most 64 bytes"
	tests := []struct{ name, want, hint string }{
		{"", `"" cannot name a conversation: it is empty`, rule},
		{".", `"." cannot name a conversation: it begins with .`, rule},
		{"..", `".." cannot name a conversation: it begins with .`, rule},
		{".hidden", `".hidden" cannot name a conversation: it begins with .`, rule},
		{"-x", `"-x" cannot name a conversation: it begins with -`, rule},
		{"a/b", `"a/b" cannot name a conversation: it has '/'`, rule},
		{"../x", `"../x" cannot name a conversation: it begins with .`, rule},
		{`a\b`, `"a\\b" cannot name a conversation: it has '\\'`, rule},
		{"a b", `"a b" cannot name a conversation: it has ' '`, rule},
		{"a:b", `"a:b" cannot name a conversation: it has ':'`, rule},
		{"a\nb", `"a\nb" cannot name a conversation: it has '\n'`, rule},
		{"a\x00", `"a\x00" cannot name a conversation: it has '\x00'`, rule},
		{"a\x1b[2J", `"a\x1b[2J" cannot name a conversation: it has '\x1b'`, rule},
		{"a\u202eb", `"a\u202eb" cannot name a conversation: it has '\u202e'`, rule},
		{"a\u200bb", `"a\u200bb" cannot name a conversation: it has '\u200b'`, rule},
		{"\u0301a", "\"\u0301a\" cannot name a conversation: it has '\u0301'", rule},
		{"😀", `"😀" cannot name a conversation: it has '😀'`, rule},
		{"a\xff", `"a\xff" cannot name a conversation: it is not UTF-8`, rule},
		{"NUL", `"NUL" cannot name a conversation: Windows has a device of that name`, rule},
		{"con.x", `"con.x" cannot name a conversation: Windows has a device of that name`, rule},
		{"Com1", `"Com1" cannot name a conversation: Windows has a device of that name`, rule},
		{"lpt9.a.b", `"lpt9.a.b" cannot name a conversation: Windows has a device of that name`, rule},
		{"com²", `"com²" cannot name a conversation: Windows has a device of that name`, rule},
		{long + "x", "the name of a conversation has at most 64 bytes; this one has 65", ""},
	}
	for _, tt := range tests {
		err := checkName(tt.name)
		if err == nil || err.Error() != tt.want || text.Hint(err) != tt.hint {
			t.Errorf("%q: got %v, hint %q, want %s, hint %q", tt.name, err, text.Hint(err), tt.want, tt.hint)
		}
	}
}

// TestNameIsCheckedEverywhere checks that every function checks the name before it uses the disk.
func TestNameIsCheckedEverywhere(t *testing.T) {
	s := newStore(t)
	const bad = "../x"
	_, open := s.Open(t.Context(), bad, start, time.Hour)
	_, read := s.Read(bad)
	_, remove := s.Remove(t.Context(), bad)
	for _, err := range []error{open, read, remove} {
		if err == nil || err.Error() != checkName(bad).Error() {
			t.Errorf("got %v", err)
		}
	}
}

func TestNewName(t *testing.T) {
	zone := time.FixedZone("somewhere", 8*60*60)
	form := regexp.MustCompile(`^2026-11-23-2302-[a-z2-7]{6}$`)
	seen := map[string]bool{}
	for range 50 {
		name := NewName(start.In(zone))
		if !form.MatchString(name) || checkName(name) != nil || seen[name] {
			t.Fatalf("%q, %v", name, checkName(name))
		}
		seen[name] = true
	}
}
