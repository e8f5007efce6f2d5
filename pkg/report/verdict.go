package report

import (
	"fmt"
	"math"

	"ferry/pkg/bench"
)

// verdict says in one sentence what was found about a row.
func verdict(s *bench.Summary, r *bench.Row) string {
	return title(s, r) + ": " + finding(s, r)
}

func finding(s *bench.Summary, r *bench.Row) string {
	if r.OK == 0 {
		return "no success in " + count(r.Requests, "request", "requests")
	}
	rest := "; success " + success(r.Success)
	switch {
	case r.VsReference != nil:
		return difference(r.VsReference) + rest
	case len(s.Rows) == 1:
		return middle(r) + rest
	case reference(s, r) && !modelsDiffer(s):
		return "the reference; " + middle(r) + rest
	}
	return "not compared; " + middle(r) + rest
}

// middle is a row's p50, or its mean where there are too few for one.
func middle(r *bench.Row) string {
	if r.Latency.HasPercentiles() {
		return "p50 " + spell(r.Latency.P50)
	}
	return "mean " + spell(r.Latency.Mean) + " of " + count(r.OK, "success", "successes")
}

func difference(c *bench.Comparison) string {
	than := visible(c.Reference)
	switch c.Verdict {
	case bench.Faster:
		return fmt.Sprintf("%s faster than %s at p50, 95 %% interval %s", spell(c.Saved), than, spellRange(c.SavedLow, c.SavedHigh))
	case bench.Slower:
		return fmt.Sprintf("%s slower than %s at p50, 95 %% interval %s", spell(-c.Saved), than, spellRange(-c.SavedHigh, -c.SavedLow))
	}
	if math.IsInf(c.High, 1) {
		return fmt.Sprintf("no difference shown to %s (%s: too few for an interval)", than, count(c.Pairs, "pair", "pairs"))
	}
	return fmt.Sprintf("no difference shown to %s (95 %% interval %s–%s of its time, %s)",
		than, ratio(c.Low), ratio(c.High), count(c.Pairs, "pair", "pairs"))
}
