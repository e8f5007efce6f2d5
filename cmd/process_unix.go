//go:build unix

package cmd

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownFiles is how many files ferry has open in addition to its connections.
const ownFiles = 16

// prepareProcess disables core files, which would contain keys. It fails if hardly any file can be opened: the Go
// runtime itself could fail later, in the middle of a call.
func prepareProcess() error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = min(1, limit.Max) // bytes: with 0, Linux still passes a core to a program that collects them
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	var open []int
	var err error
	for len(open) < ownFiles && err == nil {
		var fd int
		if fd, err = unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			open = append(open, fd)
		}
	}
	for _, fd := range open {
		unix.Close(fd)
	}
	if err != nil {
		return usagef("ulimit -n shows and sets the limit; 64 is enough for a single call",
			"only %d more files can be opened, and ferry needs %d: %s", len(open), ownFiles, err)
	}
	return nil
}

// checkFileLimit rejects more connections than the limit of open files allows. Go has already raised the soft limit to
// the hard limit.
func checkFileLimit(connections int) error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(connections+ownFiles) <= uint64(limit.Cur) {
		return nil
	}
	return usagef("a smaller -c, or ulimit -n with a larger number",
		"%d connections at once do not fit into this process's limit of %d open files", connections, limit.Cur)
}

// isClosedPipe reports whether a write failed because the pipe's reader has gone.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// Now returns the current time.
func (systemClock) Now() time.Time { return time.Now() }

// endOfInput names the keys that end the input on a terminal.
const endOfInput = "Ctrl-D on a line of its own"

// reraiseSignal kills the process with the signal itself, so that its parent sees the signal. If the signal is blocked,
// as for the first process of a container, it returns an exit code that reports the signal.
func reraiseSignal(caught os.Signal) int {
	signal.Reset(caught)
	number := caught.(syscall.Signal) // the only type of signals
	if pid := syscall.Getpid(); pid != 1 && syscall.Kill(pid, number) == nil {
		select {} // until the signal arrives
	}
	return 128 + int(number)
}
