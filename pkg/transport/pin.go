package transport

import (
	"crypto/tls"
	"errors"
	"net/http"
	"sync/atomic"

	"ferry/pkg/guard"
)

// checkPins holds a handshake to the pins. crypto/tls calls it once the chain is verified and before its own last word,
// without which no request can leave; on a resumed session too, whose chains are those that were verified at first.
func (o Options) checkPins(state tls.ConnectionState) error {
	return guard.CheckPins(o.Target.Host, o.Node, o.Pins, state.VerifiedChains)
}

var (
	errSeen  = errors.New("the handshake was only to be looked at")
	errNoTLS = errors.New("there is no TLS handshake over plain http")
)

// Look builds a transport that makes the node's handshake, through its proxy where it has one, and ends it before a
// request: every RoundTrip fails. Once the chain was verified, seen gives what the handshake showed; until then nil, and
// the error of the RoundTrip says why. Pins are not looked at. Over plain http it fails.
func Look(o Options) (rt http.RoundTripper, seen func() *tls.ConnectionState, err error) {
	if o.Target.Scheme != "https" {
		return nil, nil, errNoTLS
	}
	o.Pins = nil
	made, err := New(o)
	if err != nil {
		return nil, nil, err
	}
	var state atomic.Pointer[tls.ConnectionState]
	made.tls.VerifyConnection = func(s tls.ConnectionState) error {
		state.Store(&s)
		return errSeen
	}
	return made, state.Load, nil
}
