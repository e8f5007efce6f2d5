package cmd

import (
	"fmt"
	"io"
	"os"
)

// sharesStdin reports whether standard input is shared with the parent process, as in a shell's loop that reads from it.
func (a *app) sharesStdin() bool {
	if a.Stdin != io.Reader(os.Stdin) {
		return false
	}
	own, err := os.Readlink("/proc/self/fd/0")
	parent, failed := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", os.Getppid()))
	return err == nil && failed == nil && own == parent
}
