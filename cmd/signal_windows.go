package cmd

import "os"

// dieOf gives the exit code that a shell would show; Windows has no signals to raise.
func dieOf(os.Signal) int { return 130 }
