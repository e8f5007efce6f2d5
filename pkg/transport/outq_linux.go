package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledgedBy is how many bytes the other side's system has not acknowledged (SIOCOUTQ), 0 where that is not known.
func unacknowledgedBy(raw syscall.RawConn) (bytes int) {
	_ = raw.Control(func(fd uintptr) {
		bytes, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	return bytes
}
