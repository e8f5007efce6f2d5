//go:build !linux

package transport

import "syscall"

// unacknowledgedBy returns 0: the number of unacknowledged bytes is known only on Linux.
func unacknowledgedBy(syscall.RawConn) int { return 0 }
