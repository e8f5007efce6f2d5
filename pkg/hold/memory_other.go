//go:build !linux

package hold

// residentMemory is 0: this system does not tell a process cheaply.
func residentMemory() int64 { return 0 }

func unmapProgram() {}
