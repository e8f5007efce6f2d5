package guard

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// redacted stands for what was taken out of a text.
const redacted = "[REDACTED]"

// mostRounds bounds how often a text is gone over: what one round takes out can be what kept something else from being
// seen. Two are the rule, the second one finding nothing.
const mostRounds = 8

// Redactor takes keys and personal data out of a text that is to be logged or shown: what has the shape of one, or
// stands behind the name of one. It knows no secret; Masker hides those that are known. The zero value has the built-in
// shapes. It never changes and may be used by several goroutines at once.
//
// It reads through JSON's escapes, however deep, full-width characters and invisible ones; what it leaves, it leaves
// as it was. Redacting twice gives what redacting once gives. Values behind a name:
//
//   - api_key, api-key, apikey, x-api-key and every other name that ends so; access_token, refresh_token,
//     client_secret, secret_key: up to the closing quote, or the end of the word.
//   - authorization: the same, but to the end of the line behind a known scheme such as Bearer or Digest.
//   - 姓名, 电话, 手机 and 身份证 (…号, …号码): up to the closing quote, or the end of the field, which is punctuation but
//     ":", "." and "-", or the end of the line, or white space, unless the next word continues it: more digits of a
//     number that is not yet whole, or a name's next word.
//
// Shapes that need no name: the keys of the providers that keyShapes lists, Bearer tokens, JSON web tokens, private
// keys in PEM, the user and password of a URL, e-mail addresses, mainland mobile numbers, identity card numbers of 18
// characters with a date and a checksum that hold (the 15 digits of the cards before 1999 have no checksum: those go
// behind their name alone), and bank cards with an issuer's prefix and a Luhn checksum that holds.
type Redactor struct {
	patterns []*regexp.Regexp
}

// PatternError says why a pattern of the user's cannot be used.
type PatternError struct {
	Pattern string
	// Column is where it goes wrong, in characters from 1.
	Column int
	Reason string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("redact pattern %q column %d: %s", e.Pattern, e.Column, e.Reason)
}

// Hint tells what to do about it.
func (e *PatternError) Hint() string {
	return "a pattern is a regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax)"
}

// NewRedactor adds patterns in RE2's syntax to the built-in shapes. What one matches is replaced as a whole. The error
// is a *PatternError.
func NewRedactor(patterns []string) (*Redactor, error) {
	r := &Redactor{}
	for _, pattern := range patterns {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, patternError(pattern, err)
		}
		if re.MatchString("") {
			return nil, &PatternError{Pattern: pattern, Column: 1, Reason: "it matches the empty text"}
		}
		r.patterns = append(r.patterns, re)
	}
	return r, nil
}

// patternError finds the column: the library names the part that is wrong, not its place.
func patternError(pattern string, err error) error {
	e := &PatternError{Pattern: pattern, Column: 1, Reason: err.Error()}
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		return e
	}
	e.Reason = bad.Code.String()
	switch at := strings.Index(pattern, bad.Expr); {
	case bad.Code == syntax.ErrMissingParen || bad.Code == syntax.ErrTrailingBackslash:
		e.Column += utf8.RuneCountInString(pattern)
	case at > 0:
		e.Column += utf8.RuneCountInString(pattern[:at])
	}
	return e
}

// String returns s with every key and all personal data replaced by "[REDACTED]"; s itself where there is none.
func (r *Redactor) String(s string) string {
	for range mostRounds {
		before := s
		for _, re := range r.patterns {
			s = matchPattern(re, s)
		}
		if s = redactShapes(s); s == before {
			break
		}
	}
	return s
}

// Bytes is String for bytes; b itself where there is nothing to redact.
func (r *Redactor) Bytes(b []byte) []byte {
	s := string(b)
	if out := r.String(s); out != s {
		return []byte(out)
	}
	return b
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

// redactShapes goes over s once with the built-in shapes.
func redactShapes(s string) string {
	v := newView(s)
	p := pass{text: v.text}
	var spans []span
	for i := 0; i < len(p.text); {
		if begins[p.text[i]] == nothing {
			i++
			continue
		}
		cut, next := p.at(i)
		if cut.to > cut.from {
			spans = append(spans, v.source(cut))
			p.last = cut.to
		}
		i = max(next, cut.to, i+1)
	}
	return replace(s, spans)
}

// matchPattern replaces what a pattern matches in s as it is, and in s as it reads.
func matchPattern(re *regexp.Regexp, s string) string {
	var spans []span
	for _, at := range re.FindAllStringIndex(s, -1) {
		spans = append(spans, span{at[0], at[1]})
	}
	if v := newView(s); v.text != s {
		for _, at := range re.FindAllStringIndex(v.text, -1) {
			spans = append(spans, v.source(span{at[0], at[1]}))
		}
	}
	spans = slices.DeleteFunc(spans, func(c span) bool { return c.from >= c.to })
	for i := range spans {
		spans[i] = wholeMarks(s, spans[i])
	}
	slices.SortFunc(spans, func(x, y span) int { return x.from - y.from })
	return replace(s, spans)
}

// wholeMarks widens a span that takes part of a "[REDACTED]" to all of it, or a pattern such as \w+ would redact what
// is redacted for ever.
func wholeMarks(s string, c span) span {
	for k := max(0, c.from-len(redacted)+1); k < c.from; k++ {
		if strings.HasPrefix(s[k:], redacted) {
			c.from = k
			break
		}
	}
	for k := max(c.from, c.to-len(redacted)+1); k < c.to; k++ {
		if strings.HasPrefix(s[k:], redacted) {
			c.to = max(c.to, k+len(redacted))
		}
	}
	return c
}

// replace puts "[REDACTED]" in the place of every span. They come in order; those that overlap are one.
func replace(s string, spans []span) string {
	if len(spans) == 0 {
		return s
	}
	var b strings.Builder
	done := 0
	for i, c := range spans {
		if i > 0 && c.from < done {
			done = max(done, c.to)
			continue
		}
		b.WriteString(s[done:c.from])
		b.WriteString(redacted)
		done = c.to
	}
	b.WriteString(s[done:])
	return b.String()
}
