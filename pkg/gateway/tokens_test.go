package gateway

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/text"
)

func TestTokens(t *testing.T) {
	store := Store{Path: filepath.Join(t.TempDir(), "deep", "tokens.conf")}
	if tokens, err := store.List(); err != nil || len(tokens) != 0 {
		t.Fatalf("without a file: %v, %v", tokens, err)
	}
	now := time.Date(2026, 11, 23, 4, 0, 0, 5, time.UTC)
	seen := map[string]bool{}
	var names []string
	for _, role := range []string{"dev", "ci", "dev"} {
		token, secret, err := store.New(t.Context(), role, now)
		check(t, err)
		if !regexp.MustCompile(`^ferry_[a-z2-7]{32}$`).MatchString(secret) || seen[secret] {
			t.Errorf("the token %q is none, or not new", secret)
		}
		if strings.Contains(secret, token.Name) {
			t.Errorf("the public name %q is a part of the token", token.Name)
		}
		seen[secret] = true
		names = append(names, token.Name)
	}
	tokens, err := store.List()
	if err != nil || len(tokens) != 3 || tokens[1].Role != "ci" || !tokens[0].Created.Equal(now.Truncate(time.Second)) {
		t.Fatalf("got %v, %v", tokens, err)
	}
	if info, err := os.Stat(store.Path); err != nil || hasModes && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := store.Revoke(t.Context(), names[0], "00000000"); err == nil || err.Error() != "there is no such token" || text.Hint(err) == "" {
		t.Errorf("an unknown one: got %v", err)
	}
	if tokens, _ := store.List(); len(tokens) != 3 {
		t.Errorf("one of the two was revoked all the same")
	}
	check(t, store.Revoke(t.Context(), names[0], names[2]))
	if tokens, err := store.List(); err != nil || len(tokens) != 1 || tokens[0].Name != names[1] {
		t.Errorf("left: %v, %v", tokens, err)
	}
}

func TestTokensFromManyProcesses(t *testing.T) {
	store := Store{Path: filepath.Join(t.TempDir(), "tokens.conf")}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, _, err := store.New(t.Context(), "dev", time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tokens, err := store.List(); err != nil || len(tokens) != 8 {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
}

func TestTokensRefused(t *testing.T) {
	long := "ferry_" + strings.Repeat("a", 32)
	good := Token{Name: nameOf(long), Role: "dev", Created: time.Unix(0, 0), secret: long}.line()
	short := Token{Name: nameOf("short"), Role: "dev", secret: "short"}.line()
	tests := []struct{ name, lines, want string }{
		{"fine", good, ""},
		{"comments", "# mine\n\n" + good, ""},
		{"short", good + short, ":3:1: the token is too short: at least 32 characters are needed"},
		{"an expression", `"~^.*$" "dev:00000000"; # 2026-11-23T04:00:00Z` + "\n", ":2:1: the line is not a token"},
		{"a plain word", `"` + long + `" "dev:00000000"; # 2026-11-23T04:00:00Z` + "\n", ":2:1: the line is not a token"},
		{"a directive behind it", strings.TrimSuffix(good, "\n") + "; default dev;\n", ":2:1: the line is not a token"},
		{"default", "default \"dev:00000000\";\n", ":2:1: the line is not a token"},
		{"another name", strings.Replace(good, nameOf(long), "00000000", 1), ":2:1: the name does not belong to this token"},
		{"no date", strings.Replace(good, "1970", "x", 1), ":2:1: the token has no date"},
		{"twice", good + good, ":3:1: the token is listed twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := Store{Path: filepath.Join(t.TempDir(), "tokens.conf")}
			check(t, os.WriteFile(store.Path, []byte(Mark+tt.lines), 0o600))
			_, err := store.List()
			if tt.want == "" {
				check(t, err)
				return
			}
			if err == nil || err.Error() != store.Path+tt.want {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			if strings.Contains(err.Error()+text.Hint(err), long) {
				t.Errorf("%v shows the token", err)
			}
			if _, _, err := store.New(t.Context(), "dev", time.Now()); err == nil {
				t.Error("a token was added to it")
			}
		})
	}
	store := Store{Path: filepath.Join(t.TempDir(), "tokens.conf")}
	check(t, os.WriteFile(store.Path, []byte("mine\n"), 0o600))
	if _, _, err := store.New(t.Context(), "dev", time.Now()); err == nil {
		t.Error("somebody else's file was replaced")
	}
	check(t, os.Chmod(store.Path, 0o644))
	if _, err := store.List(); err == nil {
		t.Error("a file that others can read was taken")
	}
}
