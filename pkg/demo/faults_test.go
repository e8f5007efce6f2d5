package demo

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestSuccessIsExactInAnyWindowOf100(t *testing.T) {
	for success := range 101 {
		const total = 25_000 // over the pattern's period
		failed := make([]int, total+1)
		for k := range total {
			failed[k+1] = failed[k]
			if fails(uint64(k), uint64(success*100)) {
				failed[k+1]++
			}
		}
		for from := 0; from+100 <= total; from++ {
			if n := failed[from+100] - failed[from]; n != 100-success {
				t.Fatalf("success=%d: %d failures in the 100 from %d", success, n, from)
			}
		}
	}
	if !fails(0, 98_00) || fails(1, 98_00) || fails(math.MaxUint64, 100_00) || !fails(math.MaxUint64, 0) {
		t.Error("the documented formula gives other values")
	}
	failures := 0
	for k := range uint64(10_000) {
		if fails(k, 99_95) {
			failures++
		}
	}
	if failures != 5 {
		t.Errorf("success=99.95: %d failures in 10000", failures)
	}
}

func TestSuccessOverHTTP(t *testing.T) {
	url, client := serve(t, Options{})
	got := map[int]int{}
	for range 100 {
		r := post(t, client, url+"/v1/complete?success=82", completeAsk)
		got[r.status]++
		if r.status == http.StatusServiceUnavailable && dig(decode(t, r.body), "error.type") != "overloaded_error" {
			t.Errorf("failure: %s", r.body)
		}
	}
	if got[200] != 82 || got[503] != 18 {
		t.Errorf("statuses %v", got)
	}
}

func TestLatencyIsLogNormalWithTheMeanAsked(t *testing.T) {
	const draws = 20_000
	for _, seed := range []uint64{1, 2, defaultSeed} {
		for _, mean := range []time.Duration{800 * time.Millisecond, 3200 * time.Millisecond} {
			var sum, logs, squares float64
			for k := range uint64(draws) {
				d := drawDelay(mean, k, seed, queryID{byte(seed)})
				if d < mean/tailFactor || d > mean*tailFactor {
					t.Fatalf("delay %s of mean %s", d, mean)
				}
				l := math.Log(float64(d))
				sum, logs, squares = sum+float64(d), logs+l, squares+l*l
			}
			if got := sum / draws / float64(mean); math.Abs(got-1) > 0.02 {
				t.Errorf("seed %d: mean is %.4f of %s", seed, got, mean)
			}
			if sd := math.Sqrt(squares/draws - (logs/draws)*(logs/draws)); math.Abs(sd/sigma-1) > 0.05 {
				t.Errorf("seed %d: sigma %.4f, want %.2f", seed, sd, sigma)
			}
		}
	}
}

func TestDelaysAreRepeatableAndOwn(t *testing.T) {
	one, two := queryID{1}, queryID{2}
	first := drawDelay(time.Second, 5, 7, one)
	if again := drawDelay(time.Second, 5, 7, one); again != first {
		t.Errorf("two runs differ: %s and %s", first, again)
	}
	if first == drawDelay(time.Second, 5, 7, two) || first == drawDelay(time.Second, 5, 8, one) {
		t.Error("two queries or two seeds share a series")
	}
	if drawDelay(0, 5, 7, one) != 0 {
		t.Error("no latency is a delay")
	}
}

func TestLatencyDelaysFailuresAlike(t *testing.T) {
	for _, query := range []string{"latency=800ms", "latency=800ms&status=503", "latency=800ms&success=0", "latency=800ms&html", "latency=800ms&first=0"} {
		var n naps
		url, client := serve(t, Options{Sleep: n.sleep})
		for range 200 {
			post(t, client, url+"/v1/complete?"+query, completeAsk)
		}
		if mean := n.total() / 200; mean < 740*time.Millisecond || mean > 860*time.Millisecond {
			t.Errorf("%s: mean delay %s", query, mean)
		}
	}
}

func TestCountersAreBounded(t *testing.T) {
	n := New(Options{})
	for i := range maxQueries + 10 {
		n.count(queryID{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	if len(n.counts) > maxQueries {
		t.Errorf("%d counters", len(n.counts))
	}
}

func TestPresetsAreValid(t *testing.T) {
	want := []Preset{
		{"demo", "演示节点", ""}, {"demo/direct", "直连", "latency=3200ms&success=82"},
		{"demo/hongkong", "香港代理节点", "latency=800ms&success=98"}, {"demo/singapore", "新加坡代理节点", "latency=1200ms&success=95"},
	}
	for i, p := range Presets() {
		f, err := parseFaults(p.Query)
		if p != want[i] || err != nil || len(f.ignored) > 0 {
			t.Errorf("preset %+v: %v, ignored %v", p, err, f.ignored)
		}
	}
}
