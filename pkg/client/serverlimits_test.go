package client

import (
	"testing"
	"time"
)

func TestServerLimits(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header []string
		want   string
	}{
		{nil, ""},
		{[]string{"content-type", "application/json"}, ""},
		{
			[]string{
				"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49",
				"anthropic-ratelimit-requests-reset", "2026-11-23T12:00:12Z",
				"anthropic-ratelimit-tokens-limit", "50000", "anthropic-ratelimit-tokens-remaining", "48000",
				"anthropic-ratelimit-tokens-reset", "2026-11-23T12:05:00Z",
			},
			"the server's limits: requests 49 of 50 left, resets in 12 s; tokens 48000 of 50000 left, resets in 5 min",
		},
		{
			[]string{
				"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1.2s",
				"x-ratelimit-limit-tokens", "9", "x-ratelimit-remaining-tokens", "8", "x-ratelimit-reset-tokens", "6m0s",
			},
			"the server's limits: requests 0 of 60 left, resets in 2 s; tokens 8 of 9 left, resets in 6 min",
		},
		{ // a reset in the past, an unreadable reset, and no reset
			[]string{
				"anthropic-ratelimit-requests-limit", "5", "anthropic-ratelimit-requests-remaining", "4",
				"anthropic-ratelimit-requests-reset", "2026-11-23T11:59:59Z",
				"anthropic-ratelimit-input-tokens-limit", "5", "anthropic-ratelimit-input-tokens-remaining", "4",
				"anthropic-ratelimit-input-tokens-reset", "soon",
				"anthropic-ratelimit-output-tokens-limit", "5", "anthropic-ratelimit-output-tokens-remaining", "4",
			},
			"the server's limits: requests 4 of 5 left, resets in 0 s; input tokens 4 of 5 left; output tokens 4 of 5 left",
		},
		{[]string{"x-ratelimit-limit-requests", "many", "x-ratelimit-remaining-requests", "1"}, ""},
		{[]string{"x-ratelimit-limit-requests", "5", "x-ratelimit-remaining-requests", "-1"}, ""},
		{[]string{"x-ratelimit-limit-requests", "5"}, ""},
	} {
		var header []Field
		for i := 0; i < len(tt.header); i += 2 {
			header = append(header, Field{Name: tt.header[i], Value: tt.header[i+1]})
		}
		if got := ServerLimits(header, now); got != tt.want {
			t.Errorf("%v:\ngot  %q\nwant %q", tt.header, got, tt.want)
		}
	}
}
