//go:build !linux && !darwin

package limit

import "time"

func boottime() (time.Duration, bool) { return 0, false }

func bootID() string { return "" }
