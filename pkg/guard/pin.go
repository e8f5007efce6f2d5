package guard

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pin is the SHA-256 of a certificate's public key with its algorithm (SubjectPublicKeyInfo, RFC 7469 section 2.4): it
// stays the same when a certificate is renewed with the same key.
type Pin [sha256.Size]byte

// pinPrefix is curl's notation, which --pinnedpubkey takes as it is.
const pinPrefix = "sha256//"

// ParsePin reads curl's notation: sha256// and the hash in base64. The error does not repeat what was read.
func ParsePin(text string) (Pin, error) {
	encoded, ok := strings.CutPrefix(text, pinPrefix)
	if !ok {
		return Pin{}, errors.New("a pin is " + pinPrefix + " and a hash in base64")
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err != nil || strings.ContainsAny(encoded, "\r\n"): // which the decoder skips
		return Pin{}, errors.New("what follows " + pinPrefix + " is not base64")
	case len(hash) != sha256.Size:
		return Pin{}, fmt.Errorf("a pin's hash has %d bytes; this one has %d", sha256.Size, len(hash))
	}
	return Pin(hash), nil
}

// PinOf is the pin of a certificate's key.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// String is curl's notation.
func (p Pin) String() string { return pinPrefix + base64.StdEncoding.EncodeToString(p[:]) }

// JoinPins writes pins behind each other.
func JoinPins(pins []Pin, between string) string {
	texts := make([]string, len(pins))
	for i, p := range pins {
		texts[i] = p.String()
	}
	return strings.Join(texts, between)
}

// Subject names whom a certificate is for: by its common name, else the whole subject, else its first host.
func Subject(cert *x509.Certificate) string {
	name := cmp.Or(cert.Subject.CommonName, cert.Subject.String())
	if name == "" && len(cert.DNSNames) > 0 {
		return cert.DNSNames[0]
	}
	return name
}

// Distinct gives every certificate of some chains once, in their order.
func Distinct(chains [][]*x509.Certificate) []*x509.Certificate {
	var all []*x509.Certificate
	for _, chain := range chains {
		for _, cert := range chain {
			if !slices.ContainsFunc(all, cert.Equal) {
				all = append(all, cert)
			}
		}
	}
	return all
}

// CheckPins fails with *TrustError unless a certificate of the verified chains has one of the pinned keys. What else a
// server sent along does not count: anybody can append a certificate that is not theirs. No pins fail nothing.
func CheckPins(host, node string, pins []Pin, verified [][]*x509.Certificate) error {
	if len(pins) == 0 {
		return nil
	}
	var has []Pin
	for _, cert := range Distinct(verified) {
		pin := PinOf(cert)
		if slices.Contains(pins, pin) {
			return nil
		}
		has = append(has, pin)
	}
	return &TrustError{
		Host: host,
		Reason: "its certificate has none of the pinned keys: pinned " + JoinPins(pins, ", ") +
			"; its chain has " + JoinPins(has, ", "),
		Advice: "nothing was sent; ask its owner whether the key was changed; ferry config pin " + node + " shows the chain",
	}
}
