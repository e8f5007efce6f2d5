package transport

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// awaitEnd waits until the system knows that the peer has closed a TCP connection. With a full window, or on a busy
// machine, that is later than the peer's Close.
func awaitEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	check(t, err)
	_ = raw.Control(func(fd uintptr) { // fails if this side has closed it
		ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(ended, 20_000)
		for err == unix.EINTR {
			n, err = unix.Poll(ended, 20_000)
		}
		errorIf(t, n != 1 || err != nil, "the end of a connection: %d, %v; want it within 20 s", n, err)
	})
}
