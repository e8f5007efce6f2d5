package retry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// parseRetryAfter reads a Retry-After value (RFC 9110 section 10.2.3): seconds, with a fraction too since some servers
// send one, or an HTTP date in any of its three forms, taken relative to now. A negative or unreadable value, a date that
// has passed included, counts as absent: false. A number too large for a Duration gives the largest one.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	if wait, ok := parseNumber(value, time.Second); ok {
		return wait, true
	}
	at, err := http.ParseTime(strings.Trim(value, " \t"))
	if err != nil {
		return 0, false
	}
	wait := at.Sub(now)
	return wait, wait >= 0
}

// parseNumber reads a number of units: digits, and a fraction behind a point. The wait is never shorter than asked.
func parseNumber(value string, unit time.Duration) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	whole, fraction, point := strings.Cut(value, ".")
	if !digits(whole) || point && !digits(fraction) {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	if wait := math.Ceil(n * float64(unit)); err == nil && wait < math.MaxInt64 {
		return time.Duration(wait), true
	}
	return math.MaxInt64, true
}

// digits reports whether s is one digit or more.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
