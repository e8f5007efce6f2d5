package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledgedBy returns the number of bytes that the peer's system has not acknowledged (SIOCOUTQ), 0 if it is
// unknown.
func unacknowledgedBy(raw syscall.RawConn) (bytes int) {
	_ = raw.Control(func(fd uintptr) {
		bytes, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	return bytes
}
