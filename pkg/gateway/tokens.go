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
	"slices"
	"strings"
	"time"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

const (
	tokenPrefix = "ferry_"
	// MinToken is the minimum length of a token in bytes. Generated tokens have 160 bits after the prefix.
	MinToken = 32
	// nameLen is the length of a token's public name: 32 bits of a hash, which distinguish tokens and do not reveal them.
	nameLen = 8
)

// Token is the public part of an API token.
type Token struct {
	// Name is the beginning of the token's SHA-256.
	Name, Role string
	Created    time.Time

	secret string
}

// Store is the file of API tokens. It is part of an nginx map, so that a token is stored in only one place, and a
// revoked token is removed from there. nginx can compare a token only with the token itself, so the file contains the
// tokens, and only its owner and root can read it.
type Store struct{ Path string }

// List returns the tokens, oldest first. A missing file has none. No error contains a line of the file.
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

// tokenLine is the form of a token's line: the token, its role, its name and its date.
const tokenLine = `^"~\^([A-Za-z0-9_-]*)\$" "([a-z][a-z0-9_-]*):([0-9a-f]+)"; # (\S+)$`

func (s Store) parse(data []byte) ([]Token, error) {
	rest, ok := bytes.CutPrefix(data, []byte(Mark))
	if !ok && len(data) > 0 {
		return nil, text.Errorf("name another with gateway.tokens", "%s: is not a token file of ferry", s.Path)
	}
	var tokens []Token
	form := regexp.MustCompile(tokenLine)
	number := 1
	for line := range strings.Lines(string(rest)) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		token, msg := parseToken(form.FindStringSubmatch(line))
		if msg == "" && contains(tokens, token.Name) {
			msg = "the token is listed twice"
		}
		if msg != "" {
			return nil, text.Errorf("ferry config token new ROLE writes such lines; remove this one",
				"%s:%d:1: %s", s.Path, number, msg)
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// parseToken returns the token of a line's parts, or a message with the problem.
func parseToken(parts []string) (Token, string) {
	if parts == nil {
		return Token{}, "the line is not a token"
	}
	created, err := time.Parse(time.RFC3339, parts[4])
	switch {
	case len(parts[1]) < MinToken:
		return Token{}, fmt.Sprintf("the token is too short: at least %d characters are needed", MinToken)
	case parts[3] != nameOf(parts[1]):
		return Token{}, "the name does not belong to this token"
	case err != nil:
		return Token{}, "the token has no date"
	}
	return Token{parts[3], parts[2], created, parts[1]}, ""
}

// line returns the token as a line of nginx's map.
func (t Token) line() string {
	return fmt.Sprintf("\"~^%s$\" \"%s:%s\"; # %s\n", t.secret, t.Role, t.Name, t.Created.UTC().Format(time.RFC3339))
}

func nameOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])[:nameLen]
}

// New creates a token for a role and returns it with its secret, which is shown only this once. Its errors are the
// errors of List, and errors of locking and writing the file.
func (s Store) New(ctx context.Context, role string, now time.Time) (Token, string, error) {
	var created Token
	err := s.change(ctx, func(tokens []Token) ([]Token, error) {
		for created.secret == "" || contains(tokens, created.Name) {
			created.secret = tokenPrefix + strings.ToLower(rand.Text() + rand.Text())[:MinToken]
			created.Name = nameOf(created.secret)
		}
		created.Role, created.Created = role, now.UTC().Truncate(time.Second)
		return append(tokens, created), nil
	})
	return created, created.secret, err
}

func contains(tokens []Token, name string) bool {
	return slices.ContainsFunc(tokens, func(t Token) bool { return t.Name == name })
}

// Revoke removes tokens by name, all or none.
func (s Store) Revoke(ctx context.Context, names ...string) error {
	return s.change(ctx, func(tokens []Token) ([]Token, error) {
		for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
			if !contains(tokens, name) {
				return nil, text.Errorf("ferry config token list shows them", "there is no such token")
			}
			tokens = slices.DeleteFunc(tokens, func(t Token) bool { return t.Name == name })
		}
		return tokens, nil
	})
}

// Create creates an empty store if the file is missing, because nginx needs the file.
func (s Store) Create(ctx context.Context) error {
	if _, err := os.Lstat(s.Path); err == nil {
		return nil
	}
	return s.change(ctx, func(tokens []Token) ([]Token, error) { return tokens, nil })
}

// change reads, edits and writes the file under a lock, so that no other ferry process changes it meanwhile.
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
	b.WriteString("# The tokens of callers, for nginx's map. ferry config token new and revoke edit this file.\n")
	for _, t := range tokens {
		b.WriteString(t.line())
	}
	return state.WriteFile(s.Path, []byte(b.String()), 0o600)
}
