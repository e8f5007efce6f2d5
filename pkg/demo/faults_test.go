package demo

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestSuccessIsExactInAnyWindowOf100(t *testing.T) {
	for success := range 101 {
		const total = 25_000 // longer than the pattern's period
		failed := make([]int, total+1)
		for k := range total {
			failed[k+1] = failed[k]
			if fails(uint64(k), uint64(success*100)) {
				failed[k+1]++
			}
		}
		for from := 0; from+100 <= total; from++ {
			if n := failed[from+100] - failed[from]; n != 100-success {
				t.Fatalf("success=%d: got %d failures in the 100 from %d, want %d", success, n, from, 100-success)
			}
		}
	}
	errorIf(t, !fails(0, 98_00) || fails(1, 98_00) || fails(math.MaxUint64, 100_00) || !fails(math.MaxUint64, 0),
		"got other values than those of the documented formula")
	failures := 0
	for k := range uint64(10_000) {
		if fails(k, 99_95) {
			failures++
		}
	}
	errorIf(t, failures != 5, "success=99.95: got %d failures in 10000, want 5", failures)
}

func TestSuccessOverHTTP(t *testing.T) {
	url, client := serve(t, Options{})
	got := map[int]int{}
	for range 100 {
		r := post(t, client, url+"/v1/complete?success=82", completeAsk)
		got[r.status]++
		errorIf(t, r.status == http.StatusServiceUnavailable && valueAt(decode(t, r.body), "error.type") != "overloaded_error",
			"failure: %s", r.body)
	}
	errorIf(t, got[200] != 82 || got[503] != 18, "got the statuses %v, want 82 and 18", got)
}

func TestLatencyIsLogNormalWithTheMeanAsked(t *testing.T) {
	const draws = 20_000
	for id := range byte(3) {
		for _, mean := range []time.Duration{800 * time.Millisecond, 3200 * time.Millisecond} {
			var sum, logs, squares float64
			for k := range uint64(draws) {
				d := drawDelay(mean, k, queryID{id})
				fatalIf(t, d < mean/tailFactor || d > mean*tailFactor, "got a delay of %s with the mean %s, want a fourth to four times of it", d, mean)
				l := math.Log(float64(d))
				sum, logs, squares = sum+float64(d), logs+l, squares+l*l
			}
			if got := sum / draws / float64(mean); math.Abs(got-1) > 0.02 {
				t.Errorf("query %d: got a mean of %.4f times %s, want 0.98 to 1.02", id, got, mean)
			}
			sd := math.Sqrt(squares/draws - (logs/draws)*(logs/draws))
			errorIf(t, math.Abs(sd/sigma-1) > 0.05, "query %d: sigma %.4f, want %.2f", id, sd, sigma)
		}
	}
}

func TestDelaysAreRepeatableAndOwn(t *testing.T) {
	one, two := queryID{1}, queryID{2}
	first := drawDelay(time.Second, 5, one)
	again := drawDelay(time.Second, 5, one)
	errorIf(t, again != first, "two runs differ: got %s and %s, want the same", first, again)
	errorIf(t, first == drawDelay(time.Second, 5, two), "two queries share a series, want one each")
	errorIf(t, drawDelay(0, 5, one) != 0, "got a delay without a latency, want none")
}

func TestLatencyDelaysFailuresAlike(t *testing.T) {
	for _, query := range []string{"latency=800ms", "latency=800ms&status=503", "latency=800ms&success=0", "latency=800ms&html", "latency=800ms&first=0"} {
		var n fakeSleeper
		url, client := serve(t, Options{Sleep: n.sleep})
		for range 200 {
			post(t, client, url+"/v1/complete?"+query, completeAsk)
		}
		if mean := n.total() / 200; mean < 740*time.Millisecond || mean > 860*time.Millisecond {
			t.Errorf("%s: got a mean delay of %s, want 740ms to 860ms", query, mean)
		}
	}
}

func TestCountersAreBounded(t *testing.T) {
	n := New(Options{})
	for i := range maxQueries + 10 {
		n.count(queryID{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	errorIf(t, len(n.counts) > maxQueries, "got %d counters, want at most %d", len(n.counts), maxQueries)
}

func TestPresetsAreValid(t *testing.T) {
	want := []Preset{
		{"demo", ""}, {"demo/direct", "latency=3200ms&success=82"},
		{"demo/hongkong", "latency=800ms&success=98"}, {"demo/singapore", "latency=1200ms&success=95"},
	}
	for i, p := range Presets() {
		f, err := parseFaults(p.Query)
		errorIf(t, p != want[i] || err != nil || len(f.ignored) > 0, "preset %+v: %v, ignored %v", p, err, f.ignored)
	}
}
