package report

import (
	"math"
	"testing"

	"ferry/pkg/bench"
)

func TestMillisRange(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      string
	}{
		{2110, 2680, "2.11–2.68 s"}, {800, 1200, "800 ms–1.20 s"}, {-124, 93, "-124 to 93 ms"}, {math.NaN(), 3, "––3.0 ms"},
	} {
		if got := millisRange(tt.low, tt.high); got != tt.want {
			t.Errorf("%v to %v: got %q, want %q", tt.low, tt.high, got, tt.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0", 1: "100", 0.82: "82", 0.975: "97.5", 0.29: "29", 0.57: "57", 0.9999: "99.9", 0.0001: "0.1", 2.0 / 3: "66.7",
		math.NaN(): "–",
	} {
		if got := percent(share); got != want {
			t.Errorf("%v: got %q, want %q", share, got, want)
		}
	}
	if got := percentRange(bench.Rate{Value: 0.95, Low: 0.7639, High: 0.9911}); got != "76–99" {
		t.Errorf("19 of 20: got %q, want 76–99", got)
	}
}

func TestRatio(t *testing.T) {
	for x, want := range map[float64]string{0: "0.000", 0.0312: "0.031", 0.2548: "0.25", 1.003: "1.00", 9.996: "10.0", math.Inf(1): "–"} {
		if got := ratio(x); got != want {
			t.Errorf("%v: got %q, want %q", x, got, want)
		}
	}
	for x, want := range map[float64]string{0.25: "0.2", 9.96: "10", 61.4: "61", math.NaN(): "–"} {
		if got := rate(x); got != want {
			t.Errorf("%v a second: got %q, want %q", x, got, want)
		}
	}
}

// TestVerdict holds the sentences that people act on.
func TestVerdict(t *testing.T) {
	slower := three()
	slower.Rows[1].VsReference = &bench.Comparison{Reference: "direct", Pairs: 9, Ratio: 1.4, Low: 1.2, High: 1.6, P: 0.01,
		Verdict: bench.Slower, Saved: -1240, SavedLow: -1860, SavedHigh: -620}
	alone := three()
	alone.Rows = alone.Rows[:1]
	few := poor()
	few.Rows[2].VsReference = nil
	apart := three()
	apart.Rows[1].VsReference = nil
	for _, tt := range []struct {
		s    *bench.Summary
		row  int
		want string
	}{
		{three(), 0, "direct: the reference; p50 3.09 s; success 82 % (73–88 %)"},
		{three(), 1, "hongkong: 2.31 s faster than direct at p50, 95 % interval 2.11–2.68 s; success 98 % (93–99 %)"},
		{three(), 2, "singapore: no difference shown to direct (95 % interval 0.97–1.04 of its time, 20 pairs); success 97.5 % (87–100 %)"},
		{slower, 1, "hongkong: 1.24 s slower than direct at p50, 95 % interval 620 ms–1.86 s; success 98 % (93–99 %)"},
		{poor(), 1, "gone: no success in 20 requests"},
		{poor(), 2, "rare: no difference shown to direct (2 pairs: too few for an interval); success 10 % (3–30 %)"},
		{alone, 0, "direct: p50 3.09 s; success 82 % (73–88 %)"},
		{few, 2, "rare: not compared; mean 1.22 s of 2 successes; success 10 % (3–30 %)"},
		{apart, 1, "hongkong: not compared; p50 788 ms; success 98 % (93–99 %)"},
		{strangers(), 0, "direct: not compared; p50 891 ms; success 100 % (89–100 %)"},
	} {
		if got := english().sentence(tt.s, tt.s.Rows[tt.row]); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
