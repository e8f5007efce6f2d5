package transport

import "golang.org/x/sys/unix"

// unacknowledged is how many bytes the other side's system has not acknowledged (SIOCOUTQ), 0 where that is not known.
func (c *polled) unacknowledged() (bytes int) {
	_ = c.raw.Control(func(fd uintptr) {
		bytes, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	return bytes
}
