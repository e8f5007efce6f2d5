package guard

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
)

const canary = "sk-canary-0123456789"

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// errorIf reports an error if wrong is true.
func errorIf(t testing.TB, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

// equal reports an error if a text is not the wanted one.
func equal(t testing.TB, what, got, want string) {
	t.Helper()
	errorIf(t, got != want, "%s:\n got %q\nwant %q", what, got, want)
}

func mustSecret(t *testing.T, value string) Secret {
	t.Helper()
	s, err := NewSecret(value, "env:FERRY_TEST")
	must(t, err)
	return s
}

// TestSecretNeverPrints formats a secret, and values that contain one, with every verb. Unexported fields are
// included, because fmt calls no method on them.
func TestSecretNeverPrints(t *testing.T) {
	s := mustSecret(t, canary)
	type inner struct {
		Open   Secret
		hidden Secret
	}
	holders := map[string]any{
		"value":           s,
		"pointer":         &s,
		"struct":          inner{s, s},
		"pointer inside":  &struct{ p *inner }{&inner{s, s}},
		"slice":           []Secret{s},
		"array":           [1]inner{{s, s}},
		"map":             map[string]Secret{"k": s},
		"map key":         map[Secret]int{s: 1},
		"interface":       struct{ v any }{s},
		"slice of a type": []any{s, &s, inner{s, s}},
	}
	for name, holder := range holders {
		for _, verb := range strings.Split("v +v #v s q x X d o b e p T t c U 10v -10s .3s", " ") {
			if out := fmt.Sprintf("%"+verb, holder); leaks(out) {
				t.Errorf("%%%s of a %s: %s", verb, name, out)
			}
		}
		inJSON, _ := json.Marshal(holder) // some holders have no JSON
		for what, out := range map[string]string{
			"Sprint": fmt.Sprint(holder, holder), "error": fmt.Errorf("wrapped: %v", holder).Error(), "panic": panicText(holder),
			"JSON": string(inJSON),
		} {
			errorIf(t, leaks(out), "%s of a %s: %s", what, name, out)
		}
	}
	for _, out := range []string{fmt.Sprintf("%v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%x", s), s.String(), s.GoString()} {
		equal(t, "a secret", out, "***")
	}
	out, err := json.Marshal(map[string]any{"key": s})
	must(t, err)
	equal(t, "JSON", string(out), `{"key":"***"}`)
}

// leaks reports whether out contains the canary as text, in hexadecimal or as a list of bytes.
func leaks(out string) bool {
	for _, form := range []string{"canary", fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprint([]byte("canary"))[1:18]} {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

func panicText(v any) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	panic(v)
}

func TestSecretKeepsItsValue(t *testing.T) {
	s := mustSecret(t, canary)
	errorIf(t, s.Reveal() != canary || s.Source() != "env:FERRY_TEST" || s.IsZero(),
		"reveals %d bytes from %s", len(s.Reveal()), s.Source())
	var zero Secret
	errorIf(t, !zero.IsZero() || zero.Reveal() != "" || zero.Source() != "", "the zero secret is none")
	unread := Unread("env:LATER")
	errorIf(t, unread.IsZero() || unread.Reveal() != "" || unread.Source() != "env:LATER" || unread.String() != "***",
		"unread: %q from %s", unread.Reveal(), unread.Source())
}

// TestNewSecretRefuses checks that a value that is not valid in a header is refused. The error must contain the
// position and not the value.
func TestNewSecretRefuses(t *testing.T) {
	tests := []struct{ value, want string }{
		{"", "the key from file:k is empty"},
		{canary + "\n", "the key from file:k has a line break at byte 21"},
		{canary + "\r\nX-Evil: 1", "the key from file:k has a line break at byte 21"},
		{" " + canary, "the key from file:k has a space at byte 1"},
		{"sk canary", "the key from file:k has a space at byte 3"},
		{"sk-canary\t", "the key from file:k has a control character at byte 10"},
		{"sk-canary\x00", "the key from file:k has a control character at byte 10"},
		{"sk-canary\x7f", "the key from file:k has a control character at byte 10"},
		{"sk-canary-密", "the key from file:k has a character that is not ASCII at byte 11"},
		{"\u201csk-canary\u201d", "the key from file:k has a character that is not ASCII at byte 1"},
		{"\xffsk-canary", "the key from file:k has a character that is not ASCII at byte 1"},
	}
	for _, test := range tests {
		s, err := NewSecret(test.value, "file:k")
		if err == nil || err.Error() != test.want {
			t.Errorf("%q: %v, want %s", test.value, err, test.want)
			continue
		}
		hint := text.Hint(err)
		errorIf(t, hint == "" || leaks(hint) || leaks(err.Error()), "%q: hint %q", test.value, hint)
		errorIf(t, !s.IsZero(), "%q gave a secret", test.value)
	}
	for _, value := range []string{"x", "!~", `a"b\c/d`} {
		_, err := NewSecret(value, "file:k")
		must(t, err)
	}
}

func TestTrustErrors(t *testing.T) {
	cause := errors.New("cause")
	trust := &TrustError{Host: "h:443", Reason: "its certificate expired on 2026-01-02", Advice: "renew it", Err: cause}
	equal(t, "the error", trust.Error(), "TLS certificate of h:443 rejected: its certificate expired on 2026-01-02")
	errorIf(t, trust.Hint() != "renew it" || !errors.Is(trust, cause), "%v, %s", trust, trust.Hint())
	e := &TrustError{Host: "h:443", Reason: "does not speak TLS on this port", Handshake: true}
	equal(t, "the error of a handshake", e.Error(), "h:443 does not speak TLS on this port")
	plain := &PlainHTTPError{Host: "example.com"}
	equal(t, "plain http", plain.Error(), "plain http to example.com, which is neither loopback nor a private address")
	errorIf(t, !strings.Contains(plain.Hint(), "insecure: true"), "hint %s", plain.Hint())
}

// certificate returns a self-signed certificate whose key is made of one letter, so that its pin never changes.
func certificate(t *testing.T, letter string) *x509.Certificate {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(letter, ed25519.SeedSize)))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

// knownPin is the pin of the key "aaaa…" from openssl: pkey -pubout -outform DER | dgst -sha256 -binary | base64.
const knownPin = "sha256//r5BzNgBmJT0dPH9ioULu/yXUu3Bii2BWFF/IeQhKJlU="

func TestParsePin(t *testing.T) {
	pin, err := ParsePin(knownPin)
	errorIf(t, err != nil || pin.String() != knownPin || pin != PinOf(certificate(t, "a")), "%s, %v", pin, err)
	hash := strings.TrimPrefix(knownPin, pinPrefix)
	for text, want := range map[string]string{
		"":                                "a pin is sha256// and a hash in base64",
		hash:                              "a pin is sha256// and a hash in base64",
		"sha256/" + hash:                  "a pin is sha256// and a hash in base64",
		"SHA256//" + hash:                 "a pin is sha256// and a hash in base64",
		" " + knownPin:                    "a pin is sha256// and a hash in base64",
		"sha1//" + hash:                   "a pin is sha256// and a hash in base64",
		"sha256//":                        "a pin's hash has 32 bytes; this one has 0",
		knownPin + " ":                    "what follows sha256// is not base64",
		strings.TrimSuffix(knownPin, "="): "what follows sha256// is not base64",
		knownPin[:len(knownPin)-4] + "\n" + knownPin[len(knownPin)-4:]:                      "what follows sha256// is not base64",
		"sha256//" + strings.NewReplacer("+", "-", "/", "_").Replace("+/"+hash[2:]):         "what follows sha256// is not base64",
		"sha256//" + base64.StdEncoding.EncodeToString(make([]byte, 20)):                    "a pin's hash has 32 bytes; this one has 20",
		"sha256//" + base64.StdEncoding.EncodeToString(make([]byte, 33)):                    "a pin's hash has 32 bytes; this one has 33",
		"sha256//" + strings.TrimSuffix(strings.Repeat("A", 44), "A") + "=;sha256//" + hash: "what follows sha256// is not base64",
		"sha256//" + strings.Repeat("A", 42) + "B=":                                         "what follows sha256// is not base64", // surplus bits
	} {
		if _, err := ParsePin(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add(knownPin)
	f.Add("sha256//")
	f.Fuzz(func(t *testing.T, text string) {
		pin, err := ParsePin(text)
		errorIf(t, err == nil && pin.String() != text, "%q is read and written as %q", text, pin)
	})
}

func TestCheckPins(t *testing.T) {
	leaf, middle, root, stranger := certificate(t, "a"), certificate(t, "b"), certificate(t, "c"), certificate(t, "d")
	chains := [][]*x509.Certificate{{leaf, middle}, {leaf, root}}
	for name, pins := range map[string][]Pin{
		"no pins":                 nil,
		"the leaf's":              {PinOf(leaf)},
		"an authority's":          {PinOf(middle)},
		"one of the other chain":  {PinOf(root)},
		"two, the second matches": {PinOf(stranger), PinOf(leaf)},
	} {
		err := CheckPins("host", "node", pins, chains)
		errorIf(t, err != nil, "%s: %v", name, err)
	}
	err := CheckPins("host:1", "hongkong", []Pin{PinOf(stranger), {}}, chains)
	var trust *TrustError
	want := "TLS certificate of host:1 rejected: its certificate has none of the pinned keys: pinned " + PinOf(stranger).String() + ", " +
		Pin{}.String() + "; its chain has " + JoinPins([]Pin{PinOf(leaf), PinOf(middle), PinOf(root)}, ", ")
	if !errors.As(err, &trust) || err.Error() != want || !strings.HasSuffix(trust.Hint(), "ferry config pin hongkong shows the chain") {
		t.Errorf("%v, want %s", err, want)
	}
	err = CheckPins("host", "node", []Pin{PinOf(leaf)}, nil)
	errorIf(t, err == nil, "a chain that was not verified has a pinned key")
}
