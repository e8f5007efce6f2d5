package cmd

import "golang.org/x/sys/unix"

// pipeBuffer is how many bytes a pipe that is ready takes without waiting (PIPE_BUF).
const pipeBuffer = 4096

// takes reports whether a pipe takes so many bytes without waiting for its reader.
func takes(pipe, bytes int) bool {
	if bytes > pipeBuffer {
		return false
	}
	ready := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLOUT}}
	n, err := unix.Poll(ready, 0)
	return err == nil && n == 1 && ready[0].Revents&unix.POLLOUT != 0
}
