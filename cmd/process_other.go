//go:build !unix

package cmd

import "os"

func prepareProcess() error { return nil }

// enoughFiles has nothing to refuse: this system has no limit of its own on a process's connections.
func enoughFiles(int) error { return nil }

// dieOf gives the exit code that a shell would show; Windows has no signals to raise.
func dieOf(os.Signal) int { return 130 }
