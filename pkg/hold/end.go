package hold

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// How a connection ended, as a frame says it. The borrower's reads fail with what they would have failed with on the
// connection itself: a clean end is not a reset, and whoever counts attempts has to tell them apart.
const (
	endClean   = 'c' // the server closed it
	endCut     = 'u' // TCP ended and TLS did not say so
	endReset   = 'r'
	endTimeout = 't' // no packet was answered any more
	endAlert   = 'a' // a TLS alert, whose words follow
	endOther   = 'o' // words follow
)

// ended is the frame's payload for what a connection's read failed with.
func ended(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return string(endCut)
	case errors.Is(err, io.EOF):
		return string(endClean)
	case errors.As(err, &op) && op.Op == "remote error":
		return string(endAlert) + op.Err.Error()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return string(endReset)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return string(endTimeout)
	}
	words := err.Error()
	return string(endOther) + words[:min(len(words), maxNotice-1)]
}

// failure is the error of a read for a frame's payload.
func failure(payload []byte) error {
	if len(payload) == 0 {
		return errGarbage
	}
	words := errors.New(string(payload[1:]))
	switch payload[0] {
	case endClean:
		return io.EOF
	case endCut:
		return io.ErrUnexpectedEOF
	case endAlert:
		return &net.OpError{Op: "remote error", Net: "tcp", Err: words}
	case endReset:
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case endTimeout:
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ETIMEDOUT}
	case endOther:
		return &net.OpError{Op: "read", Net: "tcp", Err: words}
	}
	return errGarbage
}

// lostError says that the holder went away with the connection, or is stopped. It counts as a reset: what was sent may have
// arrived.
type lostError struct{ stopped bool }

func (e lostError) Error() string {
	if e.stopped {
		return "the process that holds it does not answer"
	}
	return "the process that held it has ended"
}

// HolderLost tells it from a connection that the server closed.
func (lostError) HolderLost() bool { return true }

// untakenError is the end of a connection of which the holder has not sent a byte to the server, and will not.
type untakenError struct{ error }

func (e untakenError) Unwrap() error { return e.error }

// Unsent marks it as such, for package transport.
func (untakenError) Unsent() bool { return true }

// Is makes it the reset of a connection.
func (lostError) Is(target error) bool { return target == syscall.ECONNRESET }
