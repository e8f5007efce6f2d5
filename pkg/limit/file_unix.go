//go:build unix

package limit

import "golang.org/x/sys/unix"

// openFlags keep the opening from following a link and from waiting for a FIFO.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK
