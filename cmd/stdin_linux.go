package cmd

import (
	"fmt"
	"io"
	"os"
)

// sharesStdin reports whether standard input is the parent process's too: that of a shell whose loop reads from it.
func (a *app) sharesStdin() bool {
	if a.Stdin != io.Reader(os.Stdin) {
		return false
	}
	own, err := os.Readlink("/proc/self/fd/0")
	parent, failed := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", os.Getppid()))
	return err == nil && failed == nil && own == parent
}
