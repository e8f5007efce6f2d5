package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFailures(t *testing.T) {
	records := rounds(0, 1, 2, 30, 40, 50, 60, 7)
	for i, class := range []string{"reset", "", "timeout", "reset", "timeout", "4xx", "5xx"} {
		records[i].Class, records[i].Detail = class, fmt.Sprint(class, " ", i)
	}
	records[1].Attempts = 2
	r := summary("a", records...).Rows[0]
	var got []string
	for _, f := range r.Failures {
		got = append(got, fmt.Sprintf("%s×%d %s, %g ms: %s", f.Class, f.Count, f.Blame, f.Latency.Mean, f.Detail))
	}
	want := []string{
		"reset×2 node, 20.5 ms: reset 0", "timeout×2 node, 40 ms: timeout 2", "4xx×1 client, 60 ms: 4xx 5", "5xx×1 origin, 7 ms: 5xx 6",
	}
	equal(t, "failures", strings.Join(got, "\n"), strings.Join(want, "\n"))
	equal(t, "requests, successes, at the first attempt", []any{r.Requests, r.OK, r.FirstOK, r.Success, r.FirstSuccess},
		[]any{7, 1, 0, wilson(1, 7), wilson(0, 7)})
}

// The detail of a class is of the earliest failure of all merged runs, whatever their order.
func TestFailuresOfMergedRuns(t *testing.T) {
	failing := func(id string, begins, start time.Duration) *Run {
		h := Header{ID: id, Nodes: nodesOf("a"), Started: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC).Add(begins)}
		return newRun(h, Outcome{Start: start, Latency: time.Second, Class: "reset", Detail: "in run " + id, Attempts: 1})
	}
	first, second := failing("1", 0, time.Minute), failing("2", time.Hour, time.Second)
	for _, runs := range [][]*Run{{first, second}, {second, first}} {
		equal(t, "detail", Summarise(runs).Rows[0].Failures[0].Detail, "in run 1")
	}
}

func TestPhasesAreOfSuccesses(t *testing.T) {
	records := rounds(0, 1, 1, 1)
	for i := range records {
		records[i].Phases = Phases{DNS: time.Duration(i+1) * time.Millisecond, Transfer: time.Second}
	}
	records[2].Class = "reset"
	r := summary("a b", records...)
	equal(t, "phases", r.Rows[0].Phases, PhaseMeans{DNS: 1.5, Transfer: 1000})
	equal(t, "phases of nothing", r.Rows[1].Phases, PhaseMeans{})
}
