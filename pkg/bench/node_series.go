package bench

import (
	"iter"
	"slices"
	"time"
)

// nodeSeries is one node over one kind of connection in all runs of one vantage.
type nodeSeries struct {
	node    Node
	vantage string
	parts   []part
}

// part is the part of a run's series that is in one file.
type part struct {
	series *Series
	run    *Run
	// openLoop reports whether the run was an open loop.
	openLoop bool
	// offset is how much later this run began than the first of all runs.
	offset time.Duration
}

// maxOffset is the maximum offset between runs. A larger offset comes from an invalid start time.
const maxOffset = 100 * 365 * 24 * time.Hour

// partSample is a sample with its part.
type partSample struct {
	*part
	Sample
}

// seriesOf groups the series of runs by vantage and node, both in the order of their first appearance.
func seriesOf(runs []*Run) []*nodeSeries {
	if len(runs) == 0 {
		return nil
	}
	first, _ := startRange(runs)
	var all []*nodeSeries
	for _, run := range runs {
		h := run.Header
		for _, s := range run.Series {
			at := slices.IndexFunc(all, func(c *nodeSeries) bool { return c.vantage == h.Vantage && c.node.sameSeries(s.Node) })
			if at < 0 {
				at = len(all)
				all = append(all, &nodeSeries{node: s.Node, vantage: h.Vantage})
			}
			offset := min(h.Started.Sub(first), maxOffset)
			all[at].parts = append(all[at].parts, part{series: s, run: run, openLoop: h.Rate > 0, offset: offset})
		}
	}
	order := vantages(runs)
	slices.SortStableFunc(all, func(a, b *nodeSeries) int {
		return slices.Index(order, a.vantage) - slices.Index(order, b.vantage)
	})
	return all
}

// sameSeries reports whether two nodes have the same name and connection.
func (n Node) sameSeries(m Node) bool { return n.Name == m.Name && n.Connection == m.Connection }

// startRange returns when the first and the last of the runs began.
func startRange(runs []*Run) (first, last time.Time) {
	order := func(a, b *Run) int { return a.Header.Started.Compare(b.Header.Started) }
	return slices.MinFunc(runs, order).Header.Started, slices.MaxFunc(runs, order).Header.Started
}

func vantages(runs []*Run) []string {
	return Distinct(runs, func(r *Run) string { return r.Header.Vantage })
}

// runs returns the IDs of the runs of the series.
func (c *nodeSeries) runs() []string {
	return Distinct(c.parts, func(p part) string { return p.run.Header.ID })
}

// Distinct returns the names of the items, each once, in the order of their first appearance.
func Distinct[T any](items []T, name func(T) string) []string {
	var names []string
	for _, item := range items {
		if n := name(item); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// inRun returns the part of the series that belongs to the run with an ID.
func (c *nodeSeries) inRun(id string) *nodeSeries {
	one := &nodeSeries{node: c.node, vantage: c.vantage}
	for _, p := range c.parts {
		if p.run.Header.ID == id {
			one.parts = append(one.parts, p)
		}
	}
	return one
}

func (c *nodeSeries) openLoop() bool {
	return slices.ContainsFunc(c.parts, func(p part) bool { return p.openLoop })
}

func (c *nodeSeries) size() int {
	n := 0
	for _, p := range c.parts {
		n += p.series.samples.len()
	}
	return n
}

// all iterates over the samples, part by part.
func (c *nodeSeries) all() iter.Seq[partSample] {
	return func(yield func(partSample) bool) {
		for i := range c.parts {
			for s := range c.parts[i].series.samples.all() {
				if !yield(partSample{&c.parts[i], s}) {
					return
				}
			}
		}
	}
}

// at returns the i-th of all samples.
func (c *nodeSeries) at(i int) partSample {
	j := 0
	for ; i >= c.parts[j].series.samples.len(); j++ {
		i -= c.parts[j].series.samples.len()
	}
	return partSample{&c.parts[j], c.parts[j].series.samples.at(i)}
}

// latency returns the latency that a row reports. In an open loop it counts from when the request should have begun.
func (s partSample) latency() time.Duration {
	if s.openLoop {
		return s.Latency + s.Lag()
	}
	return s.Latency
}

func latencyMS(s partSample) float64 { return milliseconds(s.latency()) }

// class returns the kind of failure, "" for a success.
func (s partSample) class() string { return s.series.Class(s.Sample) }

// workspace has buffers that are reused for each row.
type workspace struct {
	floats []float64
	words  []uint64
}

// reuse returns an empty slice with capacity for n values from a buffer of a workspace.
func reuse[T any](buffer *[]T, n int) []T {
	*buffer = slices.Grow((*buffer)[:0], n)
	return *buffer
}

// compareWith compares a figure of a series with the same figure of the reference at a level. It pairs the rounds in
// which both had a success. Rounds of different runs are never paired, and pairs with a negative figure are left out.
// It returns nil if there is no pair.
func (c *nodeSeries) compareWith(
	ref *nodeSeries, w *workspace, figure func(partSample) time.Duration, level float64,
) *Comparison {
	ratios := reuse(&w.floats, min(c.size(), ref.size()))
	for _, run := range ref.runs() {
		mine, theirs := c.inRun(run), ref.inRun(run)
		answered := theirs.byRound(w)
		for s := range mine.all() {
			if !s.OK() {
				continue
			}
			at, _ := slices.BinarySearch(answered, uint64(s.Round)<<32)
			if at < len(answered) && answered[at]>>32 == uint64(s.Round) {
				mine, other := figure(s), figure(theirs.at(int(uint32(answered[at]))))
				if mine >= 0 && other >= 0 {
					ratios = append(ratios, logRatio(mine, other))
				}
			}
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	result := compare(ratios, level)
	result.Reference = ref.node.Name
	return &result
}

// byRound returns the successes in ascending order of their rounds, each as round<<32 | sample.
func (c *nodeSeries) byRound(w *workspace) []uint64 {
	keys := reuse(&w.words, c.size())
	i := uint64(0)
	for s := range c.all() {
		if s.OK() {
			keys = append(keys, uint64(s.Round)<<32|i)
		}
		i++
	}
	slices.Sort(keys)
	return keys
}
