//go:build !windows

package cmd

import (
	"os"
	"os/signal"
	"syscall"
)

// dieOf ends the process by the signal itself, so that its parent sees that it was killed. Should the signal be
// blocked, the exit code says the same.
func dieOf(caught os.Signal) int {
	signal.Reset(caught)
	number, ok := caught.(syscall.Signal)
	if !ok {
		return exitFailed
	}
	if err := syscall.Kill(syscall.Getpid(), number); err == nil {
		select {} // the signal is on its way
	}
	return 128 + int(number)
}
