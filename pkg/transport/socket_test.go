package transport

import (
	"io"
	"net"
	"testing"
)

// TestNetworkErrors lets the system refuse a connection, reset one and end a wait: ferry must recognize each error,
// and its text must be the same on every system.
func TestNetworkErrors(t *testing.T) {
	dialed, accepted, err := overTCP(t)()
	check(t, err)
	defer dialed.Close()
	_, err = net.Dial("tcp", closedAddress(t))
	errorIf(t, err == nil || Innermost(err).Error() != "connection refused" || IsReset(err) || IsTimeout(err),
		"a closed port: got %v, want %q, neither a reset nor a timeout", err, "connection refused")

	check(t, accepted.(*net.TCPConn).SetLinger(0))
	check(t, accepted.Close())
	_, err = io.ReadAll(dialed)
	errorIf(t, err == nil || Innermost(err).Error() != "connection reset by peer" || !IsReset(err) || IsTimeout(err),
		"a connection that the server drops: got %v, want %q, a reset", err, "connection reset by peer")

	_, err = dialed.Write([]byte("more"))
	errorIf(t, !IsReset(err), "a write after that: got %v, want a reset", err)
	errorIf(t, !IsReset(resets[len(resets)-1]) || !IsTimeout(&net.OpError{Op: "read", Err: timedOut}) || IsTimeout(io.EOF),
		"the system's numbers are not known: %v, %v", resets, timedOut)
}
