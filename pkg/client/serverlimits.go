package client

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/text"
)

// ServerLimits describes the server's own limits of requests and tokens, as found in a reply header, in one line; ""
// for none. There are two kinds of fields: anthropic-ratelimit-requests-remaining and similar, with times as resets,
// and x-ratelimit-remaining-requests and similar, with durations as resets. Unreadable fields are left out.
func ServerLimits(header []Field, now time.Time) string {
	values := map[string]string{}
	for _, f := range header {
		values[f.Name] = f.Value
	}
	var parts []string
	for _, name := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		for _, form := range []string{"anthropic-ratelimit-" + name + "-%s", "x-ratelimit-%s-" + name} {
			field := func(what string) string { return values[fmt.Sprintf(form, what)] }
			left, err := strconv.ParseInt(field("remaining"), 10, 64)
			limit, err2 := strconv.ParseInt(field("limit"), 10, 64)
			if err != nil || err2 != nil || left < 0 || limit < 0 {
				continue
			}
			part := fmt.Sprintf("%s %d of %d left", strings.ReplaceAll(name, "-", " "), left, limit)
			reset := field("reset")
			if at, err := time.Parse(time.RFC3339, reset); err == nil {
				part += ", resets in " + resetsIn(max(0, at.Sub(now)))
			} else if in, err := time.ParseDuration(reset); err == nil && in >= 0 {
				part += ", resets in " + resetsIn(in)
			}
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "the server's limits: " + strings.Join(parts, "; ")
}

// resetsIn formats the time until a reset, rounded up to the precision of servers.
func resetsIn(d time.Duration) string {
	if seconds := (d + time.Second - 1).Truncate(time.Second); seconds < 2*time.Minute {
		return text.Seconds(seconds)
	}
	return text.Span((d + time.Minute - 1).Truncate(time.Minute))
}
