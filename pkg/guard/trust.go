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

// TrustError reports that a server could not be trusted and nothing was sent to it. The request is never retried or
// sent to another node: a person must look at a broken or forged certificate.
type TrustError struct {
	// Host is the name or address of the server.
	Host string
	// Reason is what is wrong, such as "its certificate expired on 2026-01-02".
	Reason string
	// Handshake reports that no certificate was rejected: Reason then follows Host, as in "refused the TLS handshake".
	Handshake bool
	text.Advice
	// Err is the cause, for errors.As; its text is not shown.
	Err error
}

func (e *TrustError) Error() string {
	if e.Handshake {
		return e.Host + " " + e.Reason
	}
	return fmt.Sprintf("TLS certificate of %s rejected: %s", e.Host, e.Reason)
}

// Unwrap returns the cause.
func (e *TrustError) Unwrap() error { return e.Err }

// PlainHTTPError reports that a key and a prompt, or a proxy's password, would have crossed a public network
// unencrypted. Nothing was sent.
type PlainHTTPError struct {
	// Host is the target, or the proxy if the hop to the proxy is unencrypted.
	Host string
	// Proxy reports that Host is the proxy, Password that only the proxy's password would be readable.
	Proxy, Password bool
	// Unknown reports that the target is a name that only the proxy resolves.
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

// Hint returns what the user can do about it.
func (e *PlainHTTPError) Hint() string {
	if e.Proxy {
		return "use an https:// proxy or --proxy none, or set insecure: true for the node in the configuration"
	}
	return "use https://, or set insecure: true for the node in the configuration"
}

// IsLoopback reports whether host is a loopback address or a name that RFC 6761 section 6.3 reserves for loopback.
func IsLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	at, err := netip.ParseAddr(host)
	return err == nil && at.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Pin is the SHA-256 of a certificate's public key with its algorithm (SubjectPublicKeyInfo, RFC 7469 section 2.4).
// It stays the same when a certificate is renewed with the same key.
type Pin [sha256.Size]byte

// pinPrefix starts a pin in the notation of curl's --pinnedpubkey.
const pinPrefix = "sha256//"

// ParsePin parses curl's notation: sha256// and the hash in base64. The error does not contain the input.
func ParsePin(text string) (Pin, error) {
	encoded, ok := strings.CutPrefix(text, pinPrefix)
	if !ok {
		return Pin{}, errors.New("a pin is " + pinPrefix + " and a hash in base64")
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err != nil || strings.ContainsAny(encoded, "\r\n"): // the decoder skips these
		return Pin{}, errors.New("what follows " + pinPrefix + " is not base64")
	case len(hash) != sha256.Size:
		return Pin{}, fmt.Errorf("a pin's hash has %d bytes; this one has %d", sha256.Size, len(hash))
	}
	return Pin(hash), nil
}

// PinOf returns the pin of a certificate's public key.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// String returns the pin in curl's notation.
func (p Pin) String() string { return pinPrefix + base64.StdEncoding.EncodeToString(p[:]) }

// JoinPins joins pins with a separator.
func JoinPins(pins []Pin, between string) string {
	texts := make([]string, len(pins))
	for i, p := range pins {
		texts[i] = p.String()
	}
	return strings.Join(texts, between)
}

// Subject returns the name of a certificate's subject: the common name, else the complete subject, else the first
// host.
func Subject(cert *x509.Certificate) string {
	name := cmp.Or(cert.Subject.CommonName, cert.Subject.String())
	if name == "" && len(cert.DNSNames) > 0 {
		return cert.DNSNames[0]
	}
	return name
}

// Distinct returns each certificate of the chains once, in order.
func Distinct(chains [][]*x509.Certificate) []*x509.Certificate {
	var all []*x509.Certificate
	for _, cert := range slices.Concat(chains...) {
		if !slices.ContainsFunc(all, cert.Equal) {
			all = append(all, cert)
		}
	}
	return all
}

// CheckPins returns a *TrustError unless a certificate of the verified chains has one of the pinned keys. Other
// certificates that the server sent do not count: a server can append any certificate. Without pins it returns nil.
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
