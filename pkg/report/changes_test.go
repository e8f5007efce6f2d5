package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"math"
	"regexp"
	"strings"
	"testing"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// changes compares two runs: one node is slower, one is faster but fails more, one is unchanged, and each run has one
// node that the other does not have.
func changes() *bench.Changes {
	shift := func(old, new *bench.Row, ratio, low, high float64, verdict bench.Verdict) *bench.Comparison {
		return &bench.Comparison{Ratio: ratio, Low: low, High: high, P: 0.01, Level: 0.025, Verdict: verdict,
			P50: new.Latency.P50, ReferenceP50: old.Latency.P50}
	}
	success := func(value, low, high float64, verdict bench.Verdict) bench.SuccessChange {
		return bench.SuccessChange{Rate: bench.Rate{Value: value, Low: low, High: high}, P: 0.03, Level: 0.05, Verdict: verdict}
	}
	direct, hongkong, singapore := node("direct", ""), node("hongkong", "香港代理节点"), node("singapore", "")
	c := &bench.Changes{
		Old: &bench.Summary{Header: header(direct, hongkong, singapore, node("tokyo", "")), Runs: 1, Elapsed: 140, Model: "claude-haiku-5-5",
			Rows: []*bench.Row{row(direct, 100, 100, 1000), row(hongkong, 100, 99, 790), row(singapore, 100, 100, 1200), row(node("tokyo", ""), 100, 100, 600)}},
		New: &bench.Summary{Header: header(direct, hongkong, singapore, node("seoul", "")), Runs: 1, Elapsed: 150, Model: "claude-haiku-5-5",
			Rows: []*bench.Row{row(direct, 100, 98, 1310), row(hongkong, 100, 82, 700), row(singapore, 100, 100, 1190), row(node("seoul", ""), 100, 100, 500)}},
		OnlyOld: []string{"tokyo"}, Settings: bench.Settings{"concurrency (4 and 8)"},
		Warnings: []bench.Warning{
			warning("settings_differ", "", "the runs have different settings: %s", bench.Settings{"concurrency (4 and 8)"}),
			warning("only_old", "", "only the old run has %s", "tokyo"), warning("only_new", "", "only the new run has %s", "seoul"),
			warning("fresh_connections", "", "new run: %s", warning("fresh_connections", "direct",
				"%s opened a new connection instead of reusing one", bench.Count{N: 2, Noun: "request"})),
		},
	}
	c.OnlyNew = c.New.Rows[3:]
	c.New.Header.ID, c.Old.Started, c.New.Started = "77b0", started, started.AddDate(0, 0, 1)
	old, new := c.Old.Rows, c.New.Rows
	c.Nodes = []*bench.Change{
		{Title: "direct", Old: old[0], New: new[0], Latency: shift(old[0], new[0], 1.31, 1.2, 1.43, bench.Slower), Success: success(-0.02, -0.07, 0.018, bench.NoDifference)},
		{Title: "hongkong", Old: old[1], New: new[1], Latency: shift(old[1], new[1], 0.886, 0.81, 0.97, bench.Faster), Success: success(-0.17, -0.26, -0.09, bench.FailsMore)},
		{Title: "singapore", Old: old[2], New: new[2], Latency: shift(old[2], new[2], 0.99, 0.91, 1.08, bench.NoDifference), Success: success(0, -0.037, 0.037, bench.NoDifference)},
	}
	return c
}

// streams compares two runs of one streaming node, the new one without a success.
func streams() *bench.Changes {
	c := changes()
	c.Warnings, c.Settings, c.OnlyOld, c.OnlyNew, c.Nodes = nil, nil, nil, nil, c.Nodes[:2]
	c.Old.Header.Stream, c.New.Header.Stream = true, true
	for _, r := range []*bench.Row{c.Nodes[0].Old, c.Nodes[0].New} {
		first := describe(spread(r.OK, r.Latency.P50/3))
		r.TTFT = &first
	}
	c.Nodes[0].TTFT = c.Nodes[0].Latency
	gone := row(c.Nodes[1].New.Node, 20, 0, 1)
	gone.Failures = []bench.Failure{failure("connect", "node", 20, 3.2, "cannot connect")}
	c.Nodes[1].New, c.Nodes[1].Latency = gone, nil
	return c
}

func few() *bench.Changes {
	c := changes()
	c.Warnings, c.Settings, c.OnlyOld, c.OnlyNew, c.Nodes = nil, nil, nil, nil, c.Nodes[2:]
	c.Nodes[0].Latency = &bench.Comparison{Ratio: 1.1, High: math.Inf(1), P: 1, Level: 0.05, Verdict: bench.NoDifference, P50: 1190, ReferenceP50: 1200}
	return c
}

func comparisons() map[string]*bench.Changes {
	return map[string]*bench.Changes{"changes": changes(), "changed-streams": streams(), "few-changes": few()}
}

func ratioChecks() []bench.Check {
	return []bench.Check{check("ratio<1.2", "direct", "1.31", true), check("ratio<1.2", "singapore", "0.99", false)}
}

// TestChanges checks every format of a comparison.
func TestChanges(t *testing.T) {
	all := comparisons()
	all["hostile"] = hostileChanges()
	for name, c := range all {
		for _, width := range []int{60, 80, 120} {
			fits(t, name, width, write(t, Text, c, terminal(width)))
		}
		var report map[string]any
		if err := json.Unmarshal([]byte(write(t, JSON, c, Options{})), &report); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkKeys(t, name, report, "schema old new settings only_old only_new nodes thresholds warnings")
		var suites junitSuites
		err := xml.Unmarshal([]byte(write(t, JUnit, c, Options{Checks: ratioChecks()})), &suites)
		if failures := strings.Count(name, "streams") + 1; err != nil || suites.Tests != len(c.Nodes)+len(c.OnlyNew)+2 || suites.Failures != failures {
			t.Errorf("%s: %v, got %+v, want %d failures of %d", name, err, suites.junitCounts, failures, len(c.Nodes)+len(c.OnlyNew)+2)
		}
	}
	var b bytes.Buffer
	if err := WriteChanges(&b, CSV, changes(), Options{}); err == nil || text.Hint(err) != "use one of text, markdown, json, junit, html" || b.Len() > 0 {
		t.Errorf("a form that a comparison has not: got %v, want an error that lists them", err)
	}
}

func hostileChanges() *bench.Changes {
	c := changes()
	for _, n := range c.Nodes {
		n.Title, n.New.Node.Name, n.Old.Node.Name, n.New.Node.Label = evil, evil, evil, evil
	}
	c.OnlyOld, c.Settings = []string{evil}, []string{evil}
	c.Warnings = []bench.Warning{warning(evil, evil, "only the old run has %s", evil), {Code: evil, Text: evil}}
	return c
}

// TestOnlyNewWithoutSuccess: a node that only the new run has counts for the exit code, and JUnit and JSON show why.
func TestOnlyNewWithoutSuccess(t *testing.T) {
	c := changes()
	c.OnlyNew[0] = row(c.OnlyNew[0].Node, 20, 0, 1)
	for format, want := range map[string]string{
		JUnit: `(?s)failures="1".*name="seoul"[^>]*>\s*<failure [^>]*type="no_success"`,
		JSON:  `(?s)"only_new": \[\s*"seoul"\s*\].*"node": "seoul",.*"old": null,.*"requests": 20,\s*"ok": 0,`,
	} {
		if got := write(t, format, c, Options{}); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: want seoul with no success in 20 requests, got\n%s", format, got)
		}
	}
}

// TestChangesOfBothConnections: the title of a node includes its connection, and no picture repeats it.
func TestChangesOfBothConnections(t *testing.T) {
	c := changes()
	c.Nodes[0].Title, c.Nodes[0].Old.Node.Connection, c.Nodes[0].New.Node.Connection = "direct (reused)", bench.Reused, bench.Reused
	got := write(t, HTML, c, Options{})
	for _, want := range []string{">direct (reused)<", ">direct (reused), old<", ">hongkong, new<"} {
		if strings.Count(got, want) < 2 {
			t.Errorf("got %s only %d times, want it beside a picture and in it", want, strings.Count(got, want))
		}
	}
}

// TestChangesAtARate: a comparison too explains from when latency counts at a fixed rate.
func TestChangesAtARate(t *testing.T) {
	c := streams()
	for rate, want := range map[float64]bool{0: false, 2: true} {
		c.New.Header.Rate = rate
		got := write(t, Markdown, c, Options{Explain: true})
		if strings.Contains(got, "latency and TTFT are measured from the intended start of a request") != want {
			t.Errorf("a rate of %g: got the definition of intended: %v, want %v:\n%s", rate, !want, want, got)
		}
	}
}
