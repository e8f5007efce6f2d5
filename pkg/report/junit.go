package report

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"

	"ferry/pkg/bench"
)

type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		junitCounts
		Suites []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		junitCounts
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out,omitempty"`
	}
	junitCounts struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  *int   `xml:"skipped,attr"` // of a single suite alone
		Time     string `xml:"time,attr"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// asJUnit is a run as a test suite: a case for each row, which fails without a success, and one for each threshold.
func asJUnit(s *bench.Summary, o Options) (string, error) {
	suite := junitSuite{
		junitCounts: junitCounts{Name: "ferry bench", Time: fixed(s.Elapsed, 3)},
		Timestamp:   s.Started.UTC().Format("2006-01-02T15:04:05"), Properties: junitProperties(s),
		Out: junitWarnings(s.Warnings),
	}
	for _, r := range s.Rows {
		suite.Cases = append(suite.Cases, junitRow(s, r))
	}
	return suite.write(o.Checks)
}

func junitWarnings(all []bench.Warning) string {
	return strings.Join(each(all, func(w bench.Warning) string { return "warning: " + visible(w.Text) }), "\n")
}

// write adds the thresholds and counts the cases.
func (suite junitSuite) write(checks []bench.Check) (string, error) {
	for _, c := range checks {
		suite.Cases = append(suite.Cases, junitCheck(c))
	}
	for _, c := range suite.Cases {
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
	}
	all := junitSuites{junitCounts: suite.junitCounts}
	suite.Skipped = new(int)
	all.Suites = []junitSuite{suite}
	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return "", err
	}
	return xml.Header + string(out) + "\n", nil
}

func junitProperties(s *bench.Summary) []junitProperty {
	h := s.Header
	all := []junitProperty{
		{"model", visible(s.Model)}, {"prompt_sha256", visible(h.PromptSHA256)}, {"requests", strconv.Itoa(h.Requests)},
		{"connections", visible(h.Connections)}, {"concurrency", strconv.Itoa(h.Concurrency)},
		{"reference", visible(h.Reference)},
		{"program", visible(h.Program)},
	}
	for _, c := range s.Best {
		all = append(all, junitProperty{"best", strings.Join(each(c.Rows, func(i int) string { return title(s, s.Rows[i]) }), ", ")})
	}
	return all
}

func junitRow(s *bench.Summary, r *bench.Row) junitCase {
	mean := r.Latency.Mean
	if r.OK == 0 || math.IsNaN(mean) {
		mean = 0
	}
	c := junitCase{Class: "ferry.bench.node", Name: title(s, r), Time: fixed(mean/1000, 6), Out: english().sentence(s, r)}
	if r.OK == 0 {
		c.Failure = &junitFailure{Message: english().finding(s, r), Type: bench.NoSuccess, Text: failureLines(r)}
	}
	return c
}

// failureLines says what failed, a line for each class.
func failureLines(r *bench.Row) string {
	return strings.Join(each(r.Failures, func(f bench.Failure) string {
		return fmt.Sprintf("%d × %s (%s): %s", f.Count, visible(f.Class), visible(f.Blame), visible(f.Detail))
	}), "\n")
}

func junitCheck(check bench.Check) junitCase {
	name := visible(check.Threshold.String())
	if node := visible(check.Node); node != "" && !strings.HasPrefix(name, node+":") {
		name = node + ":" + name
	}
	seen := visible(check.Seen.String())
	c := junitCase{Class: "ferry.bench.threshold", Name: name, Time: "0.000", Out: "seen " + seen}
	if check.Missed {
		c.Failure = &junitFailure{Message: "missed: " + seen, Type: "threshold", Text: name + ", seen " + seen}
	}
	return c
}
