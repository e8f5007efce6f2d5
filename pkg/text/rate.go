package text

import (
	"strconv"
	"strings"
	"time"
)

// The bounds of a rate.
const (
	MaxEvents = 1_000_000
	minPer    = time.Second
	maxPer    = 24 * time.Hour
)

// ParseRate reads "50/min": a whole number from 1 to MaxEvents, a slash and a period from a second to a day.
func ParseRate(s string) (events int, per time.Duration, ok bool) {
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 32)
	per, known := ParsePeriod(strings.TrimSpace(unit))
	ok = err == nil && known && n >= 1 && n <= MaxEvents && per >= minPer && per <= maxPer
	return int(n), per, ok
}

// ParsePeriod reads what stands behind the slash of a rate: s, m, h or d, a longer name of one (sec, second, min, minute,
// hour, day), or a time with units as in "1m30s".
func ParsePeriod(unit string) (time.Duration, bool) {
	switch unit {
	case "s", "sec", "second":
		return time.Second, true
	case "m", "min", "minute":
		return time.Minute, true
	case "h", "hour":
		return time.Hour, true
	case "d", "day":
		return maxPer, true
	}
	if unit == "" || unit[0] < '0' || unit[0] > '9' { // time.ParseDuration takes signs
		return 0, false
	}
	per, err := time.ParseDuration(unit)
	return per, err == nil
}

// Rate writes a rate as ParseRate reads it.
func Rate(events int, per time.Duration) string {
	unit := Brief(per)
	for _, name := range []string{"s", "min", "hour", "day"} {
		if named, _ := ParsePeriod(name); named == per {
			unit = name
		}
	}
	return strconv.Itoa(events) + "/" + unit
}
