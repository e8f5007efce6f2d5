package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
)

// The exact test gives the same result as enumerating all choices of ranks; the normal approximation is close to it.
func TestRankSum(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	for m := 1; m <= 7; m++ {
		for n := 1; n <= 7; n++ {
			new, old := slices.Sorted(slices.Values(draws(random, 0, m))), slices.Sorted(slices.Values(draws(random, 0, n)))
			below := func(new, old []float64) (count int) {
				for _, x := range new {
					for _, y := range old {
						if x < y {
							count++
						}
					}
				}
				return count
			}
			both, least, ways := slices.Concat(new, old), below(new, old), 0.
			least = min(least, m*n-least)
			tail := 0.
			for chosen := range 1 << (m + n) {
				var a, b []float64
				for i, v := range both {
					if chosen>>i&1 == 1 {
						a = append(a, v)
					} else {
						b = append(b, v)
					}
				}
				if len(a) == m {
					ways++
					if below(a, b) <= least {
						tail++
					}
				}
			}
			got := compareSamples(old, new, alpha)
			if want := min(1, 2*tail/ways); math.Abs(got.P-want) > 1e-12 {
				t.Errorf("%d against %d: got p %v, want %v", m, n, got.P, want)
			}
			if told := got.Verdict != NoDifference; told != (got.P < alpha) || told != (got.Low > 1 || got.High < 1) {
				t.Errorf("%d against %d: verdict %s, p %v and interval %v to %v do not agree", m, n, got.Verdict, got.P, got.Low, got.High)
			}
		}
	}
	tied := compareSamples([]float64{1, 1, 2, 2, 2, 3, 3}, []float64{2, 2, 3, 3, 3, 4, 4}, alpha)
	equal(t, "p of tied samples, corrected for ties and for whole numbers", fmt.Sprintf("%.5f", tied.P), "0.06043")
	equal(t, "equal values", *compareSamples([]float64{2, 2, 2}, []float64{2, 2, 2, 2}, alpha), Comparison{Ratio: 1, High: math.Inf(1), P: 1, Level: alpha, Verdict: NoDifference})
	for _, c := range []struct {
		old, new int
		level    float64
		ends     [2]float64
	}{
		{4, 4, alpha, [2]float64{1, 1}}, {3, 5, alpha, [2]float64{1, 1}}, {4, 4, alpha / 2, [2]float64{0, math.Inf(1)}},
		{1, 38, alpha, [2]float64{0, math.Inf(1)}}, {1, 40, alpha, [2]float64{1, 1}}, {2000, 2000, alpha, [2]float64{1, 1}},
	} {
		got := compareSamples(slices.Repeat([]float64{2}, c.old), slices.Repeat([]float64{2}, c.new), c.level)
		equal(t, fmt.Sprintf("the interval of %d and %d equal values at %g", c.old, c.new, c.level), []any{[2]float64{got.Low, got.High}, got.Ratio, got.P, got.Verdict},
			[]any{c.ends, 1., 1., NoDifference})
	}
}

// The interval of a ratio covers the true ratio in 95 % of the runs, and at most 5 % of pairs of runs of equal nodes
// show a change.
func TestChangeCoverage(t *testing.T) {
	skipIfShort(t, "thousands of comparisons")
	const ratio = 1.3
	for _, c := range []struct {
		name     string
		old, new int
		draw     func(*rand.Rand) float64
	}{
		{"lognormal", 20, 20, lognormal}, {"lognormal", 200, 200, lognormal}, {"lognormal, few and many", 300, 10, lognormal},
		{"two levels", 20, 20, bimodal}, {"two levels", 100, 100, bimodal},
	} {
		const runs = 2000
		covered := 0.
		random := rand.New(rand.NewPCG(23, uint64(c.old)))
		sample := func(n int, times float64) []float64 {
			values := drawMany(random, n, func(r *rand.Rand) float64 { return math.Log(c.draw(r) * times) })
			slices.Sort(values)
			return values
		}
		for range runs {
			if got := compareSamples(sample(c.old, 1), sample(c.new, ratio), alpha); got.Low <= ratio && ratio <= got.High {
				covered++
			}
		}
		t.Logf("%s, %d and %d: %.1f %% of intervals hold the true ratio", c.name, c.old, c.new, 100*covered/runs)
		if off := covered/runs - (1 - alpha); math.Abs(off) > 3*math.Sqrt(alpha*(1-alpha)/runs)+0.005 {
			t.Errorf("%s, %d and %d: %.3f of the intervals hold the true ratio, want 0.95", c.name, c.old, c.new, covered/runs)
		}
	}
	for _, nodes := range []int{1, 3, 12} {
		falsePositives(t, fmt.Sprint(nodes, " equal nodes"), 500, func(random *rand.Rand) bool {
			names := make([]string, nodes)
			run := func(id string) *Run {
				var records []Outcome
				for node := range names {
					names[node] = fmt.Sprint("n", node)
					values := drawMany(random, 30, lognormal)
					failed := 0
					for range 4 {
						failed += random.IntN(2)
					}
					records = append(records, series(node, failed, "5xx", values[failed:]...)...)
				}
				return newRun(Header{ID: id, Nodes: nodesOf(names...)}, records...)
			}
			c, err := Compare(run("old"), run("new"))
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(c.Nodes, func(n *Change) bool { return n.Worse() || n.Better() })
		})
	}
}

func TestSuccessChange(t *testing.T) {
	change := func(oldOK, old, newOK, new int) SuccessChange {
		return successChange(&Row{OK: oldOK, Requests: old}, &Row{OK: newOK, Requests: new}, alpha)
	}
	for _, c := range []struct {
		got  SuccessChange
		want string
	}{
		{change(100, 100, 100, 100), "0.000 -0.037 0.037 1.000 no difference shown"},
		{change(100, 100, 90, 100), "-0.100 -0.174 -0.042 0.003 fails more often"},
		{change(10, 20, 20, 20), "0.500 0.243 0.701 0.000 fails less often"},
		{change(20, 20, 18, 20), "-0.100 -0.301 0.077 0.185 no difference shown"},
		{change(0, 0, 18, 20), "NaN -1.000 1.000 1.000 no difference shown"},
	} {
		equal(t, "change", fmt.Sprintf("%.3f %.3f %.3f %.3f %s", c.got.Value, c.got.Low, c.got.High, c.got.P, c.got.Verdict), c.want)
	}
	// Newcombe 1998, table II: 56/70 against 48/80 has the interval 0.0524 to 0.3339.
	got := change(48, 80, 56, 70)
	equal(t, "Newcombe's example", fmt.Sprintf("%.4f %.4f", got.Low, got.High), "0.0524 0.3339")
}

// The two runs have three nodes each, two of them in common.
func TestCompare(t *testing.T) {
	header := func(id string, names ...string) Header {
		return Header{ID: id, Started: time.Unix(int64(len(id)), 0), PromptSHA256: "p", Nodes: nodesOf(names...)}
	}
	old := newRun(header("o", "a", "b", "gone"), slices.Concat(rounds(0, around(100, 40)...), rounds(1, around(100, 40)...), rounds(2, around(100, 40)...))...)
	slow := func() *Run {
		return newRun(header("new", "b", "a", "added"), slices.Concat(
			series(0, 20, "5xx", around(60, 20)...), rounds(1, around(130, 40)...), rounds(2, around(100, 40)...))...)
	}
	c, err := Compare(old, slow())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range c.Nodes {
		got = append(got, fmt.Sprintf("%s %.2f %s %v %v", n.Title, n.Latency.Ratio, n.Verdicts(), n.Worse(), n.Better()))
	}
	equal(t, "nodes", strings.Join(got, "; "), "b 0.60 [fails more often faster] true true; a 1.30 [slower] true false")
	equal(t, "only in one", []any{c.OnlyOld, len(c.OnlyNew), c.OnlyNew[0].Node.Name}, []any{[]string{"gone"}, 1, "added"})

	checks := func(successesOnly bool, thresholds ...string) string {
		var said []string
		for _, check := range c.Check(parse(t, thresholds...), successesOnly) {
			said = append(said, check.String())
		}
		return strings.Join(said, "\n")
	}
	equal(t, "ratio<1.2", checks(false, "ratio<1.2"), "b: ratio<1.2 missed: 0.599992, but it fails more often: success 50 % of 40 requests, was 100 % of 40 requests\n"+
		"a: ratio<1.2 missed: 1.3")
	equal(t, "of successes alone", checks(true, "ratio<1.2", "a:ratio_low<=1.4", "b:p50<70ms"), "b: ratio<1.2 met: 0.599992\na: ratio<1.2 missed: 1.3\n"+
		"a: a:ratio_low<=1.4 met: 1.28687\nb: b:p50<70ms met: 60ms")
	equal(t, "of a stream", checks(false, "a:ttft.ratio<2"), "a: a:ttft.ratio<2 missed: the run is not streaming")

	for _, c := range []struct {
		name   string
		change func(*Run)
		want   string // an error, or the settings that differ
	}{
		{"the same run", func(r *Run) { r.Header.ID = "o" }, "both files are from the same run"},
		{"prompts", func(r *Run) { r.Header.PromptSHA256 = "q" }, "their prompts differ"},
		{"tokens", func(r *Run) { r.Header.MaxTokens = 9 }, "max_tokens is 0 and 9"},
		{"streams", func(r *Run) { r.Header.Stream = true }, "only one of them streamed"},
		{"loops", func(r *Run) { r.Header.Rate = 2 }, "only one of them used a fixed rate, which measures latency from the intended start"},
		{"nodes", func(r *Run) { r.Series[0].Node.Name, r.Series[1].Node.Name = "x", "y" }, "they have no node in common"},
		{"settings", func(r *Run) {
			r.Header.Concurrency, r.Header.Vantage, r.Header.Nodes[1].Model, r.Series[1].Node.Model = 3, "moon", "other", "other"
		}, "concurrency (0 and 3), model of a (m and other), vantage (none and moon)"},
	} {
		run := slow()
		c.change(run)
		got := ""
		if changes, err := Compare(old, run); err != nil {
			got = err.Error()
			if text.Hint(err) == "" {
				t.Errorf("%s: got no hint", c.name)
			}
		} else {
			got = fmt.Sprint(changes.Settings)
		}
		equal(t, c.name, got, c.want)
	}
}

// At the edge of a threshold the computed ratio decides, and the ratio that is shown is on the same side.
func TestRatioAtItsEdge(t *testing.T) {
	run := func(id string, ms float64) *Run {
		return newRun(Header{ID: id, Nodes: nodesOf("a")}, rounds(0, slices.Repeat([]float64{ms}, 20)...)...)
	}
	for _, c := range []struct {
		new             float64
		threshold, want string
	}{
		{120, "ratio<1.2", "a: ratio<1.2 missed: 1.2"},
		{120, "ratio<=1.2", "a: ratio<=1.2 met: 1.2"},
		{120, "ratio>=1.2", "a: ratio>=1.2 met: 1.2"},
		{119.99999, "ratio<1.2", "a: ratio<1.2 met: 1.1999999"},
	} {
		changes, err := Compare(run("old", 100), run("new", c.new))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, c.threshold, changes.Check(parse(t, c.threshold), false)[0], c.want)
	}
}
