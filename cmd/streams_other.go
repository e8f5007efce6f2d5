//go:build !linux

package cmd

import "io"

// sharesStdin reports whether standard input is shared with the parent process, which only Linux tells.
func sharesStdin(io.Reader) bool { return false }

// takes reports whether a pipe takes so many bytes without waiting for its reader, which only Linux is asked.
func takes(int, int) bool { return false }
