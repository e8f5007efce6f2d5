package bench

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ferry/pkg/text"
)

// Threshold is a bound on a figure.
type Threshold struct {
	text string
	// Node is the node that the threshold applies to, "" for every node.
	Node string
	// family is success, first_success, slo, latency, ttft, itl or tps.
	family string
	// Stat is one of the statistics of the family, "" for a rate.
	Stat string
	op   string
	// value is in the unit of the figure: a share, ms, or tokens per second.
	value float64
	// within is the bound of an slo in ms: a latency meets it if it is below.
	within float64
}

// String returns the threshold as the user wrote it.
func (t Threshold) String() string { return t.text }

const thresholdHint = "a threshold is [node:]metric op value, such as hongkong:p95<1200ms or success>=95%; " +
	"the metrics are success, first_success, the latency's mean sd min p50 p90 p95 p99 max, " +
	"and ttft, itl or tps with one of those, as in ttft.p95; slo:latency<2s>=99% is the share of requests within a bound; " +
	"bench compare also has ratio, ratio_low and ratio_high, as in ratio<1.2"

// sloForm matches [node:]slo:latency<bound>=share, thresholdForm every text: [node:]metric op value.
const (
	sloForm       = `(?s)^(?:(.*):)?\s*slo:latency\s*(<=|<)\s*([0-9.a-zµ]+)\s*(>=|>)\s*([0-9.]+ *%?)\s*$`
	thresholdForm = `(?s)^(?:(.*):)?([^<>=!]*)(<=|>=|<|>)?(.*)$`
)

// ParseThreshold parses "[node:]metric op value", with optional spaces between the parts. The node is everything before
// the last colon, since it may be a URL. An error gives the column of the fault and what was expected there.
func ParseThreshold(s string) (Threshold, error) {
	if slo := regexp.MustCompile(sloForm).FindStringSubmatch(s); slo != nil {
		bound, err := time.ParseDuration(slo[3])
		share, ok := ParseShare(slo[5])
		if err == nil && bound > 0 && ok {
			within := milliseconds(bound)
			if slo[2] == "<=" {
				within = math.Nextafter(within, math.Inf(1))
			}
			return Threshold{strings.TrimSpace(s), strings.TrimSpace(slo[1]), "slo", "", slo[4], share, within}, nil
		}
		return Threshold{}, text.Errorf(thresholdHint, "threshold %q: column 1: expected %s", s, "an slo such as slo:latency<2s>=99%")
	}
	parts := regexp.MustCompile(thresholdForm).FindStringSubmatchIndex(s)
	node, metric, op, value := parts[2:4], parts[4:6], parts[6:8], parts[8:10]
	words := func(part []int) string {
		if part[0] < 0 {
			return ""
		}
		return strings.TrimSpace(s[part[0]:part[1]])
	}
	fail := func(at int, want string) (Threshold, error) {
		at += len(s[at:]) - len(strings.TrimLeft(s[at:], " "))
		return Threshold{}, text.Errorf(thresholdHint, "threshold %q: column %d: expected %s",
			s, utf8.RuneCountInString(s[:at])+1, want)
	}
	t := Threshold{text: strings.TrimSpace(s), Node: words(node), op: words(op)}
	switch {
	case node[0] == 0 && t.Node == "":
		return fail(0, "a node before the colon")
	case !t.parseMetric(words(metric)):
		return fail(metric[0], "a metric")
	case t.op == "":
		return fail(metric[1], "one of < <= > >=")
	}
	if want, ok := t.parseValue(words(value)); !ok {
		return fail(value[0], want)
	}
	return t, nil
}

func (t *Threshold) parseMetric(metric string) bool {
	if metric == "success" || metric == "first_success" {
		t.family = metric
		return true
	}
	family, stat, dotted := strings.Cut(metric, ".")
	if !dotted {
		family, stat = "latency", metric
	} else if !slices.Contains([]string{"ttft", "itl", "tps"}, family) {
		return false
	}
	t.family, t.Stat = family, stat
	return slices.Contains(StatNames(), stat) || t.Compares() && (family == "latency" || family == "ttft")
}

// parseValue parses a value of the metric's kind. It returns what is expected, and whether text is that.
func (t *Threshold) parseValue(text string) (want string, ok bool) {
	switch {
	case t.Compares():
		t.value, ok = parseDecimal(text, "")
		return "a ratio, such as 1.2", ok
	case t.family == "success", t.family == "first_success":
		t.value, ok = ParseShare(text)
		return "a share from 0 to 1 or from 0% to 100%, such as 95% or 0.95", ok
	case t.family == "tps":
		t.value, ok = parseDecimal(text, "")
		return "a number of tokens per second, such as 40", ok
	}
	d, err := time.ParseDuration(text)
	t.value = milliseconds(d)
	return "a duration with its unit, such as 1200ms or 1.2s", err == nil && d >= 0
}

// ParseShare parses 5% or 0.05, at most 1. It converts a percentage by shifting the decimal point in its text: 99.9
// divided by 100 is not the number nearest to 0.999, so 999 of 1000 would miss it.
func ParseShare(text string) (float64, bool) {
	number, percent := strings.CutSuffix(text, "%")
	exponent := ""
	if percent {
		number, exponent = strings.TrimSpace(number), "e-2"
	}
	v, ok := parseDecimal(number, exponent)
	return v, ok && v <= 1
}

// parseDecimal parses digits with at most one decimal point, and no other form of a number.
func parseDecimal(text, exponent string) (float64, bool) {
	if strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text+exponent, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// Needs returns how many requests a percentile needs so that it is not simply the maximum: 1/(1-p). It returns 0 for
// other figures.
func (t Threshold) Needs() int {
	return map[string]int{"p50": MinPercentile, "p90": 10, "p95": 20, "p99": 100}[t.Stat]
}

// Check is the result of a threshold for a row.
type Check struct {
	Threshold Threshold
	// Node is the title of the row, or the threshold's node if it was not measured.
	Node   string
	Missed bool
	// Seen is the row's figure as text, or why there is none.
	Seen Message
}

func (c Check) String() string {
	if c.Missed {
		return fmt.Sprintf("%s: %s missed: %s", c.Node, c.Threshold, c.Seen)
	}
	return fmt.Sprintf("%s: %s met: %s", c.Node, c.Threshold, c.Seen)
}

// Check checks each threshold against each row that it applies to. Unless successesOnly is set, a failure counts as
// above every bound on a percentile or maximum of latency and TTFT. A threshold is missed if its figure does not exist,
// or if its node was not measured.
func (s *Summary) Check(thresholds []Threshold, successesOnly bool) []Check {
	var checks []Check
	for _, t := range thresholds {
		measured := false
		for _, r := range s.Rows {
			if t.Node == "" || t.Node == r.Node.Name {
				measured = true
				seen, ok := t.check(r, successesOnly)
				checks = append(checks, Check{t, s.Title(r), !ok, seen})
			}
		}
		if !measured {
			checks = append(checks, Check{t, t.Node, true, Message{Format: "no results for this node"}})
		}
	}
	return checks
}

// check returns the row's figure for a threshold, or why there is none, and whether the threshold is met.
func (t Threshold) check(r *Row, successesOnly bool) (seen Message, ok bool) {
	figure, without := t.figure(r, successesOnly)
	switch {
	case math.IsNaN(figure):
		return without, false
	case math.IsInf(figure, 1):
		return Message{"failure (%d of %s failed)", []any{r.Requests - r.OK, Count{r.Requests, "request"}}},
			strings.HasPrefix(t.op, ">")
	}
	return Message{Format: t.write(figure)}, t.meets(figure)
}

// meets reports whether a figure meets the threshold.
func (t Threshold) meets(figure float64) bool {
	return map[string]bool{
		"<": figure < t.value, "<=": figure <= t.value, ">": figure > t.value, ">=": figure >= t.value,
	}[t.op]
}

// Streams reports whether only a stream has the figure.
func (t Threshold) Streams() bool { return t.family == "ttft" || t.family == "itl" }

// Compares reports whether the threshold compares two runs.
func (t Threshold) Compares() bool {
	return slices.Contains([]string{"ratio", "ratio_low", "ratio_high"}, t.Stat)
}

// figure returns the row's figure for a threshold, NaN if there is none, and the reason for that case.
func (t Threshold) figure(r *Row, successesOnly bool) (figure float64, without Message) {
	none := func(why string) (float64, Message) { return math.NaN(), Message{Format: why} }
	noRequest := Message{Format: "no request"}
	stats := map[string]*Stats{
		"latency": &r.WithFailures, "ttft": r.TTFTWithFailures, "itl": r.ITL, "tps": r.TokensPerSecond,
	}
	all := r.Requests
	if successesOnly {
		stats["latency"], stats["ttft"], all = &r.Latency, r.TTFT, r.OK
	}
	s := stats[t.family]
	switch {
	case t.family == "slo":
		within, _ := slices.BinarySearch(r.Sorted, t.within)
		return float64(within) / float64(all), noRequest // 0/0 is NaN
	case t.family == "success":
		return r.Success.Value, noRequest
	case t.family == "first_success":
		return r.FirstSuccess.Value, noRequest
	case r.OK == 0:
		return none("no success")
	case s == nil && t.family == "itl" && r.TTFT != nil:
		return none("inter-token latency unknown")
	case s == nil && t.family == "tps":
		return none("the node reports no token counts")
	case s == nil:
		return none("the run is not streaming")
	case s.N < t.Needs():
		return math.NaN(), Message{"%s needs at least %d requests, got %d", []any{t.Stat, t.Needs(), s.N}}
	}
	return s.Named(t.Stat), Message{"too few samples: %d", []any{s.N}}
}

// significant rounds a figure to the given number of significant digits.
func significant(figure float64, digits int) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(figure, 'g', digits, 64), 64) // parses its own output
	return rounded
}

// write formats a figure with enough digits to show on which side of the threshold it is.
func (t Threshold) write(figure float64) string {
	switch t.family {
	case "success", "first_success", "slo":
		shown := strconv.FormatFloat(figure*100, 'g', 6, 64)
		if shown == "100" {
			shown = text.Percent(figure, 4) // with more digits, because it is less than 100 %
		}
		return shown + "%"
	}
	if t.Compares() || t.family == "tps" {
		shown := significant(figure, 6)
		if t.meets(shown) != t.meets(figure) {
			shown = significant(figure, 9)
		}
		return strconv.FormatFloat(shown, 'g', -1, 64)
	}
	return time.Duration(figure * float64(time.Millisecond)).Round(time.Microsecond).String()
}
