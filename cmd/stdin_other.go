//go:build !linux

package cmd

// sharesStdin reports whether standard input is the parent process's too, which only Linux tells.
func (a *app) sharesStdin() bool { return false }
