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

// Warnings are the warnings about one or more runs.
type Warnings []Warning

func (l *Warnings) add(code, node, format string, values ...any) {
	w := Warning{Code: code, Node: node, Message: Message{format, values}}
	w.Text = w.Message.String()
	if node != "" {
		w.Text = node + ": " + w.Text
	}
	if !slices.ContainsFunc(*l, func(known Warning) bool { return known.Text == w.Text }) { // the parts of a run warn alike
		*l = append(*l, w)
	}
}

// warn adds the warnings about the runs, and then about each row. The Node of a Warning is the row's title.
func (s *Summary) warn(runs []*Run, w *workspace, sameModel bool) {
	s.warnRuns(runs)
	if !sameModel {
		s.Warnings.add(DifferentModels, "", "the nodes use different models: latencies are shown but not compared")
	}
	short := 0
	for _, r := range s.Rows {
		short = max(short, r.Requests)
	}
	allShort := short < fewRounds
	switch {
	case !allShort || short == 0: // without any request, each row warns that it had no success
	case len(s.Rows) == 1:
		s.Warnings.add(FewRounds, "", "only %s: not reliable with fewer than 10", Count{short, "request"})
	default:
		s.Warnings.add(FewRounds, "", "at most %s per node: not reliable with fewer than 10", Count{short, "request"})
	}
	for _, r := range s.Rows {
		s.warnRow(r, allShort)
		s.warnExtremes(r, w)
		s.warnStream(r)
	}
	s.warnFailing()
	if sameModel {
		s.warnLengths()
	}
}

// warnRuns adds the warnings that concern every row.
func (s *Summary) warnRuns(runs []*Run) {
	add := s.Warnings.add
	var delay, jump time.Duration
	for _, run := range runs {
		for _, note := range run.Notes {
			add("cut_file", "", note.Format, note.Args...)
		}
		parts := slices.DeleteFunc(slices.Clone(runs), func(r *Run) bool { return r.Header.ID != run.Header.ID })
		if p := run.Header.Precision; p > 0 && run.Stopped != "precision" && !precise(parts, p) {
			add("not_precise", "", "the run ended before all intervals were within ±%g %%", 100*p)
		}
		delay = max(delay, run.SchedulingDelay)
		if run.ClockJump.Abs() > jump.Abs() {
			jump = run.ClockJump
		}
	}
	fastest := math.NaN() // the lowest p50
	for _, r := range s.Rows {
		if p := r.Latency.P50; p < fastest || math.IsNaN(fastest) {
			fastest = p
		}
	}
	if delay > minBusyDelay && !(milliseconds(delay) <= busyShare*fastest) {
		add("busy_client", "", "this machine was busy: latencies include scheduling delays of up to %s",
			text.Millis(milliseconds(delay)))
	}
	if jump.Abs() > minClockJump {
		format := "the system clock moved forward by %s during the run; latencies are not affected"
		if jump < 0 {
			format = "the system clock moved back by %s during the run; latencies are not affected"
		}
		add("clock_jumped", "", format, text.Millis(milliseconds(jump.Abs())))
	}
}

// warnRow warns about what is missing from a row. allShort reports that there is already a warning about too few
// requests for all rows.
func (s *Summary) warnRow(r *Row, allShort bool) {
	add := s.Warnings.add
	name, v := s.Title(r), r.VsReference
	if r.OK == 0 {
		add(NoSuccess, name, "no success in %s", Count{r.Requests, "request"})
		i := slices.IndexFunc(s.Rows, func(o *Row) bool {
			return o.VsReference != nil && o.Vantage == r.Vantage && o.Node.Connection == r.Node.Connection
		})
		if r.Node.Name == s.Header.Reference && i >= 0 {
			add(OtherReference, name, "the reference had no success: the others are compared with %s instead",
				s.Rows[i].VsReference.Reference)
		}
	}
	switch {
	case r.Ended != "":
		add("ended_early", name, "stopped after %s: %s", Count{r.Requests, "request"}, r.Ended)
	case allShort || r.Requests == 0:
	case r.Requests < fewRounds:
		add(FewRounds, name, "only %s: not reliable with fewer than 10", Count{r.Requests, "request"})
	case v != nil && v.Pairs < minPairs:
		add(FewRounds, name, "it and %s both answered in only %d rounds: at least %d are needed to show a difference",
			v.Reference, v.Pairs, minPairs)
	case v != nil && v.Pairs < fewRounds:
		add(FewRounds, name, "it and %s both answered in only %d rounds: this shows only large differences",
			v.Reference, v.Pairs)
	}
	if r.Unsent > 0 {
		add("unsent", name, "%s could not start in time and were not sent: -c %d is too low for this rate",
			Count{r.Unsent, "request"}, s.Header.Concurrency)
	} else if r.Lag != nil && s.Header.Rate > 0 && r.Lag.P50OrMean() > 1000/s.Header.Rate {
		add("overrun", name, "requests started late, typically by %s: -c %d is too low for this rate",
			text.Millis(r.Lag.P50OrMean()), s.Header.Concurrency)
	}
	if r.Fresh > 0 {
		add("fresh_connections", name, "%s opened a new connection instead of reusing one", Count{r.Fresh, "request"})
	}
}

// warnFailing warns about nodes among the best that fail more often than another of them. So few requests do not prove
// that.
func (s *Summary) warnFailing() {
	for _, c := range s.Best {
		for _, i := range c.Rows {
			r := s.Rows[i]
			if slices.ContainsFunc(c.Rows, func(j int) bool { return s.Rows[j].Success.Value > r.Success.Value }) {
				s.Warnings.add("some_failed", s.Title(r),
					"%d of %s failed: use more requests (-r) to find out if it fails more often than the others",
					r.Requests-r.OK, Count{r.Requests, "request"})
			}
		}
	}
}

// warnStream warns about streams that show less than they seem to.
func (s *Summary) warnStream(r *Row) {
	bursts, long := r.series.bursts()
	var reasoning, short int
	for sample := range r.series.all() {
		switch tokens := sample.textTokens(); {
		case !sample.OK() || sample.chunks() == 0:
		case sample.Tokens() > 0 && tokens == 0:
			reasoning++
		case tokens > 0 && tokens < minTokens:
			short++
		}
	}
	name := s.Title(r)
	switch {
	case 2*bursts > long:
		s.Warnings.add("buffered", name,
			"first and last text arrived together in %d of %s: a proxy may be buffering the stream",
			bursts, Count{long, "answer"})
	case r.ITL != nil:
	case reasoning > 0:
		s.Warnings.add(ITLUnknown, name, "reasoning tokens are not counted separately: inter-token latency unknown")
	case short > 0:
		s.Warnings.add(ITLUnknown, name, "answers have fewer than %d tokens: inter-token latency unknown", minTokens)
	}
}

// warnLengths warns if nodes of one model give answers of different length, because longer answers take longer.
func (s *Summary) warnLengths() {
	rows := slices.DeleteFunc(slices.Clone(s.Rows), func(r *Row) bool { return r.AnswerTokens == nil })
	if len(rows) == 0 {
		return
	}
	byLength := func(a, b *Row) int { return cmp.Compare(a.AnswerTokens.P50OrMean(), b.AnswerTokens.P50OrMean()) }
	shortest, longest := slices.MinFunc(rows, byLength), slices.MaxFunc(rows, byLength)
	few, many := shortest.AnswerTokens.P50OrMean(), longest.AnswerTokens.P50OrMean()
	if many > few*lengthRatio && many-few >= lengthTokens {
		s.Warnings.add("answer_lengths_differ", "",
			"answer lengths differ: %s typically has %.0f tokens, %s %.0f; longer answers take longer",
			s.Title(shortest), few, s.Title(longest), many)
	}
}

// warnExtremes warns about a slow first request and about outliers.
func (s *Summary) warnExtremes(r *Row, w *workspace) {
	add := s.Warnings.add
	if !r.Latency.HasPercentiles() {
		return
	}
	middle := median(r.Sorted)
	bound := outlierBound * medianDeviation(w, r.Sorted, middle)
	outliers := 0
	for _, v := range r.Sorted {
		if math.Abs(v-middle) > bound {
			outliers++
		}
	}
	far := Count{len(r.Sorted), "request"}
	if float64(outliers) > maxOutlierShare*float64(len(r.Sorted)) {
		add("several_levels", s.Title(r), "%d of %s are far from the median of %s: the distribution has several modes, "+
			"so neither mean nor p50 describes it", outliers, far, text.Millis(middle))
		return
	}
	for _, run := range r.series.runs() {
		word := uint64(math.MaxUint64) // of the request that began first
		for sample := range r.series.inRun(run).all() {
			word = min(word, sample.word(sample.Start(), startUnit))
		}
		first := pointOf(word, startUnit)
		if word < math.MaxUint64 && first.OK && first.Latency-middle > bound {
			outliers--
			add("slow_first", s.Title(r), "the first request took %s, far from the median of %s: a larger --warmup excludes it",
				text.Millis(first.Latency), text.Millis(middle))
		}
	}
	if outliers > 0 {
		add("outliers", s.Title(r), "%d of %s are outliers, far from the median of %s: they affect mean and sd",
			outliers, far, text.Millis(middle))
	}
}

// medianDeviation returns the median absolute deviation. If most values are equal it would be 0, and every other value
// would be infinitely far away. In that case it returns a thousandth of the median.
func medianDeviation(w *workspace, values []float64, middle float64) float64 {
	deviations := reuse(&w.floats, len(values))
	for _, v := range values {
		deviations = append(deviations, math.Abs(v-middle))
	}
	slices.Sort(deviations)
	return cmp.Or(median(deviations), middle/1000)
}
