package main

import (
	"math"
	"strings"
	"testing"
)

const (
	ferryReport = `{"schema":1,"nodes":[{"node":"a","requests":4,"ok":4,"latency_ms":{"mean":20.5,"p50":20.4,"p99":21},` +
		`"uncorrected_ms":{"mean":1,"p50":1,"p99":0.5}}],"warnings":[]}`
	heyRows = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n" +
		"0.0210,0.0001,0.0000,0.0000,0.0201,0.0000,200,0.0000\n0.0200,0.0000,0.0000,0.0000,0.0200,0.0000,200,0.0210\n" +
		"0.0250,0.0000,0.0000,0.0000,0.0200,0.0000,200,0.0410\n"
	heySummary = "\nSummary:\n  Total:\t2.0 secs\n  Slowest:\t0.0300 secs\n  Average:\t0.0207 secs\n\nLatency distribution:\n" +
		"  10%% in 0.0200 secs\n  50%% in 0.0205 secs\n  99%% in 0.0231 secs\n\nStatus code distribution:\n  [200]\t5000 responses\n"
	vegetaReport = `{"latencies":{"total":61,"mean":20500000,"50th":20400000,"99th":23000000},"requests":97,"success":1,"errors":[]}`
	wrkReport    = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 50 connections\n" +
		"  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency    20.58ms  330.20us  22.52ms   73.92%\n" +
		"  Latency Distribution\n     50%  950.00us\n     75%   20.76ms\n     99%    1.02s \n  2400 requests in 1.00s, 241.41KB read\n"
)

func TestReaders(t *testing.T) {
	for _, test := range []struct {
		name   string
		read   func([]byte) (figures, error)
		report string
		want   figures
	}{
		{"ferry", readFerry, ferryReport, figures{requests: 4, mean: 20.5, p50: 20.4, p99: 21, uncorrected: 0.5}},
		{"socket", readNanoseconds, "1000000\n2000000\n6000000\n", figures{requests: 3, mean: 3, p50: 2, p99: 5.92}},
		{"hey, every request", readHeyCSV, heyRows, figures{requests: 3, mean: 22, p50: 21, p99: 24.92}},
		{"hey, summary", readHeySummary, heySummary, figures{requests: 5000, mean: 20.7, p50: 20.5, p99: 23.1}},
		{"vegeta", readVegeta, vegetaReport, figures{requests: 97, mean: 20.5, p50: 20.4, p99: 23}},
		{"wrk", readWrk, wrkReport, figures{requests: 2400, mean: 20.58, p50: 0.95, p99: 1020}},
	} {
		got, err := test.read([]byte(test.report))
		if err != nil || !near(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func near(a, b figures) bool {
	for _, pair := range [][2]float64{{a.mean, b.mean}, {a.p50, b.p50}, {a.p99, b.p99}, {a.uncorrected, b.uncorrected}} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			return false
		}
	}
	return a.requests == b.requests
}

// TestReadersRefuse: what went wrong in a run must not become a figure.
func TestReadersRefuse(t *testing.T) {
	for _, test := range []struct {
		name, report, want string
		read               func([]byte) (figures, error)
	}{
		{"a failure", strings.Replace(ferryReport, `"ok":4`, `"ok":3`, 1), "3 of 4 requests succeeded", readFerry},
		{"no latency", strings.Replace(ferryReport, `"p50":20.4,`, ``, 1), "no mean, p50 and p99", readFerry},
		{"no node", `{"nodes":[]}`, "0 nodes", readFerry},
		{"nothing", "", "no request", readNanoseconds},
		{"words", "fast\n", "invalid syntax", readNanoseconds},
		{"a status", strings.Replace(heyRows, ",200,0.0410", ",503,0.0410", 1), "status 503", readHeyCSV},
		{"other columns", "a,b,c\n1,2,3\n", "not the columns", readHeyCSV},
		{"no request", strings.SplitAfter(heyRows, "\n")[0], "no request", readHeyCSV},
		{"errors only", "Error distribution:\n  [5000]\trefused\n", "nothing like", readHeySummary},
		{"a failure", strings.Replace(vegetaReport, `"success":1`, `"success":0.99`, 1), "99.00 %", readVegeta},
		{"errors", wrkReport + "  Non-2xx or 3xx responses: 3\n", "reports errors", readWrk},
		{"no distribution", strings.Replace(wrkReport, "50%", "", 1), "nothing like", readWrk},
	} {
		if got, err := test.read([]byte(test.report)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", test.name, got, err, test.want)
		}
	}
}

// TestVerify: a report counts only if the node saw the same.
func TestVerify(t *testing.T) {
	before := arrived{Answered: 100, Connections: 10, Refused: 1}
	number := &load{connections: 5, requests: 50, warmup: 5}
	timed := &load{connections: 5}
	for _, test := range []struct {
		name  string
		load  *load
		after arrived
		want  string
	}{
		{"all of it", number, arrived{Answered: 150, Connections: 15, Refused: 1}, ""},
		{"with the warm-up", number, arrived{Answered: 155, Connections: 15, Refused: 1}, ""},
		{"one too few", number, arrived{Answered: 149, Connections: 15, Refused: 1}, "answered 49"},
		{"one too many", number, arrived{Answered: 156, Connections: 15, Refused: 1}, "answered 56"},
		{"unfinished ones", timed, arrived{Answered: 155, Connections: 15, Refused: 1}, ""},
		{"more than can be unfinished", timed, arrived{Answered: 156, Connections: 15, Refused: 1}, "answered 56"},
		{"refused", number, arrived{Answered: 150, Connections: 15, Refused: 2}, "refused 1"},
		{"a connection for each", number, arrived{Answered: 150, Connections: 60, Refused: 1}, "opened 50 connections"},
	} {
		err := test.load.verify(50, before, test.after)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// TestSound: strconv reads more than a time can be.
func TestSound(t *testing.T) {
	good := figures{requests: 1, mean: 1, p50: 1, p99: 1}
	if !good.sound() {
		t.Errorf("%+v is refused", good)
	}
	for _, report := range []string{"NaN", "+Inf", "-9"} {
		got, err := readHeyCSV([]byte(strings.Replace(heyRows, "0.0210,", report+",", 1)))
		if err != nil || got.sound() {
			t.Errorf("%s: got %+v, %v, which passes", report, got, err)
		}
	}
	if none := (figures{}); none.sound() {
		t.Error("no requests pass")
	}
}

// FuzzReaders: no report stops the comparison, and what is taken for figures of some requests is in order.
func FuzzReaders(f *testing.F) {
	for _, seed := range []string{ferryReport, "1\n", heyRows, heySummary, vegetaReport, wrkReport} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, report []byte) {
		for _, read := range []func([]byte) (figures, error){readNanoseconds, readHeyCSV} {
			if got, err := read(report); err == nil && got.sound() && got.p99 < got.p50 {
				t.Errorf("p99 below p50: %+v", got)
			}
		}
		for _, read := range []func([]byte) (figures, error){readFerry, readHeySummary, readVegeta, readWrk} {
			read(report)
		}
	})
}
