//go:build unix

package term

import (
	"time"

	"golang.org/x/sys/unix"
)

// spent is the processor time of this process so far: a bound on it holds on a busy machine too.
func spent() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
