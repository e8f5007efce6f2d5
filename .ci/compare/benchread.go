package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// figures are what a load generator says of its run, in milliseconds. What it does not say is 0.
type figures struct {
	requests       int
	mean, p50, p99 float64
	// uncorrected is the 99th percentile counted from when a request was sent, where p99 counts from when it should have
	// been.
	uncorrected float64
}

// sound says whether they can be what was measured.
func (f figures) sound() bool {
	for _, v := range []float64{f.mean, f.p50, f.p99, f.uncorrected} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return false
		}
	}
	return f.requests > 0
}

// figuresOf sums up the latencies of all requests.
func figuresOf(sample []float64) (figures, error) {
	if len(sample) == 0 {
		return figures{}, errors.New("no request in its report")
	}
	sum := 0.0
	for _, v := range sample {
		sum += v
	}
	return figures{
		requests: len(sample), mean: sum / float64(len(sample)), p50: median(sample), p99: quantile(sample, 0.99),
	}, nil
}

// readFerry takes the first node of ferry's JSON.
func readFerry(report []byte) (figures, error) {
	type summary struct{ Mean, P50, P99 *float64 }
	var run struct {
		Nodes []struct {
			Requests    int
			OK          int
			Latency     summary `json:"latency_ms"`
			Uncorrected summary `json:"uncorrected_ms"`
		}
	}
	if err := json.Unmarshal(report, &run); err != nil {
		return figures{}, err
	}
	if len(run.Nodes) != 1 {
		return figures{}, fmt.Errorf("%d nodes in its report, want 1", len(run.Nodes))
	}
	node := run.Nodes[0]
	if node.OK != node.Requests {
		return figures{}, fmt.Errorf("%d of %d requests succeeded", node.OK, node.Requests)
	}
	if node.Latency.Mean == nil || node.Latency.P50 == nil || node.Latency.P99 == nil {
		return figures{}, errors.New("no mean, p50 and p99 in its report")
	}
	f := figures{requests: node.Requests, mean: *node.Latency.Mean, p50: *node.Latency.P50, p99: *node.Latency.P99}
	if node.Uncorrected.P99 != nil {
		f.uncorrected = *node.Uncorrected.P99
	}
	return f, nil
}

// readNanoseconds takes one latency a line.
func readNanoseconds(report []byte) (figures, error) {
	var sample []float64
	for line := range strings.Lines(string(report)) {
		taken, err := strconv.ParseInt(strings.TrimSuffix(line, "\n"), 10, 64)
		if err != nil {
			return figures{}, err
		}
		sample = append(sample, milliseconds(time.Duration(taken)))
	}
	return figuresOf(sample)
}

// readHeyCSV takes hey's line for each request: seconds to four places first, the status seventh.
func readHeyCSV(report []byte) (figures, error) {
	rows, err := csv.NewReader(bytes.NewReader(report)).ReadAll()
	if err != nil {
		return figures{}, err
	}
	if len(rows) == 0 || len(rows[0]) < 7 || rows[0][0] != "response-time" || rows[0][6] != "status-code" {
		return figures{}, errors.New("not the columns that hey writes")
	}
	var sample []float64
	for _, row := range rows[1:] {
		seconds, err := strconv.ParseFloat(row[0], 64)
		if err != nil {
			return figures{}, err
		}
		if row[6] != "200" {
			return figures{}, fmt.Errorf("status %s in its report", row[6])
		}
		sample = append(sample, seconds*1000)
	}
	return figuresOf(sample)
}

// readHeySummary takes what hey prints when it is not asked for each request: writing those out is work that the other
// contestants are not asked to do.
func readHeySummary(report []byte) (figures, error) {
	var f figures
	count, err := numberAfter(report, `\[200\]\s+`)
	if err != nil {
		return f, err
	}
	f.requests = int(count)
	for _, want := range []struct {
		to     *float64
		before string
	}{{&f.mean, `Average:\s+`}, {&f.p50, `50%+ in `}, {&f.p99, `99%+ in `}} {
		seconds, err := numberAfter(report, want.before)
		if err != nil {
			return f, err
		}
		*want.to = seconds * 1000
	}
	return f, nil
}

// readVegeta takes the JSON of vegeta's report, in nanoseconds.
func readVegeta(report []byte) (figures, error) {
	var run struct {
		Requests  int
		Success   float64
		Latencies struct {
			Mean time.Duration
			P50  time.Duration `json:"50th"`
			P99  time.Duration `json:"99th"`
		}
		Errors []string
	}
	if err := json.Unmarshal(report, &run); err != nil {
		return figures{}, err
	}
	if run.Success != 1 {
		return figures{}, fmt.Errorf("%.2f %% of its %d requests succeeded: %q", 100*run.Success, run.Requests, run.Errors)
	}
	l := run.Latencies
	return figures{
		requests: run.Requests, mean: milliseconds(l.Mean), p50: milliseconds(l.P50), p99: milliseconds(l.P99),
	}, nil
}

// readWrk takes what wrk prints, each time with a unit of its own.
func readWrk(report []byte) (figures, error) {
	var f figures
	if bytes.Contains(report, []byte("Non-2xx")) || bytes.Contains(report, []byte("Socket errors")) {
		return f, errors.New("it reports errors")
	}
	count := regexp.MustCompile(`(\d+) requests in `).FindSubmatch(report)
	if count == nil {
		return f, errors.New("no number of requests in its report")
	}
	var err error
	if f.requests, err = strconv.Atoi(string(count[1])); err != nil {
		return f, err
	}
	for _, want := range []struct {
		to     *float64
		before string
	}{{&f.mean, `(?m)^\s+Latency\s+`}, {&f.p50, `(?m)^\s+50%\s+`}, {&f.p99, `(?m)^\s+99%\s+`}} {
		found := regexp.MustCompile(want.before + `([0-9.]+(?:us|ms|s|m))\b`).FindSubmatch(report)
		if found == nil {
			return f, fmt.Errorf("nothing like %s in its report", want.before)
		}
		taken, err := time.ParseDuration(string(found[1]))
		if err != nil {
			return f, err
		}
		*want.to = milliseconds(taken)
	}
	return f, nil
}

// numberAfter is the number that follows a pattern.
func numberAfter(report []byte, before string) (float64, error) {
	found := regexp.MustCompile(before + `([0-9.]+)`).FindSubmatch(report)
	if found == nil {
		return 0, fmt.Errorf("nothing like %s in its report", before)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
