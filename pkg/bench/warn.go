package bench

import (
	"cmp"
	"math"
	"slices"
	"time"

	"ferry/pkg/text"
)

const (
	// fewRounds is the number of requests and of pairs below which intervals are too wide to be reliable.
	fewRounds = 10
	// outlierBound is the distance from the median, in median absolute deviations, above which a value is an outlier.
	// It is hyperfine's bound, 10 standard deviations of a normal distribution.
	outlierBound = 14.8
	// maxOutlierShare is the largest share of distant values that count as outliers. More of them are a separate level.
	maxOutlierShare = 0.1
	// minBusyDelay and busyShare are limits for the scheduling delay: absolute, and as a share of the lowest p50. If it
	// exceeds both, the latencies measure this process, not only the node.
	minBusyDelay = time.Millisecond
	busyShare    = 0.05
	// lengthRatio and lengthTokens are a ratio and a difference in tokens. If the lengths of answers differ by both,
	// there is a warning.
	lengthRatio, lengthTokens = 1.25, 3
	// minClockJump is how far the clock may move without a warning.
	minClockJump = time.Second
)

type warningList []Warning

func (l *warningList) add(code, node, format string, values ...any) {
	w := Warning{Code: code, Node: node, Message: Message{format, values}}
	w.Text = w.Message.String()
	if node != "" {
		w.Text = node + ": " + w.Text
	}
	if !slices.ContainsFunc(*l, func(known Warning) bool { return known.Text == w.Text }) { // the parts of a run warn alike
		*l = append(*l, w)
	}
}

// warner collects the warnings.
type warner struct {
	*Summary
	space *workspace
	warningList
}

// warnings returns the warnings about the runs, and then about each row. The Node of a Warning is the row's title.
func warnings(s *Summary, runs []*Run, space *workspace, sameModel bool) []Warning {
	w := &warner{s, space, nil}
	w.runs(runs)
	if !sameModel {
		w.add(DifferentModels, "", "the nodes use different models: latencies are shown but not compared")
	}
	short := 0
	for _, r := range s.Rows {
		short = max(short, r.Requests)
	}
	allShort := short < fewRounds
	switch {
	case !allShort || short == 0: // without any request, each row warns that it had no success
	case len(s.Rows) == 1:
		w.add(FewRounds, "", "only %s: not reliable with fewer than 10", Count{short, "request"})
	default:
		w.add(FewRounds, "", "at most %s per node: not reliable with fewer than 10", Count{short, "request"})
	}
	for _, r := range s.Rows {
		w.row(r, allShort)
		w.extremes(r)
		w.stream(r)
	}
	w.failing()
	if sameModel {
		w.lengths()
	}
	return w.warningList
}

// runs adds the warnings that concern every row.
func (w *warner) runs(runs []*Run) {
	var delay, jump time.Duration
	for _, run := range runs {
		for _, note := range run.Notes {
			w.add(CutFile, "", note.Format, note.Args...)
		}
		if p := run.Header.Precision; p > 0 && run.Stopped != "precision" && !precise(partsOf(run, runs), p) {
			w.add(NotPrecise, "", "the run ended before all intervals were within ±%g %%", 100*p)
		}
		delay = max(delay, run.SchedulingDelay)
		if run.ClockJump.Abs() > jump.Abs() {
			jump = run.ClockJump
		}
	}
	if fastest := w.fastest(); delay > minBusyDelay && !(milliseconds(delay) <= busyShare*fastest) {
		w.add(BusyClient, "", "this machine was busy: latencies include scheduling delays of up to %s",
			text.Millis(milliseconds(delay)))
	}
	if jump.Abs() > minClockJump {
		format := "the system clock moved forward by %s during the run; latencies are not affected"
		if jump < 0 {
			format = "the system clock moved back by %s during the run; latencies are not affected"
		}
		w.add(ClockJumped, "", format, text.Millis(milliseconds(jump.Abs())))
	}
}

// fastest returns the lowest p50, NaN if there is none.
func (w *warner) fastest() float64 {
	lowest := math.NaN()
	for _, r := range w.Rows {
		if p := r.Latency.P50; !(p >= lowest) && !math.IsNaN(p) {
			lowest = p
		}
	}
	return lowest
}

// row warns about what is missing from a row. allShort reports that there is already a warning about too few requests
// for all rows.
func (w *warner) row(r *Row, allShort bool) {
	name, v := w.Title(r), r.VsReference
	if r.OK == 0 {
		w.add(NoSuccess, name, "no success in %s", Count{r.Requests, "request"})
		if other := w.replacement(r); other != "" {
			w.add(OtherReference, name, "the reference had no success: the others are compared with %s instead", other)
		}
	}
	switch {
	case r.Ended != "":
		w.add(EndedEarly, name, "stopped after %s: %s", Count{r.Requests, "request"}, r.Ended)
	case allShort || r.Requests == 0:
	case r.Requests < fewRounds:
		w.add(FewRounds, name, "only %s: not reliable with fewer than 10", Count{r.Requests, "request"})
	case v != nil && v.Pairs < minPairs:
		w.add(FewRounds, name, "it and %s both answered in only %d rounds: at least %d are needed to show a difference",
			v.Reference, v.Pairs, minPairs)
	case v != nil && v.Pairs < fewRounds:
		w.add(FewRounds, name, "it and %s both answered in only %d rounds: this shows only large differences",
			v.Reference, v.Pairs)
	}
	if r.Unsent > 0 {
		w.add(NotSent, name, "%s could not start in time and were not sent: -c %d is too low for this rate",
			Count{r.Unsent, "request"}, w.Header.Concurrency)
	} else if r.Lag != nil && w.Header.Rate > 0 && r.Lag.P50OrMean() > 1000/w.Header.Rate {
		w.add(Overrun, name, "requests started late, typically by %s: -c %d is too low for this rate",
			text.Millis(r.Lag.P50OrMean()), w.Header.Concurrency)
	}
	if r.Fresh > 0 {
		w.add(FreshConnection, name, "%s opened a new connection instead of reusing one", Count{r.Fresh, "request"})
	}
}

// partsOf returns the parts of a run.
func partsOf(run *Run, runs []*Run) []*Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r *Run) bool { return r.Header.ID != run.Header.ID })
}

// failing warns about nodes among the best that fail more often than another of them. So few requests do not prove
// that.
func (w *warner) failing() {
	for _, c := range w.Best {
		for _, i := range c.Rows {
			r := w.Rows[i]
			if slices.ContainsFunc(c.Rows, func(j int) bool { return w.Rows[j].Success.Value > r.Success.Value }) {
				w.add(SomeFailed, w.Title(r), "%d of %s failed: use more requests (-r) to find out if it fails more often than the others",
					r.Requests-r.OK, Count{r.Requests, "request"})
			}
		}
	}
}

// stream warns about streams that show less than they seem to.
func (w *warner) stream(r *Row) {
	bursts, long := r.series.bursts()
	var reasoning, short int
	for s := range r.series.all() {
		switch {
		case !s.OK() || s.chunks() == 0:
		case s.Tokens() > 0 && s.textTokens() == 0:
			reasoning++
		case s.textTokens() > 0 && s.textTokens() < minTokens:
			short++
		}
	}
	name := w.Title(r)
	switch {
	case 2*bursts > long:
		w.add(Buffered, name, "first and last text arrived together in %d of %s: a proxy may be buffering the stream",
			bursts, Count{long, "answer"})
	case r.ITL != nil:
	case reasoning > 0:
		w.add(ITLUnknown, name, "reasoning tokens are not counted separately: inter-token latency unknown")
	case short > 0:
		w.add(ITLUnknown, name, "answers have fewer than %d tokens: inter-token latency unknown", minTokens)
	}
}

// lengths warns if nodes of one model give answers of different length, because longer answers take longer.
func (w *warner) lengths() {
	rows := slices.DeleteFunc(slices.Clone(w.Rows), func(r *Row) bool { return r.AnswerTokens == nil })
	if len(rows) == 0 {
		return
	}
	byLength := func(a, b *Row) int { return cmp.Compare(a.AnswerTokens.P50OrMean(), b.AnswerTokens.P50OrMean()) }
	shortest, longest := slices.MinFunc(rows, byLength), slices.MaxFunc(rows, byLength)
	few, many := shortest.AnswerTokens.P50OrMean(), longest.AnswerTokens.P50OrMean()
	if many > few*lengthRatio && many-few >= lengthTokens {
		w.add(LengthsDiffer, "", "answer lengths differ: %s typically has %.0f tokens, %s %.0f; longer answers take longer",
			w.Title(shortest), few, w.Title(longest), many)
	}
}

// replacement returns the name of the node that replaces a row as the reference, "" if the row is not the reference.
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

// extremes warns about a slow first request and about outliers.
func (w *warner) extremes(r *Row) {
	if !r.Latency.HasPercentiles() {
		return
	}
	middle := median(r.Sorted)
	bound := outlierBound * medianDeviation(w.space, r.Sorted, middle)
	outliers := 0
	for _, v := range r.Sorted {
		if math.Abs(v-middle) > bound {
			outliers++
		}
	}
	far := Count{len(r.Sorted), "request"}
	if float64(outliers) > maxOutlierShare*float64(len(r.Sorted)) {
		w.add(SeveralLevels, w.Title(r), "%d of %s are far from the median of %s: the distribution has several modes, "+
			"so neither mean nor p50 describes it", outliers, far, text.Millis(middle))
		return
	}
	for _, run := range r.series.runs() {
		in := r.series.inRun(run)
		if in.size() == 0 { // its part ended before any of its requests did
			continue
		}
		first := pointOf(in.earliest(), startUnit)
		if first.OK && first.Latency-middle > bound {
			outliers--
			w.add(SlowFirst, w.Title(r), "the first request took %s, far from the median of %s: a larger --warmup excludes it",
				text.Millis(first.Latency), text.Millis(middle))
		}
	}
	if outliers > 0 {
		w.add(Outliers, w.Title(r), "%d of %s are outliers, far from the median of %s: they affect mean and sd",
			outliers, far, text.Millis(middle))
	}
}

// medianDeviation returns the median absolute deviation. If most values are equal it would be 0, and every other value
// would be infinitely far away. In that case it returns a thousandth of the median.
func medianDeviation(w *workspace, values []float64, middle float64) float64 {
	deviations := w.values(len(values))
	for _, v := range values {
		deviations = append(deviations, math.Abs(v-middle))
	}
	slices.Sort(deviations)
	return cmp.Or(median(deviations), middle/1000)
}

// earliest returns the word of the request that began first.
func (c *nodeSeries) earliest() uint64 {
	first := uint64(math.MaxUint64)
	for s := range c.all() {
		first = min(first, s.word(s.Start(), startUnit))
	}
	return first
}
