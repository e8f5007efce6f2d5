package hold

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
)

// The steps of making a connection, as they happen: the borrower measures its phases by them.
const (
	stepDNSStart     = 'd'
	stepDNSDone      = 'D'
	stepConnectStart = 'c'
	stepConnectDone  = 'C'
	stepTLSStart     = 's'
	stepTLSDone      = 'S'
)

// telling makes a context that has each step told as it happens, until done. Addresses are tried side by side, and the
// slower one's hooks can come late.
func telling(ctx context.Context, tell func(step byte)) (told context.Context, done func()) {
	var mu sync.Mutex
	over := false
	say := func(step byte) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			tell(step)
		}
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { say(stepDNSStart) },
		DNSDone:      func(httptrace.DNSDoneInfo) { say(stepDNSDone) },
		ConnectStart: func(_, _ string) { say(stepConnectStart) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				say(stepConnectDone)
			}
		},
		TLSHandshakeStart: func() { say(stepTLSStart) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { say(stepTLSDone) },
	})
	return ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	}
}

// replay calls the hook of the borrower's own trace. A hook that is not there is not called.
func replay(trace *httptrace.ClientTrace, step byte) {
	if trace == nil {
		return
	}
	switch {
	case step == stepDNSStart && trace.DNSStart != nil:
		trace.DNSStart(httptrace.DNSStartInfo{})
	case step == stepDNSDone && trace.DNSDone != nil:
		trace.DNSDone(httptrace.DNSDoneInfo{})
	case step == stepConnectStart && trace.ConnectStart != nil:
		trace.ConnectStart("tcp", "")
	case step == stepConnectDone && trace.ConnectDone != nil:
		trace.ConnectDone("tcp", "", nil)
	case step == stepTLSStart && trace.TLSHandshakeStart != nil:
		trace.TLSHandshakeStart()
	case step == stepTLSDone && trace.TLSHandshakeDone != nil:
		trace.TLSHandshakeDone(tls.ConnectionState{}, nil)
	}
}
