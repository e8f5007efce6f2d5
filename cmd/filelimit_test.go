//go:build !windows

package cmd_test

import (
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"ferry/cmd"
)

// fileLimit names, in the environment of a real ferry, the most bytes that a file of its may have.
const fileLimit = "FERRY_TEST_FILE_LIMIT"

// openFilesLimit names, likewise, the most files that it may have open.
const openFilesLimit = "FERRY_TEST_OPEN_FILES"

// faults, likewise, lets a goroutine panic at SIGUSR1, and makes the runtime give up at SIGUSR2.
const faults = "FERRY_TEST_FAULTS"

// Files that others can write are refused: the tests' own are closed to them, whatever the caller's umask.
func init() { syscall.Umask(0o022) }

// limitedMain is Main under these limits.
func limitedMain() int {
	if most, err := strconv.ParseUint(os.Getenv(openFilesLimit), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	if most, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	if os.Getenv(faults) != "" {
		wanted := make(chan os.Signal, 1)
		signal.Notify(wanted, syscall.SIGUSR1, syscall.SIGUSR2)
		go func() {
			if <-wanted == syscall.SIGUSR1 {
				panic("a fault of a library")
			}
			new(sync.Mutex).Unlock() // nothing recovers from that
		}()
	}
	return cmd.Main()
}
