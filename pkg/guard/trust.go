package guard

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ferry/pkg/text"
)

// TrustError says that a server could not be trusted, so that nothing was sent to it. It is never retried and no other
// node is asked in its place: a broken or forged certificate is for a person to look at.
type TrustError struct {
	// Host is the name or address that was to be reached.
	Host string
	// Reason is what is wrong, such as "the certificate expired on 2026-01-02".
	Reason string
	text.Advice
	// Err is the cause, for errors.As; its text is not shown.
	Err error
}

func (e *TrustError) Error() string {
	return fmt.Sprintf("TLS certificate of %s rejected: %s", e.Host, e.Reason)
}

// Unwrap returns the cause.
func (e *TrustError) Unwrap() error { return e.Err }

// PlainHTTPError says that a key and a prompt, or a proxy's password, would have crossed a public network unencrypted.
// Nothing was sent.
type PlainHTTPError struct {
	// Host is the target, or the proxy where that hop is the plain one.
	Host string
	// Proxy says that Host is the proxy; Password that its password is all that would be readable.
	Proxy, Password bool
	// Unknown says that the target is a name that only the proxy resolves.
	Unknown bool
}

func (e *PlainHTTPError) Error() string {
	what := "plain http to "
	switch {
	case e.Password:
		what = "an unencrypted password to the proxy "
	case e.Proxy:
		what = "plain http through the proxy "
	case e.Unknown:
		return fmt.Sprintf("plain http to %s, whose address only the proxy knows: it may be public", e.Host)
	}
	return fmt.Sprintf("%s%s, which is neither loopback nor a private address", what, e.Host)
}

// Hint tells what to do about it.
func (e *PlainHTTPError) Hint() string {
	if e.Proxy {
		return "use an https:// proxy or --proxy none, or say insecure: true for the node in the configuration"
	}
	return "use https://, or say insecure: true for the node in the configuration"
}

// IsLoopback holds for the addresses of this machine and for the names that RFC 6761 section 6.3 gives it.
func IsLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	at, err := netip.ParseAddr(host)
	return err == nil && at.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

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
	for _, cert := range slices.Concat(chains...) {
		if !slices.ContainsFunc(all, cert.Equal) {
			all = append(all, cert)
		}
	}
	return all
}

// CheckPins fails with *TrustError unless a certificate of the verified chains has one of the pinned keys. What else a
// server sent along does not count: a server can append any certificate. No pins fail nothing.
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
		Advice: text.Advice("nothing was sent; ask its owner whether the key was changed; ferry config pin " + node + " shows the chain"),
	}
}
