// Package guard owns what may leave, be written or be shown: secrets and their masking, the redaction of personal data,
// the filter of blocked words, text that is safe on a terminal, pins, and the errors of trust (certificates and plain
// connections). It refuses to read the environment, files or the network: callers hand it what they have.
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

// masked stands for a secret wherever one is printed.
const masked = "***"

// Secret holds a key or a header value that must never be printed. Every way the fmt, json and text packages have of
// showing a value shows "***" instead, so that a stray %v, a panic or a log line cannot leak it.
type Secret struct {
	// value is behind a pointer, since fmt calls no method of a value that it reaches through an unexported field or
	// with %p: it prints what is there, which is then an address.
	value  *string
	source string
}

// NewSecret checks that value can stand in an HTTP header (RFC 9110 section 5.5, visible ASCII only, no space) and
// wraps it. The source, such as "env:CLAUDE_KEY", is public: it is what messages name instead of the value. The error
// names the source and the position of the first bad byte, never the value.
func NewSecret(value, source string) (Secret, error) { return newSecret(value, source, false) }

// NewHeaderSecret is NewSecret for the whole value of a header, such as "Basic dTpw", which may hold spaces inside.
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

// Unread is a secret that is known by its source alone: it can be named, as in a request that is shown and not sent.
func Unread(source string) Secret { return Secret{source: source} }

// refuse says why a secret was refused, without the secret.
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

// Reveal returns the secret itself, for the one place that writes it to the wire.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Source says where the secret came from, such as "env:CLAUDE_KEY".
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

// shortestMasked is the length in bytes under which a secret is not looked for: masking every "ab" of an answer would
// destroy the answer and hide nothing.
const shortestMasked = 4

// placeholders are no secrets: what the documentation of local servers and of their clients (Ollama, LM Studio, vLLM, SGLang,
// llama.cpp, llamafile) gives as a key where one must be set and none is checked, and the usual stand-ins of tests. They stand
// in answers and addresses, which a mask would damage.
var placeholders = [...]string{"ollama", "lm-studio", "EMPTY", "empty", "None", "none", "dummy", "test", "token", "password", "placeholder",
	"changeme", "fake", "fake-key", "local", "anything", "not-needed", "no-key", "no-key-required", "sk-no-key-required", "sk-dummy", "sk-test",
	"your-api-key", "1234567890"}

// Masker replaces known secrets wherever they stand in text: as they are, in the spellings in which a server echoes them
// (JSON's \/, \" and \u002d, the escapes of JSON in JSON, a URL's %2D, HTML's &#45; and &amp;, NULs between the characters
// as in UTF-16), in hexadecimal, and in base64, where a user name or anything else may stand before them. The zero value masks
// nothing. It may be used by several goroutines at once.
type Masker struct {
	known atomic.Pointer[secrets]
}

// secrets are the values that are known, and what is looked for: each of them and its codings.
type secrets struct {
	values []string
	forms  [][]byte
	// begin has the forms by their first character, and may is true for the bytes that can begin one, escapes included.
	begin [256][][]byte
	may   [256]bool
}

// Add makes m mask value too, unless it is too short or a placeholder.
func (m *Masker) Add(value string) {
	if len(value) < shortestMasked || slices.Contains(placeholders[:], value) {
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
		next.may['\\'], next.may['%'], next.may['&'] = true, true, true
		for _, form := range next.forms {
			next.begin[form[0]], next.may[form[0]] = append(next.begin[form[0]], form), true
		}
		if m.known.CompareAndSwap(old, next) {
			return
		}
	}
}

// AddSecret makes m mask s too, and what a value such as "Bearer KEY" or "Basic BASE64" carries.
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

// shortestCoded is the length in bytes under which a coding is not looked for: it could stand in any text.
const shortestCoded = 8

// forms are a value, its hexadecimal codings, and those characters of its base64 that do not depend on what stands
// before and behind it: three, since a character has six bits and three bytes make four characters.
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
		if len(form) >= shortestCoded && !slices.Contains(all[:i], form) {
			out = append(out, []byte(form))
		}
	}
	return out
}

// Bytes returns b with every known secret replaced by "***"; b itself where there is none.
func (m *Masker) Bytes(b []byte) []byte {
	if m.known.Load() == nil {
		return b
	}
	s := MaskStream{masker: m}
	out, rest, _ := s.scan(nil, b, false)
	if s.hits == 0 {
		return b
	}
	return append(out, rest...)
}

// BytesCut is Bytes for a text whose end may be missing: an end that could be the beginning of a secret is replaced too,
// but for one so short that it tells nothing.
func (m *Masker) BytesCut(b []byte) []byte {
	s := m.Stream()
	out, rest, held := s.scan(nil, b, true)
	s.held = held
	if s.hits == 0 && !s.Holding() {
		return b
	}
	return s.Flush(append(out, rest...), true)
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
	b := unsafe.Slice(unsafe.StringData(s), len(s)) // is read, and may be long
	if out := mask(b); &out[0] != &b[0] {
		return unsafe.String(&out[0], len(out))
	}
	return s
}

// Lower is a masker of m's secrets in lower case, for a text in which case got lost.
func (m *Masker) Lower() *Masker {
	lower := &Masker{}
	if known := m.known.Load(); known != nil {
		for _, form := range known.forms {
			lower.Add(string(bytes.ToLower(form)))
		}
	}
	return lower
}

// match returns the length of the longest secret that text begins with, 0 without one. Open says that text, if it goes
// on, could be the beginning of one.
func (s *secrets) match(text []byte) (longest int, open bool) {
	c, size, open := escape(text)
	candidates := [3][][]byte{s.begin[text[0]]}
	if size > 0 && c != text[0] {
		candidates[1] = s.begin[c]
	}
	if size > 0 && c == '\\' { // an escape of the inner JSON may begin here
		inner, _, cut := nested(text)
		open = open || cut
		if inner != c && inner != text[0] {
			candidates[2] = s.begin[inner]
		}
	}
	// Of two bytes that stand for themselves, the second rules out most forms.
	plain := size == 0 && !open && len(text) > 1 && text[1] != 0 && !startsEscape(text[1])
	for _, forms := range candidates {
		for _, form := range forms {
			if plain && text[1] != form[1] {
				continue
			}
			n, more := spelled(text, form)
			longest, open = max(longest, n), open || more
		}
	}
	return longest, open
}

// spelled returns how many bytes at the start of text spell the secret, 0 where they do not, and whether text is the
// beginning of a spelling. Three ways are tried apart, because a secret may hold what looks like an escape: as it is, with
// escapes, and with the escapes of JSON in JSON.
func spelled(text, secret []byte) (n int, open bool) {
	if bytes.HasPrefix(text, secret) {
		n = len(secret)
	} else {
		open = bytes.HasPrefix(secret, text)
	}
	once, openOnce := escaped(text, secret, escape)
	twice, openTwice := escaped(text, secret, nested)
	return max(n, once, twice), open || openOnce || openTwice
}

// escaped is spelled for a text whose characters read reads, where they are escapes.
func escaped(text, secret []byte, read func(text []byte) (c byte, n int, cut bool)) (n int, open bool) {
	nulls := 0 // at most as many NULs as UTF-32 has before a character of ASCII
	for i := 0; i < len(secret); {
		if n == len(text) {
			return 0, true
		}
		c, size, cut := read(text[n:])
		open = open || cut
		// An escape goes before the character itself: of a JSON \\ both bytes stand for one backslash.
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

// mostEscape is the length of JSON's longest escape, \u002f.
const mostEscape = 6

// nested is escape for a text that is JSON in JSON: an escape that stands for a backslash begins an inner one, as in \\\/.
func nested(text []byte) (c byte, n int, cut bool) {
	c, n, cut = escape(text)
	if n == 0 || c != '\\' {
		return c, n, cut
	}
	inner, at := [mostEscape]byte{c}, n
	for k := 1; k < mostEscape; k++ {
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

// escape reads the escape of JSON, of a URL or of HTML at the start of text: the ASCII character that it stands for, and
// its length, 0 where there is none. Cut says that text ends inside of what could be one.
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

// mostEntity is the most bytes of a character reference that are read: leading zeros could go on for ever.
const mostEntity = 12

// entities are the names that HTML has for ASCII characters of keys and passwords.
var entities = map[string]byte{
	"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\'', "num": '#', "dollar": '$', "percnt": '%', "lpar": '(', "rpar": ')',
	"ast": '*', "plus": '+', "comma": ',', "hyphen": '-', "dash": '-', "period": '.', "sol": '/', "colon": ':', "semi": ';',
	"equals": '=', "quest": '?', "commat": '@', "excl": '!', "lsqb": '[', "bsol": '\\', "rsqb": ']', "Hat": '^', "lowbar": '_',
	"grave": '`', "lcub": '{', "verbar": '|', "rcub": '}',
}

// entity reads the HTML character reference at the start of text: the ASCII character and the length, 0 where there is
// none. A number may lack its semicolon. Cut says that text ends inside of what could be one.
func entity(text []byte) (c byte, n int, cut bool) {
	text = text[:min(len(text), mostEntity)]
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
	cut = end == len(text) && len(text) < mostEntity
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

// hexByte reads two hexadecimal digits, -1 where they are none.
func hexByte(two []byte) int {
	var value [1]byte
	if _, err := hex.Decode(value[:], two); err != nil {
		return -1
	}
	return int(value[0])
}
