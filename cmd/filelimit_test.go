//go:build !windows

package cmd_test

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"ferry/cmd"
)

// fileLimit names, in the environment of a real ferry, the most bytes that a file of its may have.
const fileLimit = "FERRY_TEST_FILE_LIMIT"

// limitedMain is Main under that limit.
func limitedMain() int {
	if most, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	return cmd.Main()
}
