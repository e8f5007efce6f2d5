//go:build unix

package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// TakesAtOnce reports whether a stream is sure to take so many bytes without waiting for its reader: a file, or a pipe with
// room for them (PIPE_BUF of POSIX).
func TakesAtOnce(stream any, bytes int) bool {
	file, ok := stream.(*os.File)
	if !ok || file == nil {
		return false
	}
	fd := int(file.Fd())
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return true
	case unix.S_IFIFO:
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(poll, 0)
		return bytes <= pipeBuf && err == nil && n == 1 && poll[0].Revents == unix.POLLOUT
	}
	return false
}

// pipeBuf is the least PIPE_BUF that POSIX allows.
const pipeBuf = 512
