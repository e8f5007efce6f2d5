package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ferry/pkg/state"
)

const (
	tokenPrefix = "ferry_"
	// MinToken is the least length of a token in bytes. Those made here hold 160 bits behind their prefix.
	MinToken = 32
	// nameLen is the length of a token's public name: with 32 bits of a hash it tells tokens apart and leads back to none.
	nameLen = 8
)

// Token is what may be known of a token.
type Token struct {
	// Name is the beginning of the token's SHA-256.
	Name, Role string
	Created    time.Time

	secret string
}

// Store is the file of the tokens: a part of a map of nginx, so that a token is kept in one place and what is revoked
// is gone from there. nginx can compare a token only with itself, hence the file holds the tokens, and only its owner and
// root can read it.
type Store struct{ Path string }

// StoreError says what is wrong with the file, and never shows a line of it.
type StoreError struct {
	Path, Msg string
	Line      int // 0 for the whole file
	HintText  string
}

func (e *StoreError) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d:1: %s", e.Path, e.Line, e.Msg)
}

// Hint tells what to do about it; it may be empty.
func (e *StoreError) Hint() string { return e.HintText }

// TokenError says that the store has no such token, or several.
type TokenError struct{ Msg string }

func (e *TokenError) Error() string { return e.Msg }

// Hint tells what to do about it.
func (e *TokenError) Hint() string { return "ferry config token list shows them" }

// List reads the tokens, the oldest first. A missing file has none. It fails with *StoreError or *state.Error.
func (s Store) List() ([]Token, error) {
	data, err := state.ReadPrivate(s.Path, state.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.parse(data)
}

func (s Store) parse(data []byte) ([]Token, error) {
	rest, ok := bytes.CutPrefix(data, []byte(Mark))
	if !ok && len(data) > 0 {
		return nil, &StoreError{Path: s.Path, Msg: "is no file of ferry's tokens", HintText: "name another with gateway.tokens"}
	}
	var tokens []Token
	seen := map[string]bool{}
	form := regexp.MustCompile(`^"~\^([A-Za-z0-9_-]*)\$" "([a-z][a-z0-9_-]*):([0-9a-f]+)"; # (\S+)$`)
	number := 1
	for line := range strings.Lines(string(rest)) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		token, msg := parseToken(form.FindStringSubmatch(line))
		if msg == "" && (seen[token.Name] || seen[token.secret]) {
			msg = "the token is there twice"
		}
		if msg != "" {
			return nil, &StoreError{s.Path, msg, number, "ferry config token new ROLE writes such lines; take this one out"}
		}
		seen[token.Name], seen[token.secret] = true, true
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// parseToken makes a token of the parts of its line, or says what is wrong with them.
func parseToken(parts []string) (Token, string) {
	if parts == nil {
		return Token{}, "the line is none of a token"
	}
	created, err := time.Parse(time.RFC3339, parts[4])
	switch {
	case len(parts[1]) < MinToken:
		return Token{}, fmt.Sprintf("the token is too short: at least %d characters are wanted", MinToken)
	case parts[3] != nameOf(parts[1]):
		return Token{}, "the token has another name than it should"
	case err != nil:
		return Token{}, "the token has no date"
	}
	return Token{parts[3], parts[2], created, parts[1]}, ""
}

// line is a token as nginx's map takes it.
func (t Token) line() string {
	return fmt.Sprintf("\"~^%s$\" \"%s:%s\"; # %s\n", t.secret, t.Role, t.Name, t.Created.UTC().Format(time.RFC3339))
}

func nameOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])[:nameLen]
}

// New makes a token for a role and returns it with its secret, which is shown this once. It fails as List does.
func (s Store) New(ctx context.Context, role string, now time.Time) (Token, string, error) {
	var made Token
	err := s.change(ctx, func(tokens []Token) ([]Token, error) {
		for made.secret == "" || contains(tokens, made.Name) {
			made.secret = tokenPrefix + strings.ToLower(rand.Text() + rand.Text())[:MinToken]
			made.Name = nameOf(made.secret)
		}
		made.Role, made.Created = role, now.UTC().Truncate(time.Second)
		return append(tokens, made), nil
	})
	return made, made.secret, err
}

func contains(tokens []Token, name string) bool {
	for _, t := range tokens {
		if t.Name == name {
			return true
		}
	}
	return false
}

// Revoke takes tokens out by their names, all or none. It fails with *TokenError for a name that is not there, and as
// List does.
func (s Store) Revoke(ctx context.Context, names ...string) error {
	return s.change(ctx, func(tokens []Token) ([]Token, error) {
		for _, name := range names {
			var kept []Token
			for _, t := range tokens {
				if t.Name != name {
					kept = append(kept, t)
				}
			}
			if len(kept) == len(tokens) {
				return nil, &TokenError{"there is no such token"}
			}
			tokens = kept
		}
		return tokens, nil
	})
}

// Create makes an empty store where there is none, since nginx wants the file.
func (s Store) Create(ctx context.Context) error {
	if _, err := os.Lstat(s.Path); err == nil {
		return nil
	}
	return s.change(ctx, func(tokens []Token) ([]Token, error) { return tokens, nil })
}

// change reads, changes and writes the file while no other ferry does.
func (s Store) change(ctx context.Context, edit func([]Token) ([]Token, error)) error {
	if err := state.MkdirPrivate(filepath.Dir(s.Path)); err != nil {
		return err
	}
	unlock, err := state.Lock(ctx, s.Path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	tokens, err := s.List()
	if err == nil {
		tokens, err = edit(tokens)
	}
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(Mark)
	b.WriteString("# The tokens of callers, for nginx's map. ferry config token new, list and revoke keep this file.\n")
	for _, t := range tokens {
		b.WriteString(t.line())
	}
	return state.WriteFile(s.Path, []byte(b.String()), 0o600)
}
