package bench

import (
	"cmp"
	"math"
	"slices"
	"time"

	"ferry/pkg/text"
)

const (
	// fewRounds is the number of requests and of pairs below which intervals are too wide to lean on.
	fewRounds = 10
	// farOff is how many median absolute deviations from the median make an outlier: hyperfine's bound, 10 standard
	// deviations of a normal distribution.
	farOff = 14.8
	// fewOutliers is up to which share values far off are strays, and more of them a level of their own.
	fewOutliers = 0.1
	// busyAtLeast and busyShare say how late this process may be before it, not the node, is measured.
	busyAtLeast = time.Millisecond
	busyShare   = 0.05
	// lengthRatio and lengthTokens say by how much answers differ in length.
	lengthRatio, lengthTokens = 1.25, 3
	// jumpAtLeast is how far the clock may have moved.
	jumpAtLeast = time.Second
)

type warningList []Warning

func (l *warningList) add(code, node, format string, values ...any) {
	w := Warning{Code: code, Node: node, Words: Message{format, values}}
	w.Text = w.Words.String()
	if node != "" {
		w.Text = node + ": " + w.Text
	}
	if !slices.ContainsFunc(*l, func(known Warning) bool { return known.Text == w.Text }) { // parts of one run say the same
		*l = append(*l, w)
	}
}

// warner finds what to warn of.
type warner struct {
	*Summary
	space *workspace
	warningList
}

// warnings are about the runs first, then about each row. A Warning's Node is the row's title.
func warnings(s *Summary, runs []*Run, space *workspace, sameModel bool) []Warning {
	w := &warner{s, space, nil}
	w.runs(runs)
	if !sameModel {
		w.add(DifferentModels, "", "the nodes were asked for different models: their latencies are shown and not compared")
	}
	short := 0
	for _, r := range s.Rows {
		short = max(short, r.Requests)
	}
	switch {
	case short >= fewRounds || len(s.Rows) == 0:
		short = 0
	case len(s.Rows) == 1:
		w.add(FewRounds, "", "only %s: not reliable with fewer than 10", Count{short, "request"})
	default:
		w.add(FewRounds, "", "no node had more than %s: not reliable with fewer than 10", Count{short, "request"})
	}
	for _, r := range s.Rows {
		w.row(r, short > 0)
		w.extremes(r)
		w.stream(r)
	}
	w.failing()
	if sameModel {
		w.lengths()
	}
	return w.warningList
}

// runs warns of what concerns every row.
func (w *warner) runs(runs []*Run) {
	var delay, jump time.Duration
	for _, run := range runs {
		for _, note := range run.Notes {
			w.add(CutFile, "", note.Format, note.Args...)
		}
		if p := run.Header.Precision; p > 0 && run.Stopped != "precision" && !precise(partsOf(run, runs), p) {
			w.add(NotPrecise, "", "the run ended before every interval was within ±%g %%", 100*p)
		}
		delay = max(delay, run.SchedulingDelay)
		if run.ClockJump.Abs() > jump.Abs() {
			jump = run.ClockJump
		}
	}
	if fastest := w.fastest(); delay > busyAtLeast && !(milliseconds(delay) <= busyShare*fastest) {
		w.add(BusyClient, "", "this machine was busy: it ran what was due up to %s late, which is in the latencies",
			text.Millis(milliseconds(delay)))
	}
	if jump.Abs() > jumpAtLeast {
		format := "the clock was moved forward by %s during the run; no latency depends on it"
		if jump < 0 {
			format = "the clock was moved back by %s during the run; no latency depends on it"
		}
		w.add(ClockJumped, "", format, text.Millis(milliseconds(jump.Abs())))
	}
}

// fastest is the lowest p50, NaN where there is none.
func (w *warner) fastest() float64 {
	lowest := math.NaN()
	for _, r := range w.Rows {
		if p := r.Latency.P50; !(p >= lowest) && !math.IsNaN(p) {
			lowest = p
		}
	}
	return lowest
}

// row warns of what is missing from a row. That all rows are short has been said already.
func (w *warner) row(r *Row, allShort bool) {
	name, v := w.Title(r), r.VsReference
	if r.OK == 0 {
		w.add(NoSuccess, name, "%s and not one success", Count{r.Requests, "request"})
		if other := w.replacement(r); other != "" {
			w.add(OtherReference, name, "the reference had no success: the others are compared with %s instead", other)
		}
	}
	switch {
	case r.Ended != "":
		w.add(EndedEarly, name, "its part ended after %s: %s", Count{r.Requests, "request"}, r.Ended)
	case allShort:
	case r.Requests < fewRounds:
		w.add(FewRounds, name, "only %s: not reliable with fewer than 10", Count{r.Requests, "request"})
	case v != nil && v.Pairs < leastPairs:
		w.add(FewRounds, name, "it and %s both had an answer in only %d rounds: fewer than %d can show no difference",
			v.Reference, v.Pairs, leastPairs)
	case v != nil && v.Pairs < fewRounds:
		w.add(FewRounds, name, "it and %s both had an answer in only %d rounds: that shows large differences only",
			v.Reference, v.Pairs)
	}
	if r.Unsent > 0 {
		w.add(NotSent, name, "%s could not begin in time and were not sent: -c %d is too few for that rate",
			Count{r.Unsent, "request"}, w.Header.Concurrency)
	} else if r.Lag != nil && w.Header.Rate > 0 && r.Lag.middle() > 1000/w.Header.Rate {
		w.add(Overrun, name, "requests began late, typically by %s: -c %d is too few for that rate",
			text.Millis(r.Lag.middle()), w.Header.Concurrency)
	}
	if r.Fresh > 0 {
		w.add(FreshConnection, name, "%s meant for a kept connection had to open a new one", Count{r.Fresh, "request"})
	}
}

// partsOf are the runs that one run was divided into.
func partsOf(run *Run, runs []*Run) []*Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r *Run) bool { return r.Header.ID != run.Header.ID })
}

// failing warns of nodes that are not told apart from the best one and fail more often than another of these: so few
// requests do not prove it.
func (w *warner) failing() {
	for _, c := range w.Best {
		for _, i := range c.Rows {
			r := w.Rows[i]
			if slices.ContainsFunc(c.Rows, func(j int) bool { return w.Rows[j].Success.Value > r.Success.Value }) {
				w.add(SomeFailed, w.Title(r), "%d of %s failed: more requests (-r) tell whether it fails more often than the others",
					r.Requests-r.OK, Count{r.Requests, "request"})
			}
		}
	}
}

// stream warns of streams that tell less than they seem to.
func (w *warner) stream(r *Row) {
	bursts, long := r.series.bursts()
	var reasoning, short int
	for s := range r.series.all() {
		switch {
		case !s.OK() || s.chunks() == 0:
		case s.Tokens() > 0 && s.textTokens() == 0:
			reasoning++
		case s.textTokens() > 0 && s.textTokens() < leastTokens:
			short++
		}
	}
	name := w.Title(r)
	switch {
	case 2*bursts > long:
		w.add(Buffered, name, "the first text came with the last in %d of %s: a proxy on the way may hold streams back",
			bursts, Count{long, "answer"})
	case r.ITL != nil:
	case reasoning > 0:
		w.add(ITLUnknown, name, "its answers have reasoning that it does not count apart: the time between tokens is not known")
	case short > 0:
		w.add(ITLUnknown, name, "answers of fewer than %d tokens do not tell the time between tokens", leastTokens)
	}
}

// lengths warns of nodes of one model that answer at different length: the longer answer takes longer.
func (w *warner) lengths() {
	rows := slices.DeleteFunc(slices.Clone(w.Rows), func(r *Row) bool { return r.AnswerTokens == nil })
	if len(rows) == 0 {
		return
	}
	byLength := func(a, b *Row) int { return cmp.Compare(a.AnswerTokens.middle(), b.AnswerTokens.middle()) }
	shortest, longest := slices.MinFunc(rows, byLength), slices.MaxFunc(rows, byLength)
	few, many := shortest.AnswerTokens.middle(), longest.AnswerTokens.middle()
	if many > few*lengthRatio && many-few >= lengthTokens {
		w.add(LengthsDiffer, "", "answers differ in length: %s typically has %.0f tokens, %s %.0f; longer ones take longer",
			w.Title(shortest), few, w.Title(longest), many)
	}
}

// replacement is the name of the node that others are compared with in place of a row, "" where it is not the reference.
func (w *warner) replacement(r *Row) string {
	for _, other := range w.Rows {
		v := other.VsReference
		if r.Node.Name == w.Header.Reference && v != nil && other.Vantage == r.Vantage &&
			other.Node.Connection == r.Node.Connection {
			return v.Reference
		}
	}
	return ""
}

// extremes warns of a slow first request and of other latencies far from the rest.
func (w *warner) extremes(r *Row) {
	if !r.Latency.HasPercentiles() {
		return
	}
	middle := median(r.Sorted)
	bound := farOff * spread(w.space, r.Sorted, middle)
	outliers := 0
	for _, v := range r.Sorted {
		if math.Abs(v-middle) > bound {
			outliers++
		}
	}
	far := Count{len(r.Sorted), "request"}
	if float64(outliers) > fewOutliers*float64(len(r.Sorted)) {
		w.add(SeveralLevels, w.Title(r), "%d of %s lie far from the median of %s: the latencies have more than one level, "+
			"and neither mean nor p50 describes them", outliers, far, text.Millis(middle))
		return
	}
	for _, run := range r.series.runs() {
		in := r.series.of(run)
		if in.size() == 0 { // its part ended before a request of its own did
			continue
		}
		first := pointOf(in.earliest(), startUnit)
		if first.OK && first.Latency-middle > bound {
			outliers--
			w.add(SlowFirst, w.Title(r), "the first request took %s, far from the median of %s: a larger --warmup leaves it out",
				text.Millis(first.Latency), text.Millis(middle))
		}
	}
	if outliers > 0 {
		w.add(Outliers, w.Title(r), "%d of %s lie far from the median of %s: mean and sd depend on them",
			outliers, far, text.Millis(middle))
	}
}

// spread is the median absolute deviation. Where most values are the same it is 0, and any other one would be infinitely
// far: then it is a thousandth of the median.
func spread(w *workspace, values []float64, middle float64) float64 {
	deviations := w.values(len(values))
	for _, v := range values {
		deviations = append(deviations, math.Abs(v-middle))
	}
	slices.Sort(deviations)
	return cmp.Or(median(deviations), middle/1000)
}

// earliest is the word of the request that began first.
func (c *nodeSeries) earliest() uint64 {
	first := uint64(math.MaxUint64)
	for s := range c.all() {
		first = min(first, s.word(s.Start(), startUnit))
	}
	return first
}
