//go:build unix

package cmd

import "golang.org/x/sys/unix"

// noCoreFile sets the limit to 1 byte: with 0, Linux still hands a core to a program that collects them.
func noCoreFile() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = min(1, limit.Max)
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit) // best effort
	}
}

// enoughToStart refuses to begin where hardly a file can be opened. Later the Go runtime itself could fail, in the middle
// of a call.
func enoughToStart() error {
	var open []int
	var err error
	for len(open) < spareFiles && err == nil {
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
			"only %d more files can be opened, and ferry needs %d: %s", len(open), spareFiles, err)
	}
	return nil
}
