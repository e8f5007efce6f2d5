//go:build !linux

package hold

// residentMemory returns 0: this system has no cheap way to read it.
func residentMemory() int64 { return 0 }

func unmapProgram() {}
