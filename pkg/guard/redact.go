package guard

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"ferry/pkg/text"
)

// redacted replaces text that was removed.
const redacted = "[REDACTED]"

// maxPasses is the maximum number of passes over a text: removing one part can make another part recognizable.
// Usually there are two passes; the second finds nothing.
const maxPasses = 8

// Redactor removes keys and personal data from text that is logged or shown: text with the shape of such data, or
// after the name of such data. It knows no secrets; Masker hides known ones. The zero value has the built-in shapes.
// It never changes and may be used by several goroutines at once.
//
// It reads through JSON escapes at any depth, full-width characters and invisible characters, and leaves all other
// text unchanged. Redacting twice gives the same result as redacting once. Values after a name:
//
//   - api_key, api-key, apikey, x-api-key and every other name with this ending; access_token, refresh_token,
//     client_secret, secret_key: up to the closing quote, or the end of the word.
//   - authorization: the same, but to the end of the line after a known scheme such as Bearer or Digest.
//   - token, password, passwd, secret, key and every other name with such an ending, also "key provided": a value with the
//     shape of a key, which is long and has letters and digits in one run.
//   - 姓名, 电话, 手机 and 身份证 (…号, …号码): up to the closing quote, or the end of the field. The field ends at
//     punctuation other than ":", "." and "-", at the end of the line, or at white space, unless the next word continues
//     the value: more digits of an incomplete number, or a name's next word.
//
// Shapes that need no name: the keys of the providers in keyShapes, Bearer tokens, JSON web tokens, private keys in
// PEM, the user and password of a URL, e-mail addresses, mainland mobile numbers, identity card numbers of 18
// characters with a valid date and checksum (the 15 digits of the cards before 1999 have no checksum: they are
// removed only after their name), and bank cards with an issuer's prefix and a valid Luhn checksum.
type Redactor struct {
	patterns []*regexp.Regexp
}

// PatternError reports that a user's pattern cannot be used.
type PatternError struct {
	Pattern string
	// Column is the position of the error, in characters from 1.
	Column int
	Reason string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("redact pattern %q column %d: %s", e.Pattern, e.Column, e.Reason)
}

const patternHint = "a pattern is a regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax)"

// NewRedactor adds patterns in RE2's syntax to the built-in shapes. A complete match is replaced. The error is a
// *PatternError with a hint.
func NewRedactor(patterns []string) (*Redactor, error) {
	r := &Redactor{}
	for _, pattern := range patterns {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, text.WithHint(patternError(pattern, err), patternHint)
		}
		if re.MatchString("") {
			return nil, text.WithHint(&PatternError{pattern, 1, "it matches the empty string"}, patternHint)
		}
		r.patterns = append(r.patterns, re)
	}
	return r, nil
}

// patternError finds the column: package regexp returns the wrong part of the pattern, but not its position.
func patternError(pattern string, err error) error {
	e := &PatternError{Pattern: pattern, Column: 1, Reason: err.Error()}
	bad, ok := errors.AsType[*syntax.Error](err)
	if !ok {
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

// String returns s with every key and all personal data replaced with "[REDACTED]", or s itself if there is none.
func (r *Redactor) String(s string) string {
	for range maxPasses {
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

// span is a part of a text, in bytes.
type span struct{ from, to int }

// redactShapes makes one pass over s with the built-in shapes.
func redactShapes(s string) string {
	v := newView(s)
	p := pass{text: v.text}
	var spans []span
	for i := 0; i < len(p.text); {
		if !canBegin[p.text[i]] {
			i++
			continue
		}
		cut, next := p.shapeAt(i)
		if cut.to > cut.from {
			spans = append(spans, v.source(cut))
			p.last = cut.to
		}
		i = max(next, cut.to, i+1)
	}
	return replace(s, spans)
}

// canBegin marks the bytes with which a shape may begin, so that most of a text is skipped with one look-up. fieldsAt
// has the names of fields by their first byte, and keysAt the shapes of keys.
var canBegin, fieldsAt, keysAt = func() (begins [256]bool, fields [256][]string, keys [256][]*keyShape) {
	for i := range keyShapes {
		first := keyShapes[i].prefix[0]
		keys[first] = append(keys[first], &keyShapes[i])
		begins[first] = true
	}
	for _, name := range fieldNames {
		for _, first := range []byte{name[0], strings.ToUpper(name)[0]} {
			fields[first] = append(fields[first], name)
			begins[first] = true
		}
	}
	for _, c := range []byte("0123456789+@:-eBb") { // numbers, addresses, PEM, other keys
		begins[c] = true
	}
	return begins, fields, keys
}()

// pass is one pass over a text. A removed span counts as "]" for the text after it, as it will in the next pass.
type pass struct {
	text string
	last int // where the last removed span ended

	// The last measured run of letters, digits, "_" and "-": its end, and the position of its last digit.
	runEnd, runDigit int
}

// shapeAt looks for a shape that begins at i (for an address: has its sign at i). It returns the shape's span and where
// to continue.
func (p *pass) shapeAt(i int) (cut span, next int) {
	rest := p.text[i:]
	c := rest[0]
	switch {
	case isDigit(c):
		return p.number(i, i)
	case strings.HasPrefix(rest, "+86"):
		cut, _ = p.number(i, i+1)
	case c == '@':
		cut = p.mail(i)
	case strings.HasPrefix(rest, "://"):
		cut = p.userinfo(i + len("://"))
	case strings.HasPrefix(rest, beginPEM):
		cut = p.pem(i)
	default:
		for _, name := range fieldsAt[c] {
			if cut = p.field(i, name); cut.to > 0 {
				break
			}
		}
	}
	if cut.to == 0 && isAlnum(c) && !isAlnum(p.before(i, 1)) {
		cut, _ = p.key(i)
	}
	return cut, i + 1
}

// before returns the byte n places before i, a space before the start of the text.
func (p *pass) before(i, n int) byte {
	switch {
	case i-n >= p.last:
		return p.text[i-n]
	case p.last > 0:
		return ']'
	}
	return ' '
}

// byteAt returns the byte at i, a newline at the end of the text.
func (p *pass) byteAt(i int) byte {
	if i < len(p.text) {
		return p.text[i]
	}
	return '\n'
}

// run measures the letters, digits, "_" and "-" from i on: where they end, and whether they include a digit. Each run
// is measured only once. Otherwise a text of sk-sk-sk-… would be read again at every sk-.
func (p *pass) run(i int) (end int, digit bool) {
	if i >= p.runEnd {
		p.runEnd, p.runDigit = i, -1
		for p.runEnd < len(p.text) && isRun(p.text[p.runEnd]) {
			if isDigit(p.text[p.runEnd]) {
				p.runDigit = p.runEnd
			}
			p.runEnd++
		}
	}
	return p.runEnd, p.runDigit >= i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isRun(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

// matchPattern replaces the matches of a pattern in s and in the decoded view of s.
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
		spans[i] = extendToMarks(s, spans[i])
	}
	slices.SortFunc(spans, func(x, y span) int { return x.from - y.from })
	return replace(s, spans)
}

// extendToMarks extends a span that covers part of a "[REDACTED]" to all of it. Otherwise a pattern such as \w+ would
// redact its own result again and again.
func extendToMarks(s string, c span) span {
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

// replace replaces every span with "[REDACTED]", or returns s itself if there is none. The spans are sorted;
// overlapping spans become one.
func replace(s string, spans []span) string {
	if len(spans) == 0 {
		return s
	}
	var b strings.Builder
	done := 0
	for _, c := range spans {
		if c.from < done {
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

// view is a text as a reader sees it: JSON escapes decoded, full-width characters narrow, every space, dash and quote
// the plain one, invisible characters removed. It maps each part back to its source.
type view struct {
	text   string
	length int // length of the source
	shifts []shift
}

// shift maps the view from one byte on to the source from another byte on, until the next shift. There is one after
// every part that was decoded; no span begins or ends inside such a part.
type shift struct{ view, source int }

// source returns the part of the source for a part of the view.
func (v *view) source(c span) span { return span{v.position(c.from), v.position(c.to)} }

func (v *view) position(at int) int {
	if at == len(v.text) {
		return v.length
	}
	i := sort.Search(len(v.shifts), func(i int) bool { return v.shifts[i].view > at }) - 1
	if i < 0 {
		return at
	}
	return v.shifts[i].source + at - v.shifts[i].view
}

// newView decodes s. If there is nothing to decode, the view is s itself.
func newView(s string) view {
	v := view{length: len(s)}
	var b []byte
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && c != '\\' {
			i++
			continue
		}
		r, size, other := read(s[i:])
		if !other {
			i += size
			continue
		}
		if done == 0 {
			b = make([]byte, 0, len(s)+utf8.UTFMax)
		}
		b = append(b, s[done:i]...)
		if r >= 0 {
			b = utf8.AppendRune(b, r)
		}
		i += size
		done = i
		v.shifts = append(v.shifts, shift{len(b), i})
	}
	if done == 0 {
		v.text = s
		return v
	}
	v.text = string(append(b, s[done:]...))
	return v
}

// read decodes the start of s, which is a backslash or not ASCII. It returns its length and whether it decodes to
// another character, which is -1 for none.
func read(s string) (r rune, size int, other bool) {
	if s[0] == '\\' {
		return readEscape(s)
	}
	switch s[0] { // every other byte begins, or is inside, a character that is not decoded
	case 0xc2, 0xcd, 0xd8, 0xe1, 0xe2, 0xe3, 0xef, 0xf3:
	default:
		return 0, 1, false
	}
	r, size = utf8.DecodeRuneInString(s)
	if r == utf8.RuneError {
		return 0, size, false
	}
	reads := readRune(r)
	return reads, size, reads != r
}

// readRune returns the character to which r decodes, -1 for none.
func readRune(r rune) rune {
	switch {
	case r < 0xa0:
		return r
	case r >= 0xff01 && r <= 0xff5e:
		return r - 0xff01 + '!'
	case r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r == 0x2028, r == 0x2029:
		return '\n'
	case r >= 0x2010 && r <= 0x2015, r == 0x2212:
		return '-'
	case r == '“', r == '”':
		return '"'
	case r == '‘', r == '’':
		return '\''
	case text.Invisible(r):
		return -1
	}
	return r
}

// readEscape decodes a JSON escape. A text may have been encoded as JSON several times, so any number of backslashes
// before the character is one escape.
func readEscape(s string) (r rune, size int, other bool) {
	for size < len(s) && s[size] == '\\' {
		size++
	}
	if size == len(s) {
		return 0, size, false
	}
	switch s[size] {
	case '"', '\'', '/':
		return rune(s[size]), size + 1, true
	case 'n', 'r':
		return '\n', size + 1, true
	case 't':
		return '\t', size + 1, true
	case 'u':
		if unit := hexUnit(s[size+1:]); unit >= 0 {
			return readUnit(s, unit, size+5)
		}
	}
	return 0, size, false
}

// readUnit decodes a \u escape of size bytes at the start of s, together with the second one of a surrogate pair.
func readUnit(s string, unit rune, size int) (r rune, _ int, other bool) {
	if unit >= 0xd800 && unit < 0xdc00 {
		rest := strings.TrimLeft(s[size:], `\`)
		slashes := len(s) - size - len(rest)
		if slashes > 0 && strings.HasPrefix(rest, "u") {
			if low := hexUnit(rest[1:]); low >= 0xdc00 && low < 0xe000 {
				unit = (unit-0xd800)<<10 + low - 0xdc00 + 0x10000
				size += slashes + 5
			}
		}
	}
	return readRune(unit), size, true
}

// hexUnit returns the value of four hexadecimal digits, -1 if s does not begin with them.
func hexUnit(s string) rune {
	var unit [2]byte
	if len(s) < 4 {
		return -1
	}
	if _, err := hex.Decode(unit[:], []byte(s[:4])); err != nil {
		return -1
	}
	return rune(unit[0])<<8 | rune(unit[1])
}
