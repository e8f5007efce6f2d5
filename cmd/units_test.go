package cmd

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/limit"
	"ferry/pkg/text"
)

// TestLimitLanguage holds that the limiter takes every rate that the configuration takes.
func TestLimitLanguage(t *testing.T) {
	for _, given := range []string{"50/min", "50 / min", "1/s", "1000000/s", "50/1m30s", "50/1s", "50/24h", "50/24h1ns", "1/day"} {
		for _, burst := range []string{"", "0", "1", "+1", "-1", "5", "10000", "10001", "x", "5 ", "05", "99999999999999999999"} {
			values, wrong := config.Resolve(&config.File{}, nil, map[string]string{"limit": given + " burst " + burst})
			if wrong != nil {
				continue
			}
			node, err := values.Select(config.Selection{Selector: "demo"})
			if err != nil {
				t.Fatal(err)
			}
			rate := limit.Rate{Burst: node.Burst}
			rate.Events, rate.Per, _ = text.ParseRate(node.Rate)
			if err := rate.Check(); err != nil {
				t.Errorf("limit %q burst %q: the configuration takes it, the limiter says %v", given, burst, err)
			}
		}
	}
}

func TestLimitsLine(t *testing.T) {
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
		{ // a reset that has passed, one that cannot be read, and none
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
		var header []client.Field
		for i := 0; i < len(tt.header); i += 2 {
			header = append(header, client.Field{Name: tt.header[i], Value: tt.header[i+1]})
		}
		if got := limitsLine(header, now); got != tt.want {
			t.Errorf("%v:\ngot  %q\nwant %q", tt.header, got, tt.want)
		}
	}
}

func TestVersionBuiltFrom(t *testing.T) {
	of := func(main string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: "ferry", Version: main}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	at := debug.BuildSetting{Key: "vcs.time", Value: "2026-11-02T03:04:05Z"}
	behind := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	none := versionJSON{Version: unstamped}
	stamp := versionJSON{Version: "v1.2.3", Commit: "fedcba987654", Date: "2026-10-01T00:00:00Z"}
	for _, test := range []struct {
		name  string
		stamp versionJSON
		info  *debug.BuildInfo
		want  string
	}{
		{"without git", none, of("(devel)"), "ferry 0.1.0-dev"},
		{"without build information", none, &debug.BuildInfo{}, "ferry 0.1.0-dev"},
		{"go build in a clone", none, of("v0.0.0-20261102030405-0123456789ab+dirty", revision, at),
			"ferry 0.0.0-20261102030405-0123456789ab+dirty (0123456789ab, 2026-11-02T03:04:05Z)"},
		{"go build at a tag", none, of("v1.2.3", revision, at), "ferry 1.2.3 (0123456789ab, 2026-11-02T03:04:05Z)"},
		{"go install of a version", none, of("v1.2.3"), "ferry 1.2.3"},
		{"stamped", stamp, of("(devel)"), "ferry 1.2.3 (fedcba987654, 2026-10-01T00:00:00Z)"},
		{"the stamp wins", stamp, of("v9.9.9", revision, at), "ferry 1.2.3 (fedcba987654, 2026-10-01T00:00:00Z)"},
		{"stamped without a tag", versionJSON{Version: "fedcba9", Commit: "fedcba987654"}, of(""), "ferry fedcba9 (fedcba987654)"},
		{"a tag that is no version", versionJSON{Version: "very"}, of(""), "ferry very"},
		{"a short revision", none, of("", debug.BuildSetting{Key: "vcs.revision", Value: "abc"}, at),
			"ferry 0.1.0-dev (abc, 2026-11-02T03:04:05Z)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, want := builtFrom(test.stamp, test.info).text(), test.want+behind; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
