package limit

import (
	"time"

	"golang.org/x/sys/unix"
)

// boottime reads the clock that continues while the machine sleeps. On macOS, CLOCK_MONOTONIC follows changes of the
// wall time.
func boottime() (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
