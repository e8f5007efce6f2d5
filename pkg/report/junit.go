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
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out,omitempty"`
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

// junit is a run as a test suite: a case for each row, which fails without a success, and one for each threshold.
func junit(s *bench.Summary, checks []bench.Check) (string, error) {
	suite := junitSuite{
		Name: "ferry bench", Time: fixed(s.Elapsed, 3), Timestamp: s.Header.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: junitProperties(s),
	}
	for _, r := range s.Rows {
		suite.Cases = append(suite.Cases, junitRow(s, r))
	}
	for _, c := range checks {
		suite.Cases = append(suite.Cases, junitCheck(c))
	}
	for _, c := range suite.Cases {
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
	}
	var warnings strings.Builder
	for _, w := range s.Warnings {
		warnings.WriteString("warning: " + visible(w.Text) + "\n")
	}
	suite.Out = strings.TrimSuffix(warnings.String(), "\n")
	out, err := xml.MarshalIndent(junitSuites{
		Name: suite.Name, Tests: suite.Tests, Failures: suite.Failures, Time: suite.Time, Suites: []junitSuite{suite},
	}, "", "  ")
	if err != nil {
		return "", err
	}
	return xml.Header + string(out) + "\n", nil
}

func junitProperties(s *bench.Summary) []junitProperty {
	h := s.Header
	all := []junitProperty{
		{"model", visible(s.Model)}, {"prompt_sha256", visible(h.PromptSHA256)}, {"requests", strconv.Itoa(h.Requests)},
		{"connections", visible(h.Connections)}, {"concurrency", strconv.Itoa(h.Concurrency)}, {"reference", visible(h.Reference)},
		{"program", visible(h.Program)},
	}
	if row := s.BestRow(); row != nil {
		all = append(all, junitProperty{"best", title(s, row)})
	}
	return all
}

func junitRow(s *bench.Summary, r *bench.Row) junitCase {
	mean := r.Latency.Mean
	if r.OK == 0 || math.IsNaN(mean) {
		mean = 0
	}
	c := junitCase{Class: "ferry.bench.node", Name: title(s, r), Time: fixed(mean/1000, 6), Out: verdict(s, r)}
	if r.OK == 0 {
		c.Failure = &junitFailure{Message: finding(s, r), Type: bench.NoSuccess, Text: failureLines(r)}
	}
	return c
}

// failureLines says what failed, a line for each class.
func failureLines(r *bench.Row) string {
	var b strings.Builder
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "%d × %s (%s): %s\n", f.Count, visible(f.Class), visible(f.Blame), visible(f.Detail))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func junitCheck(check bench.Check) junitCase {
	name := visible(check.Threshold.String())
	if node := visible(check.Node); node != "" && !strings.HasPrefix(name, node+":") {
		name = node + ":" + name
	}
	c := junitCase{Class: "ferry.bench.threshold", Name: name, Time: "0.000"}
	if check.Missed {
		seen := visible(check.Seen)
		c.Failure = &junitFailure{Message: "missed: " + seen, Type: "threshold", Text: name + ", seen " + seen}
	}
	return c
}
