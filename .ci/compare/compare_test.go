package main

import (
	"math"
	"strings"
	"testing"
)

// theReports are short reports of all load generators; each is of 20 ms on average.
var theReports = map[string]string{
	"ferry": `{"nodes": [{"requests": 4, "ok": 4, "latency_ms": {
		"n": 4, "mean": 20.5, "p50": 20.4, "p99": 21.5}, "uncorrected_ms": {"mean": 1, "p99": 2}}]}`,
	"socket": "4 requests, in ms: mean 20.5 p50 20.4 p99 21.5\n",
	"hey": "Summary:\n  Average:\t0.0205 secs\n\nLatency distribution:\n  50%% in 0.0204 secs\n  99%% in 0.0215 secs\n\n" +
		"Status code distribution:\n  [200]\t4 responses\n",
	"vegeta": `{"latencies":{"total":82,"mean":20500000,"50th":20400000,"99th":21500000},"requests":4,"success":1}`,
	"wrk":    "  Thread Stats   Avg\n    Latency    20.50ms  330.20us\n     50%   20.40ms\n     99%   21.50ms\n  4 requests in 1.00s, 1KB read\n",
}

func TestRead(t *testing.T) {
	want := map[string]float64{"requests": 4, "mean ms": 20.5, "p50 ms": 20.4, "p99 ms": 21.5}
	for program, report := range theReports {
		got, err := read(program, report)
		for quantity, value := range want {
			if math.Abs(got[quantity]-value) > 1e-9 {
				t.Errorf("%s: %s is %v, want %v (%v)", program, quantity, got[quantity], value, err)
			}
		}
	}
	if len(theReports) != len(reports) {
		t.Errorf("%d reports are tried, want %d", len(theReports), len(reports))
	}
}

// TestReadRefuses: what is missing in a report must not become a figure.
func TestReadRefuses(t *testing.T) {
	for program, report := range theReports {
		for _, gone := range []string{"20.4", "0204", "4 requests", `"requests":4`, "4 responses", `"ok": 4`} {
			if less := strings.Replace(report, gone, "", 1); less != report {
				if got, err := read(program, less); err == nil {
					t.Errorf("%s without %s: got %v, want an error", program, gone, got)
				}
			}
		}
	}
}

func TestMarkdown(t *testing.T) {
	ferry := &side{name: "ferry", line: "ferry ask", got: map[string][]float64{"ms": {4, 5, 6}}}
	curl := &side{name: "curl", line: "curl | cat", got: map[string][]float64{"ms": {8, 8, 8}}}
	made := &table{title: "One", about: "Whole processes."}
	made.compare("ms", []*side{ferry, curl}, map[string]*goal{"curl": atMost(0.5)})
	made.add(row{what: "a stall, ms", values: []float64{12345.6}, goal: &goal{850, 1000}, command: "ferry bench"})
	made.add(row{what: "items/s", values: []float64{0.25}, goal: atLeast(0.25), command: "ferry ask"})
	const want = `
## One

Whole processes.

| what | figure | spread | ratio | goal | | command |
|---|---:|---:|---:|---|---|---|
| ferry, ms | 5.000 | 4.500 to 5.500 |  |  |  | ` + "`ferry ask`" + ` |
| curl, ms | 8.000 | 8.000 to 8.000 | 0.625 (0.562 to 0.688) | at most 0.5 | **missed** | ` + "`curl \\| cat`" + ` |
| a stall, ms | 12346 | – |  | 850 to 1000 | **missed** | ` + "`ferry bench`" + ` |
| items/s | 0.250 | – |  | at least 0.25 | met | ` + "`ferry ask`" + ` |
`
	if got := made.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	text := report("One run\n", []*table{made})
	for _, want := range []string{"# Measured\n\nOne run\n", "Of 3 goals this run met 1 and missed 2.", want, apiKey, "$ jq --version\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not hold %q:\n%s", want, text)
		}
	}
}

func TestOnly(t *testing.T) {
	if err := run("ferry", "", "nothing", true); err == nil || !strings.Contains(err.Error(), "no part nothing") {
		t.Errorf("got %v, want an error that names the part", err)
	}
}
