// Package guard owns the checks of what may be sent, written or shown: secrets and their masking, the redaction of
// personal data, the filter of blocked words, pins, and trust errors (certificates and plain connections). It does
// not read the environment, files or the network: callers pass the data.
package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unsafe"

	"ferry/pkg/text"
)

// masked replaces a secret in all output.
const masked = "***"

// Secret holds a key or a header value that must never be printed. However the fmt, json and text packages format it,
// the output is "***", so that a stray %v, a panic or a log line cannot leak it.
type Secret struct {
	// value is a pointer, because fmt calls no method of a value in an unexported field or with %p. It prints the
	// field itself, which is then an address.
	value  *string
	source string
}

// NewSecret wraps value after checking that it is valid in an HTTP header (RFC 9110 section 5.5, visible ASCII only,
// no space). source, such as "env:CLAUDE_KEY", is public: messages show it instead of the value. The error contains
// the source and the position of the first invalid byte, never the value.
func NewSecret(value, source string) (Secret, error) { return newSecret(value, source, false) }

// NewHeaderSecret is NewSecret for a complete header value, such as "Basic dTpw", which may have spaces inside.
func NewHeaderSecret(value, source string) (Secret, error) { return newSecret(value, source, true) }

func newSecret(value, source string, spaces bool) (Secret, error) {
	if value == "" {
		return Secret{}, refuse(source, "is empty")
	}
	for i := 0; i < len(value); i++ {
		inside := spaces && i > 0 && i < len(value)-1
		if c := value[i]; (c <= ' ' || c > '~') && !(c == ' ' && inside) {
			return Secret{}, refuse(source, fmt.Sprintf("has %s at byte %d", byteKind(c), i+1))
		}
	}
	return Secret{value: &value, source: source}, nil
}

// Unread returns a secret with a source and no value: it can be named, as in a request that is shown and not sent.
func Unread(source string) Secret { return Secret{source: source} }

// refuse returns the error for a refused secret, without the secret.
func refuse(source, reason string) error {
	return text.Errorf("a key is visible ASCII without spaces or line breaks; check how it was pasted", "the key from %s %s", source, reason)
}

func byteKind(c byte) string {
	switch {
	case c == '\r' || c == '\n':
		return "a line break"
	case c == ' ':
		return "a space"
	case c < ' ' || c == 0x7f:
		return "a control character"
	default:
		return "a character that is not ASCII"
	}
}

// Reveal returns the secret value. Only the code that sends it may call this.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Source returns where the secret was read from, such as "env:CLAUDE_KEY".
func (s Secret) Source() string { return s.source }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// String implements fmt.Stringer without showing the secret.
func (s Secret) String() string { return masked }

// GoString implements fmt.GoStringer without showing the secret.
func (s Secret) GoString() string { return masked }

// Format implements fmt.Formatter, so that no verb reaches the fields.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, masked) }

// MarshalText implements encoding.TextMarshaler, which covers JSON and YAML, without showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// minMasked is the minimum length of a masked secret in bytes: masking every "ab" of an answer would destroy the
// answer and hide nothing.
const minMasked = 4

// placeholders are not secrets: the keys that the documentation of local servers and their clients (Ollama, LM
// Studio, vLLM, SGLang, llama.cpp, llamafile) uses because a key must be set but is not checked, and the usual
// placeholders of tests. They occur in answers and addresses, which a mask would damage.
var placeholders = [...]string{"ollama", "lm-studio", "EMPTY", "empty", "None", "none", "dummy", "test", "token", "password", "placeholder",
	"changeme", "fake", "fake-key", "local", "anything", "not-needed", "no-key", "no-key-required", "sk-no-key-required", "sk-dummy", "sk-test",
	"your-api-key", "1234567890"}

// Masker replaces known secrets everywhere in text: unchanged, in the encodings in which a server echoes them (JSON's
// \/, \" and \u002d, the escapes of JSON in JSON, a URL's %2D, HTML's &#45; and &amp;, NULs between the characters as
// in UTF-16), in hexadecimal, and in base64, even after a user name or other text. The zero value masks nothing. It
// may be used by several goroutines at once.
type Masker struct {
	known atomic.Pointer[secrets]
}

// secrets holds the known values and the forms to look for: each value and its encodings.
type secrets struct {
	values []string
	forms  [][]byte
	// begin has the forms by their first byte. canBegin is true for the bytes that can begin a form, escapes included.
	begin    [256][][]byte
	canBegin [256]bool
}

// Add adds a secret value to mask, unless it is too short or a placeholder.
func (m *Masker) Add(value string) {
	if len(value) < minMasked || slices.Contains(placeholders[:], value) {
		return
	}
	for {
		old := m.known.Load()
		next := &secrets{}
		if old != nil {
			if slices.Contains(old.values, value) {
				return
			}
			next.values, next.forms = slices.Clone(old.values), slices.Clone(old.forms)
		}
		next.values = append(next.values, value)
		next.forms = append(next.forms, forms(value)...)
		next.canBegin['\\'], next.canBegin['%'], next.canBegin['&'] = true, true, true
		for _, form := range next.forms {
			next.begin[form[0]], next.canBegin[form[0]] = append(next.begin[form[0]], form), true
		}
		if m.known.CompareAndSwap(old, next) {
			return
		}
	}
}

// AddSecret adds s, and the credentials in a value such as "Bearer KEY" or "Basic BASE64".
func (m *Masker) AddSecret(s Secret) {
	value := s.Reveal()
	m.Add(value)
	scheme, credentials, ok := strings.Cut(value, " ")
	if !ok {
		return
	}
	m.Add(credentials)
	if pair, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.EqualFold(scheme, "basic") {
		_, password, _ := strings.Cut(string(pair), ":")
		m.Add(password)
	}
}

// minCoded is the minimum length in bytes of an encoded form: a shorter one could occur in any text.
const minCoded = 8

// forms returns a value, its hexadecimal encodings, and the characters of its base64 encodings that do not depend on
// the bytes before and after the value. There are three base64 alignments, because three bytes make four characters
// of six bits.
func forms(value string) [][]byte {
	low := hex.EncodeToString([]byte(value))
	all := []string{low, strings.ToUpper(low)}
	for before := range 3 {
		bytes := append(make([]byte, before), value...)
		from, to := (before*8+5)/6, len(bytes)*8/6
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all = append(all, alphabet.EncodeToString(bytes)[from:to])
		}
	}
	out := [][]byte{[]byte(value)}
	for i, form := range all {
		if len(form) >= minCoded && !slices.Contains(all[:i], form) {
			out = append(out, []byte(form))
		}
	}
	return out
}

// Bytes returns b with every known secret replaced with "***", or b itself if there is none.
func (m *Masker) Bytes(b []byte) []byte {
	if m.known.Load() == nil {
		return b
	}
	return m.mask(b, false)
}

// BytesCut is Bytes for text whose end may be missing: an end that could be the beginning of a secret is replaced
// too, unless it is too short to reveal anything.
func (m *Masker) BytesCut(b []byte) []byte { return m.mask(b, true) }

func (m *Masker) mask(b []byte, cut bool) []byte {
	s := MaskStream{masker: m}
	out, rest, held := s.scan(nil, b, cut)
	s.held = held
	if s.replaced == 0 && !s.Holding() {
		return b
	}
	return s.Flush(append(out, rest...), cut)
}

// String is Bytes for strings.
func (m *Masker) String(s string) string {
	if m.known.Load() == nil {
		return s
	}
	return maskString(s, m.Bytes)
}

// StringCut is BytesCut for strings.
func (m *Masker) StringCut(s string) string { return maskString(s, m.BytesCut) }

func maskString(s string, mask func(b []byte) []byte) string {
	if s == "" {
		return s
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s)) // only read, and may be long
	if out := mask(b); &out[0] != &b[0] {
		return unsafe.String(&out[0], len(out))
	}
	return s
}

// Lower returns a masker of m's secrets in lower case, for text that was converted to lower case.
func (m *Masker) Lower() *Masker {
	lower := &Masker{}
	if known := m.known.Load(); known != nil {
		for _, form := range known.forms {
			lower.Add(string(bytes.ToLower(form)))
		}
	}
	return lower
}

// match returns the length of the longest secret at the start of text, 0 if there is none. open reports that text
// could be the beginning of a secret if it continues.
func (s *secrets) match(text []byte) (longest int, open bool) {
	c, size, open := escape(text)
	candidates := [3][][]byte{s.begin[text[0]]}
	if size > 0 && c != text[0] {
		candidates[1] = s.begin[c]
	}
	if size > 0 && c == '\\' { // an escape of the inner JSON may begin here
		inner, _, cut := nestedEscape(text)
		open = open || cut
		if inner != c && inner != text[0] {
			candidates[2] = s.begin[inner]
		}
	}
	// If neither of the first two bytes begins an escape, the second one rules out most forms.
	plain := size == 0 && !open && len(text) > 1 && text[1] != 0 && !startsEscape(text[1])
	for _, forms := range candidates {
		for _, form := range forms {
			if plain && text[1] != form[1] {
				continue
			}
			n, more := matchSpelling(text, form)
			longest, open = max(longest, n), open || more
		}
	}
	return longest, open
}

// matchSpelling returns how many bytes at the start of text spell the secret, 0 if they do not, and whether text is the
// beginning of a spelling. It tries three ways separately, because a secret may contain what looks like an escape:
// unchanged, with escapes, and with the escapes of JSON in JSON.
func matchSpelling(text, secret []byte) (n int, open bool) {
	if bytes.HasPrefix(text, secret) {
		n = len(secret)
	} else {
		open = bytes.HasPrefix(secret, text)
	}
	once, openOnce := matchEscaped(text, secret, escape)
	twice, openTwice := matchEscaped(text, secret, nestedEscape)
	return max(n, once, twice), open || openOnce || openTwice
}

// matchEscaped is matchSpelling for text whose escapes are decoded by read.
func matchEscaped(text, secret []byte, read func(text []byte) (c byte, n int, cut bool)) (n int, open bool) {
	nulls := 0 // at most three NULs, as in UTF-32 before an ASCII character
	for i := 0; i < len(secret); {
		if n == len(text) {
			return 0, true
		}
		c, size, cut := read(text[n:])
		open = open || cut
		// An escape takes precedence over the character itself: both bytes of a JSON \\ stand for one backslash.
		if size == 0 || c != secret[i] && text[n] == secret[i] {
			c, size = text[n], 1
		}
		switch {
		case c == secret[i]:
			i, nulls = i+1, 0
		case c == 0 && i > 0 && nulls < 3:
			nulls++
		default:
			return 0, open
		}
		n += size
	}
	return n, open
}

// maxEscape is the length of the longest JSON escape, \u002f.
const maxEscape = 6

// nestedEscape is escape for JSON in JSON: an escape that stands for a backslash begins an inner escape, as in \\\/.
func nestedEscape(text []byte) (c byte, n int, cut bool) {
	c, n, cut = escape(text)
	if n == 0 || c != '\\' {
		return c, n, cut
	}
	inner, at := [maxEscape]byte{c}, n
	for k := 1; k < maxEscape; k++ {
		if at == len(text) {
			return c, n, true
		}
		next, size, more := escape(text[at:])
		cut = cut || more
		if size == 0 {
			next, size = text[at], 1
		}
		inner[k], at = next, at+size
		if read, length, more := escape(inner[:k+1]); length > 0 || !more {
			if length > 0 {
				c, n = read, at
			}
			return c, n, cut
		}
	}
	return c, n, cut
}

func startsEscape(c byte) bool { return c == '%' || c == '\\' || c == '&' }

// escape decodes the JSON, URL or HTML escape at the start of text. It returns the ASCII character and the escape's
// length, 0 if there is none. cut reports that text ends inside a possible escape.
func escape(text []byte) (c byte, n int, cut bool) {
	switch text[0] {
	case '%':
		if len(text) < 3 {
			return 0, 0, true
		}
		if value := hexByte(text[1:3]); value >= 0 {
			return byte(value), 3, false
		}
	case '\\':
		switch {
		case len(text) == 1:
			return 0, 0, true
		case text[1] == '"' || text[1] == '\\' || text[1] == '/':
			return text[1], 2, false
		case text[1] != 'u':
		case len(text) < 6:
			return 0, 0, true
		case text[2] == '0' && text[3] == '0':
			if value := hexByte(text[4:6]); value >= 0 {
				return byte(value), 6, false
			}
		}
	case '&':
		return entity(text)
	}
	return 0, 0, false
}

// maxEntity is the maximum number of bytes of a character reference that are read: leading zeros have no limit.
const maxEntity = 12

// entities are HTML's names of the ASCII characters in keys and passwords.
var entities = map[string]byte{
	"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\'', "num": '#', "dollar": '$', "percnt": '%', "lpar": '(', "rpar": ')',
	"ast": '*', "plus": '+', "comma": ',', "hyphen": '-', "dash": '-', "period": '.', "sol": '/', "colon": ':', "semi": ';',
	"equals": '=', "quest": '?', "commat": '@', "excl": '!', "lsqb": '[', "bsol": '\\', "rsqb": ']', "Hat": '^', "lowbar": '_',
	"grave": '`', "lcub": '{', "verbar": '|', "rcub": '}',
}

// entity decodes the HTML character reference at the start of text. It returns the ASCII character and the length, 0
// if there is none. A number may lack its semicolon. cut reports that text ends inside a possible reference.
func entity(text []byte) (c byte, n int, cut bool) {
	text = text[:min(len(text), maxEntity)]
	from, base, end := 1, 0, 1
	if end < len(text) && text[end] == '#' {
		from, base, end = end+1, 10, end+1
	}
	if base > 0 && end < len(text) && text[end]|0x20 == 'x' {
		from, base, end = end+1, 16, end+1
	}
	for end < len(text) && (isDigit(text[end]) || base != 10 && isAlnum(text[end]) && (base == 0 || hexByte([]byte{'0', text[end]}) >= 0)) {
		end++
	}
	name, whole := text[from:end], end < len(text) && text[end] == ';'
	cut = end == len(text) && len(text) < maxEntity
	if base == 0 {
		if c, known := entities[string(name)]; known && whole {
			return c, end + 1, false
		}
		return 0, 0, cut
	}
	number := 0
	for _, digit := range name {
		number = number*base + hexByte([]byte{'0', digit})
	}
	if len(name) == 0 || number > unicode.MaxASCII {
		return 0, 0, cut
	}
	if whole {
		end++
	}
	return byte(number), end, cut
}

// hexByte returns the value of two hexadecimal digits, -1 if they are not digits.
func hexByte(two []byte) int {
	var value [1]byte
	if _, err := hex.Decode(value[:], two); err != nil {
		return -1
	}
	return int(value[0])
}
