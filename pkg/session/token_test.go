package session

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokenIdle(t *testing.T) {
	const idle = 10 * time.Minute
	tests := []struct {
		name  string
		after time.Duration
		fresh bool
	}{
		{"at once", 0, false},
		{"just in time", idle, false},
		{"a moment late", idle + time.Millisecond, true},
		{"a year", 365 * 24 * time.Hour, true},
		{"the clock was set back a little", -idle, false},
		{"the clock was set back a lot", -idle - time.Millisecond, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			token := have(t, s, "work", start).Token
			h := must(s.Open(t.Context(), "work", start.Add(tt.after), idle))(t)
			defer h.Close()
			got := h.Session()
			if fresh := got.Token != token; fresh != tt.fresh || !isToken(got.Token) || len(got.Turns) != 2 {
				t.Errorf("token %s after %s, %d turns; want a new one: %v", got.Token, token, len(got.Turns), tt.fresh)
			}
			check(t, h.Ask("x", start))
			if kept, err := s.Read("work"); err != nil || kept.Token != got.Token {
				t.Errorf("the file has %v, %v", kept, err)
			}
		})
	}
}

// The token goes into a header, so that one that was written by hand is not believed.
func TestTokenForm(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token := newToken()
		if !isToken(token) || token[14] != '4' || !strings.Contains("89ab", token[19:20]) || seen[token] {
			t.Fatalf("%q", token)
		}
		seen[token] = true
	}
	for _, token := range []string{"", "x", strings.Repeat("a", 36), "00000000-0000-4000-8000-00000000000\n",
		"00000000-0000-4000-8000-00000000000A", "000000000000040000800000000000000000"} {
		if isToken(token) {
			t.Errorf("%q was taken", token)
		}
	}
	s := newStore(t)
	token := have(t, s, "work", start).Token
	path := filepath.Join(s.Dir, "work.json")
	write(t, path, strings.Replace(content(t, path), token, `x\r\nX-Bad: 1`, 1))
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	if !isToken(h.Session().Token) {
		t.Errorf("token %q", h.Session().Token)
	}
}

func TestIdleAdvised(t *testing.T) {
	for seconds, want := range map[int]bool{0: false, 299: false, 300: true, 450: true, 600: true, 601: false, 7200: false} {
		if got := IdleAdvised(time.Duration(seconds) * time.Second); got != want {
			t.Errorf("%d s: %t", seconds, got)
		}
	}
}
