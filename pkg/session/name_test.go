package session

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
)

func TestCheckName(t *testing.T) {
	long := strings.Repeat("x", maxName)
	for _, name := range []string{
		"a", "work", "Work-2_b.c", "2026-11-23-1502-abcd23", "_x", "1", "香港", "Grüße", "नमस्ते", "a..b", "ends.", "x.json",
		"console", "com", "com10", "lpt", "auxiliary", "my.con", long, "名" + strings.Repeat("x", maxName-3),
	} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	const rule = "letters, digits, - _ and . make a name, up to 64 bytes"
	tests := []struct{ name, want, hint string }{
		{"", `"" cannot name a session: it is empty`, rule},
		{".", `"." cannot name a session: it begins with .`, rule},
		{"..", `".." cannot name a session: it begins with .`, rule},
		{".hidden", `".hidden" cannot name a session: it begins with .`, rule},
		{"-x", `"-x" cannot name a session: it begins with -`, rule},
		{"a/b", `"a/b" cannot name a session: it has '/'`, rule},
		{"../x", `"../x" cannot name a session: it begins with .`, rule},
		{`a\b`, `"a\\b" cannot name a session: it has '\\'`, rule},
		{"a b", `"a b" cannot name a session: it has ' '`, rule},
		{"a:b", `"a:b" cannot name a session: it has ':'`, rule},
		{"a\nb", `"a\nb" cannot name a session: it has '\n'`, rule},
		{"a\x00", `"a\x00" cannot name a session: it has '\x00'`, rule},
		{"a\x1b[2J", `"a\x1b[2J" cannot name a session: it has '\x1b'`, rule},
		{"a\u202eb", `"a\u202eb" cannot name a session: it has '\u202e'`, rule},
		{"a\u200bb", `"a\u200bb" cannot name a session: it has '\u200b'`, rule},
		{"\u0301a", "\"\u0301a\" cannot name a session: it has '\u0301'", rule},
		{"😀", `"😀" cannot name a session: it has '😀'`, rule},
		{"a\xff", `"a\xff" cannot name a session: it is not UTF-8`, rule},
		{"NUL", `"NUL" cannot name a session: Windows has a device of that name`, rule},
		{"con.x", `"con.x" cannot name a session: Windows has a device of that name`, rule},
		{"Com1", `"Com1" cannot name a session: Windows has a device of that name`, rule},
		{"lpt9.a.b", `"lpt9.a.b" cannot name a session: Windows has a device of that name`, rule},
		{"com²", `"com²" cannot name a session: Windows has a device of that name`, rule},
		{long + "x", "a session's name has at most 64 bytes; this one has 65", ""},
	}
	for _, tt := range tests {
		err := checkName(tt.name)
		if err == nil || err.Error() != tt.want || text.Hint(err) != tt.hint {
			t.Errorf("%q: got %v, hint %q, want %s, hint %q", tt.name, err, text.Hint(err), tt.want, tt.hint)
		}
	}
}

// Every way in checks the name before it touches the disk.
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
