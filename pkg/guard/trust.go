package guard

import "fmt"

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

func (e *TrustError) Error() string { return fmt.Sprintf("no trust in %s: %s", e.Host, e.Reason) }

// Unwrap returns the cause.
func (e *TrustError) Unwrap() error { return e.Err }

// Hint tells what to do about it.
func (e *TrustError) Hint() string { return e.Advice }

// PlainHTTPError says that a key and a prompt would have crossed a public network unencrypted. Nothing was sent.
type PlainHTTPError struct {
	Host string
}

func (e *PlainHTTPError) Error() string {
	return fmt.Sprintf("plain http to %s, which is neither loopback nor a private address", e.Host)
}

// Hint tells what to do about it.
func (e *PlainHTTPError) Hint() string {
	return "use https://, or say insecure: true for the node in the configuration"
}
