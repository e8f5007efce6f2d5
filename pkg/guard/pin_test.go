package guard

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// certificate is self-signed with a key made of one letter, so that its pin is always the same.
func certificate(t *testing.T, letter string) *x509.Certificate {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(letter, ed25519.SeedSize)))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// knownPin is the pin of the key "aaaa…" as openssl gives it: pkey -pubout -outform DER | dgst -sha256 -binary | base64.
const knownPin = "sha256//r5BzNgBmJT0dPH9ioULu/yXUu3Bii2BWFF/IeQhKJlU="

func TestPinOf(t *testing.T) {
	if got := PinOf(certificate(t, "a")).String(); got != knownPin {
		t.Errorf("%s, want %s", got, knownPin)
	}
}

func TestParsePin(t *testing.T) {
	pin, err := ParsePin(knownPin)
	if err != nil || pin.String() != knownPin || pin != PinOf(certificate(t, "a")) {
		t.Errorf("%s, %v", pin, err)
	}
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
		"sha256//" + strings.Repeat("A", 42) + "B=":                                         "what follows sha256// is not base64", // bits that belong to no byte
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
		if pin, err := ParsePin(text); err == nil && pin.String() != text {
			t.Errorf("%q is read and written as %q", text, pin)
		}
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
		if err := CheckPins("host", "node", pins, chains); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := CheckPins("host:1", "hongkong", []Pin{PinOf(stranger), {}}, chains)
	var trust *TrustError
	want := "TLS certificate of host:1 rejected: its certificate has none of the pinned keys: pinned " + PinOf(stranger).String() + ", " +
		Pin{}.String() + "; its chain has " + JoinPins([]Pin{PinOf(leaf), PinOf(middle), PinOf(root)}, ", ")
	if !errors.As(err, &trust) || err.Error() != want || !strings.HasSuffix(trust.Hint(), "ferry config pin hongkong shows the chain") {
		t.Errorf("%v, want %s", err, want)
	}
	if err := CheckPins("host", "node", []Pin{PinOf(leaf)}, nil); err == nil {
		t.Error("a chain that was not verified has a pinned key")
	}
}
