package bench

import (
	"fmt"
	"math"
	"slices"
	"time"

	"ferry/pkg/text"
)

// Summary is what a report shows. All values in it are computed, in milliseconds unless stated otherwise.
type Summary struct {
	// Header is the header of the first run. Its Requests and Duration, or its Seed, are 0 if the runs differ in them.
	// Runs and Vantages describe what was merged.
	Header   Header
	Runs     int
	Vantages []string
	// Started is when the first run began, LastStarted when the last run began.
	Started, LastStarted time.Time
	// Elapsed is the sum of the durations of the runs, in seconds.
	Elapsed float64
	// FasterWaited reports that faster nodes waited for slower ones in a closed loop.
	FasterWaited bool
	// Model is the model of all rows, "" if none was named. It is also "" if the models differ. In that case there is a
	// DifferentModels warning, nothing is compared, and there is no best row.
	Model string
	// Figure is the figure that nodes are compared by: TTFTFigure for streams, otherwise LatencyFigure.
	Figure string
	// Rows are in the order of the header's nodes, vantage by vantage.
	Rows []*Row
	// Best has a choice for each vantage with a node that can be recommended.
	Best []Choice
	// Stopped is why a run ended early, "" if every run was completed.
	Stopped  string
	Warnings Warnings
}

// Row has the results of one series.
type Row struct {
	Node    Node
	Vantage string
	// Requests counts the finished requests, OK the requests with a complete answer, FirstOK the requests with a
	// complete answer at the first attempt.
	Requests, OK, FirstOK int
	// Success and FirstSuccess are from 0 to 1.
	Success, FirstSuccess Rate
	// Latency is of successes only. In an open loop, Latency and TTFT count from the intended start.
	Latency Stats
	// WithFailures and TTFTWithFailures are Latency and TTFT with each failure as a value above every bound: +Inf in
	// the percentiles and Max. N includes the failures.
	WithFailures     Stats
	TTFTWithFailures *Stats
	// Uncorrected (from the actual start) and Lag exist only for an open loop.
	Uncorrected, Lag *Stats
	// TTFT, ITL (both in ms) and DecodeRate (tokens per second after the first text) exist only for streams.
	// TokensPerSecond and AnswerTokens also exist for other answers, if the node counts tokens.
	TTFT, ITL, DecodeRate, TokensPerSecond, AnswerTokens *Stats
	// PerSecond is how many requests ended per second, InFlight the mean number of requests in flight. Both are NaN if
	// the duration of the runs is unknown.
	PerSecond, InFlight float64
	// LatencyBuckets and TTFTBuckets have the number of values up to each of Buckets. TTFTBuckets is nil without TTFT.
	LatencyBuckets, TTFTBuckets []int
	// Hours has the requests by the hour of day in which they began. It is nil if all runs began within 24 hours.
	Hours []Hour
	// Phases are means over the successes, in ms.
	Phases PhaseMeans
	// Failures are by class, the most frequent first.
	Failures []Failure
	// Fresh is how many requests meant for a kept connection used a new one, Unsent how many requests never began.
	Fresh, Unsent int
	// Ended is why the series ended early, "" if it did not.
	Ended string
	// VsReference is nil for the reference itself, and if nothing can be compared.
	VsReference *Comparison
	// Sorted are the successes' latencies in ascending order, for plots.
	Sorted []float64
	// Timeline has at most timelinePoints requests, evenly selected, in the order of their start.
	Timeline []Point

	series *nodeSeries
}

// Rate is a share of successes with its 95 % Wilson interval.
type Rate struct{ Value, Low, High float64 }

// Stats describes a sample, in the unit of its field. The percentiles are NaN for fewer than MinPercentile values, SD
// for fewer than two, and everything for none.
type Stats struct {
	N                                      int
	Mean, SD, Min, P50, P90, P95, P99, Max float64
}

// StatNames returns the names of the statistics in the order in which reports list them.
func StatNames() []string { return []string{"mean", "sd", "min", "p50", "p90", "p95", "p99", "max"} }

// Named returns a statistic by its name: mean, sd, min, p50, p90, p95, p99 or max.
func (s Stats) Named(name string) float64 {
	values := []float64{s.Mean, s.SD, s.Min, s.P50, s.P90, s.P95, s.P99, s.Max}
	return values[slices.Index(StatNames(), name)]
}

// MinPercentile is the smallest number of values that has percentiles. For fewer values they would be a guess.
const MinPercentile = 3

// HasPercentiles reports whether there are enough values for percentiles.
func (s Stats) HasPercentiles() bool { return !math.IsNaN(s.P50) }

// PhaseMeans are the mean durations of the phases, in ms.
type PhaseMeans struct{ DNS, Connect, TLS, Wait, Transfer float64 }

// Failure has the failures of one class.
type Failure struct {
	Class string
	// Blame is where the failure probably lies: client, node or origin.
	Blame   string
	Count   int
	Latency Stats
	// Detail describes the first failure of the class, which ended at firstEnd, relative to the start of the first run.
	Detail   string
	firstEnd time.Duration
}

// Verdict is the result of a comparison.
type Verdict string

// The verdicts on a latency or a TTFT.
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

// Headline returns the statistics that rows are compared by: TTFT for streams, otherwise the latency.
func (s *Summary) Headline(r *Row) *Stats {
	if s.Figure == TTFTFigure && r.TTFT != nil {
		return r.TTFT
	}
	return &r.Latency
}

// Comparison compares a row with the reference, pair by pair. Verdict and interval both follow from the paired ratios,
// so they cannot contradict each other.
type Comparison struct {
	// Reference is the name of the reference node.
	Reference string
	// Pairs is the number of rounds in which both had an answer.
	Pairs int
	// Ratio is the typical paired ratio of this row's figure to the reference's: the Hodges–Lehmann estimate over the
	// pairs. Low and High are the interval that inverts the Wilcoxon signed-rank test: 0 to +Inf if there are too few
	// pairs.
	Ratio, Low, High float64
	// P is the two-sided p-value of the signed-rank test. It is below Level, and Verdict is a difference, exactly when
	// 1 is not between Low and High.
	P float64
	// Level is 0.05 for one comparison. For several, Holm's procedure sets the level of each, so that all intervals
	// together cover 95 %.
	Level   float64
	Verdict Verdict
	// P50 and ReferenceP50 are the p50 of the figure of each of the two rows, in ms. They are not paired.
	P50, ReferenceP50 float64
	// ShapesDiffer reports that the verdict and the p50s contradict each other: the distributions have different
	// shapes.
	ShapesDiffer bool
}

// Buckets returns upper bounds in ms: 1, 2.5 and 5 times powers of ten, as in Prometheus, and 60 s and 120 s.
func Buckets() []float64 {
	return []float64{1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 60_000, 120_000}
}

// Hour has the requests of a row that began in one hour of the day, in the time zone of the first run's start.
type Hour struct {
	// Hour is from 0 to 23.
	Hour, Requests, OK int
	// P50 is the p50 of the figure that rows are compared by, in ms, NaN for fewer than MinPercentile values.
	P50 float64
}

// Point is one request on the time axis: At is in seconds since the start of the first run, Latency in ms.
type Point struct {
	At, Latency float64
	OK          bool
}

const timelinePoints = 2000

// Warning is what a reader should know before relying on a result. Node is the title of a row or "". Text is the
// complete warning in English. Message does not have the node; a report uses it to translate the warning.
type Warning struct {
	Code, Node, Text string
	Message          Message
}

func (w Warning) String() string { return w.Text }

// Message is an English format and its arguments, so that a report can translate it.
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

// The codes of warnings that are used in more than one place.
const (
	FewRounds       = "few_rounds"
	DifferentModels = "different_models"
	NoSuccess       = "no_success"
	OtherReference  = "reference_replaced"
	ITLUnknown      = "itl_unknown"
)
