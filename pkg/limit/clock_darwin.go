package limit

import (
	"time"

	"golang.org/x/sys/unix"
)

// boottime reads the clock that goes on while the machine sleeps; CLOCK_MONOTONIC follows changes of the wall's time
// there.
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
