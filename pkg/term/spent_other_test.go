//go:build !unix

package term

import "time"

var began = time.Now()

// spent is the time so far, where the system does not tell a process's own.
func spent() time.Duration { return time.Since(began) }
