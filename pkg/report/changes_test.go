package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// changes are two runs: one node slower, one faster that fails more, one as it was, and one in each run alone.
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
			warning(bench.SettingsDiffer, "", "the runs differ in more than time: %s", bench.Settings{"concurrency (4 and 8)"}),
			warning(bench.OnlyOld, "", "only the old run has %s", "tokyo"), warning(bench.OnlyNew, "", "only the new run has %s", "seoul"),
			warning(bench.FreshConnection, "", "in the new run, %s", warning(bench.FreshConnection, "direct",
				"%s meant for a kept connection had to open a new one", bench.Count{N: 2, Noun: "request"})),
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

// streams are two runs of one streaming node, the new one without a success.
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

func writeChanges(t *testing.T, format string, c *bench.Changes, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteChanges(&b, format, c, o); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

func ratioChecks() []bench.Check {
	return []bench.Check{check("ratio<1.2", "direct", "1.31", true), check("ratio<1.2", "singapore", "0.99", false)}
}

func TestGoldenChanges(t *testing.T) {
	pipe := Options{Facts: term.Facts{Plain: true, Width: 80}}
	for name, fixture := range map[string]func() *bench.Changes{"changes": changes, "changed-streams": streams, "few-changes": few} {
		for _, width := range []int{60, 80, 120} {
			golden(t, name+"."+strconv.Itoa(width)+".txt", writeChanges(t, Text, fixture(), terminal(width)))
		}
		pipe.Checks, pipe.Explain = ratioChecks(), true
		golden(t, name+".pipe.txt", writeChanges(t, Text, fixture(), pipe))
		golden(t, name+".zh.txt", writeChanges(t, Text, fixture(), Options{Facts: terminal(80).Facts, Lang: Chinese, Checks: ratioChecks(), Explain: true}))
		golden(t, name+".md", writeChanges(t, Markdown, fixture(), Options{Checks: ratioChecks()}))
		golden(t, name+".json", writeChanges(t, JSON, fixture(), Options{Checks: ratioChecks()}))
		golden(t, name+".xml", writeChanges(t, JUnit, fixture(), Options{Checks: ratioChecks()}))
	}
	_, body, _ := strings.Cut(writeChanges(t, HTML, changes(), Options{Checks: ratioChecks()}), "</style>\n</head>\n")
	golden(t, "changes.html", body)
	golden(t, "changes.colour.txt", writeChanges(t, Text, changes(), Options{Facts: term.Facts{TTY: true, Width: 80}, Checks: ratioChecks()}))
}

// TestChanges holds what every form of a comparison is held to.
func TestChanges(t *testing.T) {
	for name, c := range map[string]*bench.Changes{"changes": changes(), "streams": streams(), "few": few(), "hostile": hostileChanges()} {
		for _, width := range []int{60, 80, 120} {
			for line := range strings.SplitSeq(writeChanges(t, Text, c, terminal(width)), "\n") {
				if w := text.Width(line); w > width {
					t.Errorf("%s at %d has a line of %d: %q", name, width, w, line)
				}
			}
		}
		for _, format := range ChangeFormats() {
			for _, lang := range []string{English, Chinese} {
				got := writeChanges(t, format, c, Options{Lang: lang, Checks: ratioChecks()})
				if at := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) }); at >= 0 {
					t.Errorf("%s as %s has a control character at %d: %q", name, format, at, got[max(0, at-40):at+1])
				}
				for _, bad := range []string{"NaN", "Inf", "%!"} {
					if strings.Contains(got, bad) {
						t.Errorf("%s as %s has %q in\n%s", name, format, bad, got)
					}
				}
			}
		}
		var report map[string]any
		if err := json.Unmarshal([]byte(writeChanges(t, JSON, c, Options{})), &report); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		hold(t, name, report, "schema old new settings only_old only_new nodes thresholds warnings")
		var suites junitSuites
		err := xml.Unmarshal([]byte(writeChanges(t, JUnit, c, Options{Checks: ratioChecks()})), &suites)
		if failures := strings.Count(name, "streams") + 1; err != nil || suites.Tests != len(c.Nodes)+len(c.OnlyNew)+2 || suites.Failures != failures {
			t.Errorf("%s: %v, got %+v, want %d failures of %d", name, err, suites.junitCounts, failures, len(c.Nodes)+len(c.OnlyNew)+2)
		}
	}
	var b bytes.Buffer
	if err := WriteChanges(&b, CSV, changes(), Options{}); err == nil || text.Hint(err) != "it is one of text, markdown, json, junit, html" || b.Len() > 0 {
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

// TestOnlyNewWithoutSuccess: a node that is in the new run alone counts for the exit code, and JUnit and JSON show why.
func TestOnlyNewWithoutSuccess(t *testing.T) {
	c := changes()
	c.OnlyNew[0] = row(c.OnlyNew[0].Node, 20, 0, 1)
	var suites junitSuites
	if err := xml.Unmarshal([]byte(writeChanges(t, JUnit, c, Options{})), &suites); err != nil {
		t.Fatal(err)
	}
	last := suites.Suites[0].Cases[len(c.Nodes)]
	if last.Name != "seoul" || last.Failure == nil || last.Failure.Type != bench.NoSuccess || suites.Failures != 1 {
		t.Errorf("JUnit: got %+v, want the failure of seoul alone", last)
	}
	var report struct {
		Only  []string `json:"only_new"`
		Nodes []struct {
			Node     string
			Old, New *struct{ Requests, OK int }
		}
	}
	if err := json.Unmarshal([]byte(writeChanges(t, JSON, c, Options{})), &report); err != nil {
		t.Fatal(err)
	}
	if n := report.Nodes[len(c.Nodes)]; len(report.Only) != 1 || n.Node != "seoul" || n.Old != nil || n.New == nil || n.New.Requests != 20 || n.New.OK != 0 {
		t.Errorf("JSON: got only_new %v and %+v, want seoul with 0 of 20", report.Only, n)
	}
}

// TestChangesAtARate: from when latency counts at a fixed rate is said of a comparison too.
func TestChangesAtARate(t *testing.T) {
	c := streams()
	for rate, want := range map[float64]bool{0: false, 2: true} {
		c.New.Header.Rate = rate
		got := writeChanges(t, Markdown, c, Options{Explain: true})
		if strings.Contains(got, "latency and TTFT count from when a request was due") != want {
			t.Errorf("a rate of %g: got the definition of intended: %v, want %v:\n%s", rate, !want, want, got)
		}
	}
}

// TestPoints: a difference that is not nothing is not written as 0.
func TestPoints(t *testing.T) {
	for difference, want := range map[float64]string{0: "0", 0.1: "+10", -0.174: "-17.4", 0.0002: "+0.02", -1: "-100", math.NaN(): "–"} {
		if got := points(difference); got != want {
			t.Errorf("%v: got %s, want %s", difference, got, want)
		}
	}
}
