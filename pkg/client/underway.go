package client

import (
	"sync/atomic"
	"time"

	"ferry/pkg/transport"
)

// Underway is an attempt that has not ended, for a display. Another goroutine may ask for its phase.
type Underway struct {
	Node string
	// Number counts the attempts from 1, and Attempts is how many there may be.
	Number, Attempts int
	// Stream says that the answer comes piece by piece. Idle is then the longest that nothing may come.
	Stream bool
	Idle   time.Duration
	// Most is the time that the attempt has, 0 for any.
	Most time.Duration

	trace atomic.Pointer[transport.Trace]
}

// Phase is how far the request has come.
func (u *Underway) Phase() transport.Phase {
	if trace := u.trace.Load(); trace != nil {
		return trace.Phase()
	}
	return transport.Resolving
}

// show tells OnStart of an attempt that begins; the function is to be called when it has ended.
func (s *attemptStage) show(call *Call, attempt *Attempt) (ended func()) {
	if s.OnStart == nil {
		return func() {}
	}
	e := call.Endpoint
	if !call.Deadline.IsZero() && attempt.most == 0 {
		attempt.most = call.Deadline.Sub(attempt.Started)
	}
	attempt.underway = &Underway{
		Node: e.Name, Number: attempt.Number, Attempts: e.Rule.Attempts, Stream: call.Sink != nil,
		Idle: e.IdleTimeout, Most: attempt.most,
	}
	return s.OnStart(attempt.underway)
}
