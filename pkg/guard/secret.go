// Package guard owns what may leave, be written or be shown: secrets and their masking, the redaction of personal data,
// the filter of blocked words, text that is safe on a terminal, pins, and the errors of trust (certificates and plain
// connections). It refuses to read the environment, files or the network: callers hand it what they have.
package guard

import (
	"fmt"

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
