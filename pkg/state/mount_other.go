//go:build unix && !linux

package state

import "os"

// Containers mount their volumes on Linux.
func readOnlyMount(*os.File) bool { return false }

func readOnlyFolder(string) bool { return false }
