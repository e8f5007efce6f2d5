//go:build !linux

package cmd

import "io"

// sharesStdin reports whether standard input is shared with the parent process. Only Linux can report it.
func sharesStdin(io.Reader) bool { return false }

// canWriteNow reports whether a pipe accepts this many bytes without waiting for its reader. It is implemented for
// Linux only.
func canWriteNow(int, int) bool { return false }
