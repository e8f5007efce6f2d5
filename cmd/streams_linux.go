package cmd

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// sharesStdin reports whether standard input is shared with the parent process, as in a shell loop that reads from it.
func sharesStdin(stdin io.Reader) bool {
	if stdin != io.Reader(os.Stdin) {
		return false
	}
	own, err := os.Readlink("/proc/self/fd/0")
	parent, failed := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", os.Getppid()))
	return err == nil && failed == nil && own == parent
}

// pipeBuffer is how many bytes a ready pipe accepts without blocking (PIPE_BUF).
const pipeBuffer = 4096

// canWriteNow reports whether a pipe accepts this many bytes without waiting for its reader.
func canWriteNow(pipe, bytes int) bool {
	if bytes > pipeBuffer {
		return false
	}
	ready := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLOUT}}
	n, err := unix.Poll(ready, 0)
	return err == nil && n == 1 && ready[0].Revents&unix.POLLOUT != 0
}
