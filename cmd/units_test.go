package cmd

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/limit"
)

// TestLimitLanguage checks that the limiter accepts every rate that the configuration accepts.
func TestLimitLanguage(t *testing.T) {
	for _, given := range []string{"50/min", "50 / min", "1/s", "1000000/s", "50/1m30s", "50/1s", "50/24h", "50/24h1ns", "1/day"} {
		for _, burst := range []string{"", "0", "1", "+1", "-1", "5", "10000", "10001", "x", "5 ", "05", "99999999999999999999"} {
			values, wrong := config.Resolve(&config.File{}, nil, map[string]string{"limit": given + " burst " + burst})
			if wrong != nil {
				continue
			}
			node, err := values.Select("demo", "")
			if err != nil {
				t.Fatal(err)
			}
			if err := limit.Rate(node.Rate).Check(); err != nil {
				t.Errorf("limit %q burst %q: the configuration takes it, the limiter says %v", given, burst, err)
			}
		}
	}
}

// TestProxiesOfARun checks that each proxy is listed once, even if its address is part of another's.
func TestProxiesOfARun(t *testing.T) {
	list := ""
	for _, proxy := range []string{"http://10.0.0.1:8080", "http://10.0.0.1:80", "socks5h://10.0.0.1:80", "http://10.0.0.1:80", "http://10.0.0.1:8080"} {
		list = withProxy(list, proxy)
	}
	if want := "http://10.0.0.1:8080, http://10.0.0.1:80, socks5h://10.0.0.1:80"; list != want {
		t.Errorf("got %s, want %s", list, want)
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

func TestParseAge(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "1d12h": day + 12*time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"65535d": 65535 * day, "0d1s": time.Second,
	} {
		if got, ok := parseAge(text); !ok || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0", "0s", "0d", "d", "7", "-7d", "-1h", "1d-1h", "7d7d", "1.5d", "1h7d", "65536d", "7 d",
		"65535d2562047h", "7w", "soon"} {
		if got, ok := parseAge(text); ok {
			t.Errorf("%q: got %v, want none", text, got)
		}
	}
}

// TestMovingClock reads the clock until it has moved, which takes less than a thousand reads; it never goes back.
func TestMovingClock(t *testing.T) {
	now := systemClock{}.Now
	for range 100 {
		before, after := now(), now()
		for looks := 0; after.Equal(before) && looks < 1000; looks++ {
			after = now()
		}
		if !after.After(before) {
			t.Fatalf("it stands at %s", before)
		}
	}
	if off := time.Until(now()).Abs(); off > time.Minute {
		t.Errorf("it is off by %s", off)
	}
}

// TestChineseOfLongTexts checks that the known parts of long text are translated, each once.
func TestChineseOfLongTexts(t *testing.T) {
	lines := strings.Repeat("field: some words\n", 200)
	parts := strings.Repeat("a: b c; ", 400)
	for text, want := range map[string]string{
		lines:                                lines,
		parts:                                parts,
		"hk: unknown key; b: unknown key; c": "hk：未知的配置项；b：未知的配置项；c",
		"unknown flag: {2}":                  "未知参数 {2}",
		strings.Repeat("x", maxTranslated) + "; unknown key": strings.Repeat("x", maxTranslated) + "; unknown key",
	} {
		if got := chinese(text); got != want {
			t.Errorf("%.60q: got %.200q, want %.200q", text, got, want)
		}
	}
}
