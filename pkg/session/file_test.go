package session

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
)

const good = `{"schema":1,"name":"work","used":"2026-11-23T15:02:07Z","started":"2026-11-20T09:00:00Z",` +
	`"token":"8c9ff0a5-7d5c-4a0e-9c5b-0d6c7c1f2a33","turns":[{"role":"user","text":"hi","at":"2026-11-23T15:02:04Z"}]}`

func TestDecodeRefuses(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the example", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "is damaged: unexpected end of JSON input (byte 0)"},
		{"no object", "[]", "is damaged: unexpected array"},
		{"null", "null", "is damaged: schema is missing"},
		{"followed", good + "{}", "is damaged: invalid character '{' after top-level value"},
		{"no schema", swap(`"schema":1,`, ""), "is damaged: schema is missing"},
		{"schema of a string", swap(`1,"name"`, `"1","name"`), "is damaged: schema: unexpected string"},
		{"schema 0", swap(`1,"name"`, `0,"name"`), "is damaged: there is no schema 0"},
		{"newer", swap(`1,"name"`, `2,"name"`), "was written by a newer ferry (schema 2; this one reads 1)"},
		{"no turns", swap(`"turns"`, `"Turns"`), "is damaged: turns is missing"},
		{"null turns", `{"schema":1,"name":"a","used":"2026-11-23T15:02:07Z","started":"2026-11-23T15:02:07Z","token":"","turns":null}`,
			"is damaged: turns is missing"},
		{"turn of a string", swap(`{"role":"user","text":"hi","at":"2026-11-23T15:02:04Z"}`, `"hi"`),
			"turn 1: is damaged: unexpected string"},
		{"null turn", swap(`{"role":"user","text":"hi","at":"2026-11-23T15:02:04Z"}`, `null`),
			"turn 1: is damaged: role is missing"},
		{"role", swap(`"role":"user"`, `"role":"root"`), `turn 1: is damaged: there is no role "root"`},
		{"no text", swap(`"text":"hi",`, ""), "turn 1: is damaged: text is missing"},
		{"time", swap(`"2026-11-23T15:02:07Z"`, `"yesterday"`), "is damaged: used: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := decode([]byte(good)); err != nil {
		t.Error(err)
	}
}

// TestCutFile checks that every function refuses a file that was cut anywhere, and does not change it.
func TestCutFile(t *testing.T) {
	for n := range len(good) {
		if _, err := decode([]byte(good[:n])); err == nil {
			t.Fatalf("the first %d bytes were taken for a whole file", n)
		}
	}
	s := newStore(t)
	path := s.path("work")
	for _, damaged := range []string{"", good[:60], good[:len(good)-1], strings.Replace(good, `:1,`, `:2,`, 1)} {
		write(t, path, damaged)
		h, err := s.Open(t.Context(), "work", start, time.Hour)
		if err == nil || h != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) ||
			!strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(text.Hint(err), "ferry config session rm work") {
			t.Errorf("%q: got %v, %v with hint %q", damaged, h, err, text.Hint(err))
		}
		if h != nil {
			h.Close()
		}
		if got := content(t, path); got != damaged {
			t.Errorf("the file became %q", got)
		}
	}
	if _, err := s.Remove(t.Context(), "work"); err != nil {
		t.Errorf("a damaged file cannot be removed: %v", err)
	}
	mustOpen(t, s, "work", start) // the failed calls above released the lock
}

func TestTooLarge(t *testing.T) {
	s := newStore(t)
	path := s.path("work")
	write(t, path, good)
	check(t, os.Truncate(path, maxSize+1))
	if _, err := s.Read("work"); err == nil || err.Error() != path+": is larger than 64 MiB" {
		t.Errorf("got %v", err)
	}
}

// TestUnknownFieldsSurvive checks that fields of a later version are kept, even if they differ from known ones only in
// case.
func TestUnknownFieldsSurvive(t *testing.T) {
	s := newStore(t)
	text := strings.Replace(good, `"schema":1`, `"schema":1,"usage":{"in":[1, 2]},"Token":"other","<":"é"`, 1)
	text = strings.Replace(text, `"role":"user"`, `"role":"user","cost":1e-3`, 1)
	write(t, s.path("work"), text)
	for range 2 {
		h := mustOpen(t, s, "work", time.Date(2026, 11, 23, 15, 3, 0, 0, time.UTC))
		check(t, errors.Join(h.Ask("a", nil, start), h.Answer("b", "", "", start)))
		if h.Session().Token != "8c9ff0a5-7d5c-4a0e-9c5b-0d6c7c1f2a33" {
			t.Errorf("token %s", h.Session().Token)
		}
		h.Close()
	}
	got := must(s.Read("work"))(t)
	if len(got.Turns) != 5 || string(got.Turns[0].other["cost"]) != "1e-3" || string(got.other["Token"]) != `"other"` ||
		len(got.other) != 3 || strings.Join(strings.Fields(string(got.other["usage"])), "") != `{"in":[1,2]}` {
		t.Errorf("got %+v", got)
	}
	if object, err := got.MarshalJSON(); err != nil || string(object) != content(t, s.path("work")) {
		t.Errorf("the object is %s, %v", object, err)
	}
}

// TestCopiedFile checks that the file name counts: a copy is a separate session.
func TestCopiedFile(t *testing.T) {
	s := newStore(t)
	write(t, s.path("copy"), good)
	if got, err := s.Read("copy"); err != nil || got.Name != "copy" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `"role"`, `"cost":1,"role"`, 1)))
	f.Add([]byte(strings.Replace(good, `"name"`, `"pending":"x","NAME":[{}],"nodes":"a","name"`, 1)))
	f.Add([]byte(`{"schema":1,"turns":[{},null,{"role":"assistant"}]}`))
	f.Add([]byte(`{"schema":9}`))
	f.Add([]byte(good[:40]))
	f.Fuzz(func(t *testing.T, data []byte) {
		used, _ := lastUse(data)
		s, err := decode(data)
		if err != nil {
			return
		}
		// With a single unescaped "used", lastUse must find the same time as decode.
		if bytes.Count(data, []byte("used")) == 1 && !bytes.ContainsRune(data, '\\') && !used.Equal(s.Used) {
			t.Errorf("lastUse says %v, decode %v", used, s.Used)
		}
		once, err := s.MarshalJSON()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := decode(once)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, once)
		}
		again, err := back.MarshalJSON()
		if err != nil || !bytes.Equal(once, again) {
			t.Fatalf("a round changed the file (%v):\n%s\n%s", err, once, again)
		}
		if len(back.Turns) != len(s.Turns) || back.Pending != s.Pending || len(back.other) != len(s.other) ||
			!reflect.DeepEqual(words(back), words(s)) {
			t.Fatalf("a round changed %+v into %+v", s, back)
		}
		if early, err := lastUse(once); err != nil || !early.Equal(back.Used) {
			t.Errorf("lastUse says %v, %v; decode %v", early, err, back.Used)
		}
	})
}

func words(s *Session) []string {
	var all []string
	for _, turn := range s.Turns {
		all = append(all, turn.Role, turn.Text, turn.Node, turn.Model)
	}
	return all
}
