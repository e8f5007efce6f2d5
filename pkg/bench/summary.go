package bench

import (
	"fmt"
	"math"
	"slices"
	"time"

	"ferry/pkg/text"
)

// Summary is what a report shows: everything in it is worked out, in milliseconds.
type Summary struct {
	// Header is the first run's, with 0 for the requests and duration, and for the seed, where the runs differ in them. Vantages
	// and Runs say what was merged.
	Header   Header
	Runs     int
	Vantages []string
	// Started is when the first run began, LastStarted when the last one did.
	Started, LastStarted time.Time
	// Elapsed is the runs' together, in seconds.
	Elapsed float64
	// FasterWaited says that a closed loop had faster nodes wait for slower ones.
	FasterWaited bool
	// Model is the model of all rows, "" where none was named. It is also "" where they differ: then there is a warning
	// of DifferentModels, nothing is compared, and there is no best.
	Model string
	// Figure is what nodes are compared by: TTFT of streams, else LatencyFigure.
	Figure string
	// Rows stand in the order of the header's nodes, vantage after vantage.
	Rows []*Row
	// Best has a choice for each vantage that has a node which can be recommended.
	Best []Choice
	// Stopped is the run's, "" where every run went to its end.
	Stopped  string
	Warnings []Warning
}

// Row is one series's results.
type Row struct {
	Node    Node
	Vantage string
	// Requests counts the finished ones; OK those with a whole answer; FirstOK those that had it at the first attempt.
	Requests, OK, FirstOK int
	// Rates are from 0 to 1 and have Wilson 95 % intervals.
	Success, FirstSuccess Rate
	// Latency is of successes only; over an open loop it and TTFT count from the intended start.
	Latency Stats
	// WithFailures and TTFTWithFailures are Latency and TTFT with each failure as one that is over every bound: +Inf in their
	// percentiles and Max. N counts the failures too.
	WithFailures     Stats
	TTFTWithFailures *Stats
	// Uncorrected (from the actual start) and Lag are of an open loop only.
	Uncorrected, Lag *Stats
	// TTFT, ITL (both ms) and DecodeRate (tokens a second after the first text) are of streams only; TokensPerSecond and
	// AnswerTokens of whole answers too, where the node counts tokens.
	TTFT, ITL, DecodeRate, TokensPerSecond, AnswerTokens *Stats
	// PerSecond are the requests that ended in a second, InFlight those that were waited for, on average over the runs: both
	// are NaN where no time is known.
	PerSecond, InFlight float64
	// LatencyBuckets and TTFTBuckets count the values up to each of Buckets; TTFTBuckets is nil without a TTFT.
	LatencyBuckets, TTFTBuckets []int
	// Hours has the requests by the hour of day in which they began, of runs that lie more than a day apart; else it is nil.
	Hours []Hour
	// Phases are means over the successes, in ms.
	Phases PhaseMeans
	// Failures are by class, the most frequent first.
	Failures []Failure
	// Fresh is how many requests meant for kept connections went over new ones; Unsent how many never began.
	Fresh, Unsent int
	// Ended is the series'.
	Ended string
	// VsReference is nil for the reference itself, and where nothing can be compared.
	VsReference *Comparison
	// Sorted are the successes' latencies in ascending order, for plots.
	Sorted []float64
	// Timeline are at most timelinePoints requests, evenly chosen, in the order of their start.
	Timeline []Point

	series *nodeSeries
}

// Rate is a share of successes with its Wilson 95 % interval.
type Rate struct{ Value, Low, High float64 }

// Stats describe a sample, in the unit of its field. The percentiles are NaN for fewer than MinPercentile values, and all
// is NaN for none; SD for fewer than two.
type Stats struct {
	N                                      int
	Mean, SD, Min, P50, P90, P95, P99, Max float64
}

// StatNames are the names of the statistics, in the order in which reports list them.
func StatNames() []string { return []string{"mean", "sd", "min", "p50", "p90", "p95", "p99", "max"} }

// Named is a statistic by its name: mean, sd, min, p50, p90, p95, p99 or max.
func (s Stats) Named(name string) float64 {
	values := []float64{s.Mean, s.SD, s.Min, s.P50, s.P90, s.P95, s.P99, s.Max}
	return values[slices.Index(StatNames(), name)]
}

// MinPercentile is the number of values below which a percentile would be a guess.
const MinPercentile = 3

// HasPercentiles reports whether there are enough values for percentiles.
func (s Stats) HasPercentiles() bool { return !math.IsNaN(s.P50) }

// PhaseMeans are mean phases, in ms.
type PhaseMeans struct{ DNS, Connect, TLS, Wait, Transfer float64 }

// Failure counts one class of failures.
type Failure struct {
	Class string
	// Blame is where it lies by the look of it: client, node or origin.
	Blame   string
	Count   int
	Latency Stats
	// Detail has the words of the first one, the one that ended at firstEnd.
	Detail   string
	firstEnd time.Duration
}

// Verdict is what a comparison shows.
type Verdict string

// The verdicts.
const (
	Faster       Verdict = "faster"
	Slower       Verdict = "slower"
	NoDifference Verdict = "no difference shown"
)

// The figures that nodes are compared by.
const (
	LatencyFigure = "latency"
	TTFTFigure    = "ttft"
)

// Headline is what the rows are compared by: TTFT of streams, else the latency.
func (s *Summary) Headline(r *Row) *Stats {
	if s.Figure == TTFTFigure && r.TTFT != nil {
		return r.TTFT
	}
	return &r.Latency
}

// Comparison is a row against the reference, pair by pair. Verdict and interval follow from the ratios of the pairs'
// figures, so that they cannot contradict each other.
type Comparison struct {
	// Reference is the reference's name.
	Reference string
	// Pairs is how many rounds both had an answer in.
	Pairs int
	// Ratio is the typical paired ratio, this row's figure over the reference's: the Hodges–Lehmann estimate over the pairs,
	// with the interval that inverts the Wilcoxon signed-rank test: 0 to +Inf where there are too few pairs for one.
	Ratio, Low, High float64
	// P is the signed-rank test's, two-sided. It is below Level, and Verdict tells a difference, exactly when 1 is not
	// between Low and High.
	P float64
	// Level is 0.05 for one comparison. Of several each has its level by Holm, so that all intervals hold together.
	Level   float64
	Verdict Verdict
	// P50 and ReferenceP50 are the two rows' own of the figure, in ms. They compare no pairs.
	P50, ReferenceP50 float64
	// ShapesDiffer says that the verdict and the p50s contradict each other: the distributions differ in shape.
	ShapesDiffer bool
}

// Buckets are upper bounds in ms: 1, 2.5 and 5 of each power of ten, as Prometheus has them, up to a minute and more.
func Buckets() []float64 {
	return []float64{1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 60_000, 120_000}
}

// Hour is the part of a row that began in an hour of the day, by the clock of the place where the first run began.
type Hour struct {
	// Hour is from 0 to 23.
	Hour, Requests, OK int
	// P50 is of what the rows are compared by, in ms, NaN for fewer than MinPercentile values.
	P50 float64
}

// Point is one request on the time axis: seconds since the start of the first run, and ms.
type Point struct {
	At, Latency float64
	OK          bool
}

const timelinePoints = 2000

// Warning is what a reader should know before he believes a number. Node is a row's title or "". Text is all of it in
// English; Words, without the node, let a report say it in another language.
type Warning struct {
	Code, Node, Text string
	Words            Message
}

func (w Warning) String() string { return w.Text }

// Message is an English format with what belongs into it, so that a report can say it in another language.
type Message struct {
	Format string
	Args   []any
}

func (m Message) String() string {
	if len(m.Args) == 0 {
		return m.Format
	}
	return fmt.Sprintf(m.Format, m.Args...)
}

// Count is a number of things in a Message.
type Count struct {
	N    int
	Noun string
}

func (c Count) String() string { return text.Count(c.N, c.Noun) }

// The codes of warnings.
const (
	FewRounds       = "few_rounds"
	SomeFailed      = "some_failed"
	SlowFirst       = "slow_first"
	Outliers        = "outliers"
	SeveralLevels   = "several_levels"
	BusyClient      = "busy_client"
	ClockJumped     = "clock_jumped"
	DifferentModels = "different_models"
	NoSuccess       = "no_success"
	EndedEarly      = "ended_early"
	NotSent         = "unsent"
	FreshConnection = "fresh_connections"
	CutFile         = "cut_file"
	NotPrecise      = "not_precise"
	Overrun         = "overrun"
	OtherReference  = "reference_replaced"
	Buffered        = "buffered"
	ITLUnknown      = "itl_unknown"
	LengthsDiffer   = "answer_lengths_differ"
	RunsSwapped     = "runs_swapped"
	SettingsDiffer  = "settings_differ"
	OnlyOld         = "only_old"
	OnlyNew         = "only_new"
)
