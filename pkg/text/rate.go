package text

import (
	"strconv"
	"strings"
	"time"
)

// The limits of a rate.
const (
	MaxEvents = 1_000_000
	minPer    = time.Second
	maxPer    = 24 * time.Hour
)

// ParseRate parses a rate such as "50/min": a whole number from 1 to MaxEvents, a slash, and a period from 1 second to
// 1 day.
func ParseRate(s string) (events int, per time.Duration, ok bool) {
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 32)
	per, known := ParsePeriod(strings.TrimSpace(unit))
	ok = err == nil && known && n >= 1 && n <= MaxEvents && per >= minPer && per <= maxPer
	return int(n), per, ok
}

// ParsePeriod parses the part after the slash of a rate: s, m, h or d, a longer name (sec, second, min, minute, hour,
// day), or a duration with units such as "1m30s".
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
	if unit == "" || unit[0] < '0' || unit[0] > '9' { // time.ParseDuration accepts signs
		return 0, false
	}
	per, err := time.ParseDuration(unit)
	return per, err == nil
}

// Rate formats a rate so that ParseRate can parse it.
func Rate(events int, per time.Duration) string {
	unit := Brief(per)
	for _, name := range []string{"s", "min", "hour", "day"} {
		if named, _ := ParsePeriod(name); named == per {
			unit = name
		}
	}
	return strconv.Itoa(events) + "/" + unit
}
