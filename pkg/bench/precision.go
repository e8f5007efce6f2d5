package bench

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// precise reports whether every 95 % interval is at most that share wide to either side: of each mean latency, of each
// success rate (in shares of all requests), and of each ratio to the reference. Series that ended early count no
// more. Others may add samples meanwhile.
func precise(run *Run, precision float64) bool {
	var live []*nodeSeries
	for _, s := range run.Series {
		s.mu.Lock()
		ended := s.Ended != ""
		s.mu.Unlock()
		if !ended {
			p := s.snapshot(run.Header)
			live = append(live, &nodeSeries{node: s.Node, parts: []part{p}})
		}
	}
	if len(live) == 0 {
		return false
	}
	w := &workspace{}
	for _, c := range live {
		if !c.precise(w, precision) {
			return false
		}
	}
	if _, same := oneModel(live); !same {
		return true
	}
	for i, c := range live {
		at := referenceOf(live, c, run.Header.Reference)
		if at < 0 || at == i {
			continue
		}
		v := c.against(live[at], w)
		if v == nil || !((v.High-v.Low)/2 <= precision*v.Ratio) {
			return false
		}
	}
	return true
}

// precise reports whether the own figures of a series are.
func (c *nodeSeries) precise(w *workspace, precision float64) bool {
	latency := c.describe(w, "", latencyMS)
	if latency == nil || latency.N < leastPrecise {
		return false
	}
	n := float64(latency.N)
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(1-alpha/2) * latency.SD / math.Sqrt(n)
	success := wilson(latency.N, c.size())
	return half <= precision*latency.Mean && (success.High-success.Low)/2 <= precision
}
