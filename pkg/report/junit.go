package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
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
		Skipped  *int   `xml:"skipped,attr"` // only of a single suite
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

// asJUnit returns a run as a test suite: a case for each row, which fails if the row has no success, and one for each
// threshold.
func asJUnit(s *bench.Summary, o Options) (string, error) {
	cases := each(s.Rows, func(r *bench.Row) junitCase { return junitRow(s, r) })
	return junit("ferry bench", s, s.Warnings, cases, o.Checks)
}

// junit returns a suite of the cases, followed by the thresholds.
func junit(name string, s *bench.Summary, warnings []bench.Warning, cases []junitCase, checks []bench.Check) (string, error) {
	cases = append(cases, each(checks, junitCheck)...)
	counts := junitCounts{Name: name, Tests: len(cases), Time: fixed(s.Elapsed, 3)}
	for _, c := range cases {
		if c.Failure != nil {
			counts.Failures++
		}
	}
	suite := junitSuite{
		junitCounts: counts, Timestamp: s.Started.UTC().Format("2006-01-02T15:04:05"), Properties: junitProperties(s), Cases: cases,
		Out: strings.Join(each(warnings, func(w bench.Warning) string { return "warning: " + visible(w.Text) }), "\n"),
	}
	suite.Skipped = new(int)
	out, err := xml.MarshalIndent(junitSuites{junitCounts: counts, Suites: []junitSuite{suite}}, "", "  ")
	return xml.Header + string(out) + "\n", err
}

func junitProperties(s *bench.Summary) []junitProperty {
	h := s.Header
	all := []junitProperty{
		{"model", visible(s.Model)}, {"prompt_sha256", visible(h.PromptSHA256)}, {"requests", strconv.Itoa(h.Requests)},
		{"connections", visible(h.Connections)}, {"concurrency", strconv.Itoa(h.Concurrency)},
		{"reference", visible(h.Reference)}, {"program", visible(h.Program)},
	}
	for _, c := range s.Best {
		all = append(all, junitProperty{"best", strings.Join(each(c.Rows, func(i int) string { return language{}.title(s, s.Rows[i]) }), ", ")})
	}
	return all
}

func junitRow(s *bench.Summary, r *bench.Row) junitCase {
	mean := cmp.Or(fixed(r.Latency.Mean/1000, 6), "0.000000")
	c := junitCase{Class: "ferry.bench.node", Name: language{}.title(s, r), Time: mean, Out: language{}.sentence(s, r)}
	if r.OK == 0 {
		lines := each(r.Failures, func(f bench.Failure) string {
			return fmt.Sprintf("%d × %s (%s): %s", f.Count, visible(f.Class), visible(f.Blame), visible(f.Detail))
		})
		c.Failure = &junitFailure{Message: language{}.finding(s, r), Type: bench.NoSuccess, Text: strings.Join(lines, "\n")}
	}
	return c
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
