package hold

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// How long packets may go unanswered before the connection counts as dead (TCP_USER_TIMEOUT, RFC 5482; it holds for
// keep-alive probes too): soon while nobody waits for an answer on it, and as long as elsewhere while somebody does.
const (
	restingTimeout = 20 * time.Second
	lentTimeout    = 150 * time.Second
)

func patient(conn net.Conn, lent bool) {
	timeout := restingTimeout
	if lent {
		timeout = lentTimeout
	}
	onTCP(conn, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
}

// answered reports whether the other side has answered the last packet and the last probe.
func answered(conn net.Conn) bool {
	well := true
	onTCP(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		const established = 1
		well = err != nil || info.State == established && info.Probes == 0 && info.Backoff == 0
	})
	return well
}
