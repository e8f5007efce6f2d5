package guard

import (
	"fmt"
	"net/netip"
	"strings"
)

// TrustError says that a server could not be trusted, so that nothing was sent to it. It is never retried and no other
// node is asked in its place: a broken or forged certificate is for a person to look at.
type TrustError struct {
	// Host is the name or address that was to be reached.
	Host string
	// Reason is what is wrong, such as "the certificate expired on 2026-01-02".
	Reason string
	// Advice is the hint.
	Advice string
	// Err is the cause, for errors.As; its text is not shown.
	Err error
}

func (e *TrustError) Error() string {
	return fmt.Sprintf("TLS certificate of %s rejected: %s", e.Host, e.Reason)
}

// Unwrap returns the cause.
func (e *TrustError) Unwrap() error { return e.Err }

// Hint tells what to do about it.
func (e *TrustError) Hint() string { return e.Advice }

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
