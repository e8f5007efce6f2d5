package report

import (
	"math"
	"testing"

	"ferry/pkg/bench"
)

// TestSpelling: no number is shown as a different number, and each character has one meaning.
func TestSpelling(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct{ got, want string }{
		{percent(0), "0"}, {percent(1), "100"}, {percent(0.82), "82"}, {percent(0.975), "97.5"}, {percent(0.29), "29"},
		{percent(0.57), "57"}, {percent(0.9999), "99.99"}, {percent(0.9998), "99.98"}, {percent(0.0002), "0.02"}, {percent(0.0001), "0.01"},
		{percent(0.99999999), "99.999999"}, {percent(2.0 / 3), "66.7"}, {percent(nan), "–"},
		{percentRange(bench.Rate{Value: 0.95, Low: 0.7639, High: 0.9911}), "76–99"},
		{percentRange(bench.Rate{Value: 0.99, Low: 0.9968, High: 1}), "99.7–100"}, {percentRange(bench.Rate{Low: 0, High: 0.0004}), "0–0.04"},
		{ratio(0), "0.000"}, {ratio(0.0312), "0.031"}, {ratio(0.2548), "0.25"}, {ratio(1.003), "1.00"}, {ratio(9.996), "10.0"},
		{ratio(inf), "–"}, {rate(0.25), "0.2"}, {rate(9.96), "10"}, {rate(61.4), "61"}, {rate(nan), "–"},
		{bound(1), "1.00"}, {bound(1.003), "1.003"}, {bound(1.0011), "1.001"}, {bound(0.9996), "0.9996"}, {bound(1.0000002), "1.0000002"}, {bound(0.97), "0.97"},
		{wholeMillis(0.4), "0.4ms"}, {wholeMillis(800.4), "800ms"}, {wholeMillis(nan), "–"},
		{wholeMillis(0), "< 1 ms"}, {latencyText(0), "< 1 ms"}, {latencyText(0.06), "0.1 ms"}, {latencyText(800), "800 ms"}, {latencyText(nan), "–"},
		{shortNumber(829.4), "829"}, {shortNumber(99.951), "100"}, {shortNumber(9.996), "10.0"}, {shortNumber(0.4242), "0.42"}, {shortNumber(nan), "–"},
		{requestRate(4), "4.00"}, {requestRate(0.05), "0.05"}, {requestRate(0.04), "2.4/min"}, {requestRate(5. / 3600), "5.0/hour"},
		{requestRate(0), "0.00"}, {requestRate(nan), "–"},
		{language{}.load(bench.Header{Rate: 2, Concurrency: 3}), "2.0 requests/s, at most 3 in flight"},
		{language{}.load(bench.Header{Rate: 2. / 60, Concurrency: 3}), "2.0 requests/min, at most 3 in flight"},
		{language{}.load(bench.Header{Rate: 5. / 3600, Concurrency: 100}), "5.0 requests/hour, at most 100 in flight"},
		{points(0), "0"}, {points(0.1), "+10"}, {points(-0.174), "-17.4"}, {points(0.0002), "+0.02"}, {points(-1), "-100"}, {points(nan), "–"},
		{joinUnits("95 % interval 2.1–2.6 s; success"), "95\u00a0% interval 2.1–2.6\u00a0s; success"}, {joinUnits("(0–3 %) after 12 ms."), "(0–3\u00a0%) after 12\u00a0ms."},
		{joinUnits("3 seconds, 5 misses"), "3 seconds, 5 misses"}, {joinUnits(" 5 s"), " 5\u00a0s"}, {joinUnits(""), ""}, {joinUnits("0.25 × of"), "0.25\u00a0× of"},
		{escapeFormula("=1"), "'=1"}, {escapeFormula("-x"), "'-x"}, {escapeFormula("+"), "'+"}, {escapeFormula("@a"), "'@a"}, {escapeFormula("a=b"), "a=b"}, {escapeFormula(""), ""},
		{escapeFormula("\t=1"), `\t=1`}, {escapeMarkdown("hong_kong _x_ *a* [b](c) <i> \\|"), `hong_kong \_x\_ \*a\* \[b\](c) \<i\> \\\|`},
		{escapeHTML(`a<b>&"'`), `a&lt;b&gt;&amp;&#34;&#39;`}, {escapeHTML("香港 ☺"), "香港 ☺"}, {escapeHTML("\x1b[31m\u202e"), `\x1b[31m\u202e`},
		{escapeHTML("\xff"), `\xff`}, {escapeHTML("</title><script>x"), "&lt;/title&gt;&lt;script&gt;x"},
		{string(markupf("%s %s %v %d %.1f", "<", markup("<"), bench.Connection("<"), 3, 0.5)), "&lt; < &lt; 3 0.5"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// TestSentence checks the sentences that people act on, in the cases that the golden files do not have.
func TestSentence(t *testing.T) {
	slower, shapes, alone, few, apart := three(), three(), three(), poor(), three()
	slower.Rows[1].VsReference, shapes.Rows[1].VsReference = slowerBy40(), slowerBy40()
	shapes.Rows[1].VsReference.P50, shapes.Rows[1].VsReference.ShapesDiffer = 990, true
	alone.Rows = alone.Rows[:1]
	few.Rows[2].VsReference, apart.Rows[1].VsReference = nil, nil
	for _, tt := range []struct {
		s    *bench.Summary
		row  int
		want string
	}{
		{slower, 1, "hongkong: slower than direct, 1.40 × its latency (paired, 95 % CI 1.20–1.60); " +
			"p50 1.40 s (direct: 1.00 s); success 98 % (93–99 %)"},
		{shapes, 1, "hongkong: slower than direct, 1.40 × its latency (paired, 95 % CI 1.20–1.60); " +
			"p50 990 ms (direct: 1.00 s), but the p50s show the opposite: the distributions differ in shape; success 98 % (93–99 %)"},
		{alone, 0, "direct: p50 3.09 s; success 82 % (73–88 %)"},
		{few, 2, "rare: not compared; mean 1.22 s (2 successes); success 10 % (3–30 %)"},
		{apart, 1, "hongkong: not compared; p50 788 ms; success 98 % (93–99 %)"},
	} {
		if got := (language{}).sentence(tt.s, tt.s.Rows[tt.row]); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func slowerBy40() *bench.Comparison { return against(9, 1.4, 1.2, 1.6, 0.01, bench.Slower, 1400, 1000) }
