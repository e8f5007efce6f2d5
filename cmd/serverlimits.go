package cmd

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/text"
)

// serverLimit is what a server says of one of its own limits, of requests or of tokens.
type serverLimit struct {
	name        string
	left, limit int64
	resets      time.Duration // from now; below 0 where the server does not say
}

// serverLimits reads the headers in which servers tell their limits: anthropic-ratelimit-requests-remaining and its kin,
// whose resets are times, and x-ratelimit-remaining-requests and its kin, whose resets are durations. What cannot be
// read is left out.
func serverLimits(header []client.Field, now time.Time) []serverLimit {
	values := map[string]string{}
	for _, f := range header {
		values[f.Name] = f.Value
	}
	var all []serverLimit
	for _, name := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		for _, key := range []func(string) string{
			func(what string) string { return "anthropic-ratelimit-" + name + "-" + what },
			func(what string) string { return "x-ratelimit-" + what + "-" + name },
		} {
			left, err := strconv.ParseInt(values[key("remaining")], 10, 64)
			limit, err2 := strconv.ParseInt(values[key("limit")], 10, 64)
			if err != nil || err2 != nil || left < 0 || limit < 0 {
				continue
			}
			l := serverLimit{strings.ReplaceAll(name, "-", " "), left, limit, -1}
			reset := values[key("reset")]
			if at, err := time.Parse(time.RFC3339, reset); err == nil {
				l.resets = max(0, at.Sub(now))
			} else if in, err := time.ParseDuration(reset); err == nil && in >= 0 {
				l.resets = in
			}
			all = append(all, l)
		}
	}
	return all
}

// limitsLine is the server's limits in one line, "" where it tells none.
func limitsLine(header []client.Field, now time.Time) string {
	var parts []string
	for _, l := range serverLimits(header, now) {
		part := fmt.Sprintf("%s %d of %d left", l.name, l.left, l.limit)
		if l.resets >= 0 {
			part += ", resets in " + resetsIn(l.resets)
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return "the server's limits: " + strings.Join(parts, "; ")
}

// resetsIn is the time until a reset, rounded up to what servers are exact to.
func resetsIn(d time.Duration) string {
	if seconds := (d + time.Second - 1).Truncate(time.Second); seconds < 2*time.Minute {
		return text.Seconds(seconds)
	}
	return text.Span((d + time.Minute - 1).Truncate(time.Minute))
}
