package guard

import (
	"bytes"
	"slices"
	"sync/atomic"
)

// shortestMasked is the length in bytes under which a secret is not looked for: masking every "ab" of an answer would
// destroy the answer, and hide nothing from anyone.
const shortestMasked = 4

// Masker replaces known secrets wherever they stand in text: as they are, and in the spellings in which a server
// echoes them (JSON's \/, \" and \u002d, a URL's %2D). The zero value masks nothing. It may be used by several
// goroutines at once.
type Masker struct {
	secrets atomic.Pointer[[][]byte]
}

// Add makes m mask value too.
func (m *Masker) Add(value string) {
	if len(value) < shortestMasked {
		return
	}
	for {
		old := m.secrets.Load()
		next := [][]byte{[]byte(value)}
		if old != nil {
			if slices.ContainsFunc(*old, func(s []byte) bool { return string(s) == value }) {
				return
			}
			next = append(next, *old...)
		}
		if m.secrets.CompareAndSwap(old, &next) {
			return
		}
	}
}

// AddSecret makes m mask s too.
func (m *Masker) AddSecret(s Secret) { m.Add(s.Reveal()) }

// Bytes returns b with every known secret replaced by "***"; b itself where there is none.
func (m *Masker) Bytes(b []byte) []byte {
	secrets := m.secrets.Load()
	if secrets == nil {
		return b
	}
	var out []byte
	done, end := 0, 0 // what has been copied or masked; where the match at hand ends
	for i := range b {
		n := matchAny(b[i:], *secrets)
		if n == 0 {
			continue
		}
		if i >= end {
			out = append(append(out, b[done:i]...), masked...)
		}
		// Two secrets may overlap: what is left of the second would be half a secret.
		end = max(end, i+n)
		done = end
	}
	if end == 0 {
		return b
	}
	return append(out, b[done:]...)
}

// String is Bytes for strings.
func (m *Masker) String(s string) string {
	if m.secrets.Load() == nil {
		return s
	}
	b := []byte(s)
	if out := m.Bytes(b); !bytes.Equal(out, b) {
		return string(out)
	}
	return s
}

// matchAny returns the length of the longest secret that text begins with, 0 without one.
func matchAny(text []byte, secrets [][]byte) int {
	longest := 0
	for _, secret := range secrets {
		if c := text[0]; c != secret[0] && c != '\\' && c != '%' {
			continue
		}
		longest = max(longest, matchSpelled(text, secret))
	}
	return longest
}

// matchSpelled returns how many bytes at the start of text spell the secret, 0 where they do not. As it is and with
// escapes are tried apart: a secret may hold what looks like an escape.
func matchSpelled(text, secret []byte) int {
	literal := 0
	if bytes.HasPrefix(text, secret) {
		literal = len(secret)
	}
	at := 0
	for _, want := range secret {
		n := spells(text[at:], want)
		if n == 0 {
			return literal
		}
		at += n
	}
	return max(literal, at)
}

// spells returns how many bytes at the start of text stand for the ASCII character want. An escape goes before the
// character itself: of a JSON \\ both bytes stand for one backslash.
func spells(text []byte, want byte) int {
	switch {
	case len(text) >= 3 && text[0] == '%' && hexByte(text[1:3]) == int(want):
		return 3
	case len(text) >= 6 && text[0] == '\\' && text[1] == 'u' && text[2] == '0' && text[3] == '0' &&
		hexByte(text[4:6]) == int(want):
		return 6
	case len(text) >= 2 && text[0] == '\\' && text[1] == want && (want == '"' || want == '\\' || want == '/'):
		return 2
	case len(text) >= 1 && text[0] == want:
		return 1
	}
	return 0
}

// hexByte reads two hexadecimal digits, -1 where they are none.
func hexByte(two []byte) int {
	value := 0
	for _, c := range two {
		switch {
		case c >= '0' && c <= '9':
			value = value*16 + int(c-'0')
		case c >= 'a' && c <= 'f':
			value = value*16 + int(c-'a') + 10
		case c >= 'A' && c <= 'F':
			value = value*16 + int(c-'A') + 10
		default:
			return -1
		}
	}
	return value
}
