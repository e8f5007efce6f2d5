package limit

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/state"
)

type dueTime struct{ at, arrival time.Duration }

// children starts processes with one task. It returns their output and a function that waits until all have ended.
func children(t *testing.T, n int, task, dir string, numbers ...int) (outs []*bufio.Reader, wait func()) {
	t.Helper()
	var all []*exec.Cmd
	for range n {
		child, out := start(t, task, dir, numbers...)
		all, outs = append(all, child), append(outs, out)
	}
	return outs, func() {
		for _, child := range all {
			if err := child.Wait(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Many processes make reservations and cancel some of them, at any position. The remaining reservations have one slot
// each, at the rate and without a gap.
func TestProcessesShareABucket(t *testing.T) {
	for _, test := range []struct{ processes, each, cancels, burst int }{{8, 24, 10, 1}, {60, 12, 0, 5}} {
		if testing.Short() && test.processes > 8 {
			continue // slow: a second and more
		}
		dir := filepath.Join(t.TempDir(), "limit")
		rate := Rate{1, time.Minute, test.burst}
		first := reserve(t, newTestBucket(t, dir, rate, NewClock()))
		unlock, err := state.Lock(t.Context(), filepath.Join(dir, "go"))
		must(t, err)
		outs, wait := children(t, test.processes, "cancel", dir, rate.Events, rate.Burst, test.each, test.cancels)
		for _, out := range outs {
			if line, err := out.ReadString('\n'); err != nil || line != "cancelled\n" {
				t.Errorf("said %q, %v", line, err)
			}
		}
		unlock()
		dueTimes := []time.Duration{time.Duration(first.first)}
		for _, out := range outs {
			var due, last time.Duration
			for _, err := fmt.Fscanln(out, &due); err == nil; _, err = fmt.Fscanln(out, &due) {
				errorIf(t, due < last, "a process has a reservation at %v behind one at %v", due, last)
				dueTimes, last = append(dueTimes, due), due
			}
		}
		wait()
		slices.Sort(dueTimes)
		equal(t, "reservations", len(dueTimes), 1+test.processes*(test.each-test.cancels))
		conforms(t, rate, dueTimes)
		equal(t, "from the first to the last, without a gap", dueTimes[len(dueTimes)-1]-dueTimes[0], rate.MinDuration(len(dueTimes)))
	}
}

// A process that is killed while it works leaves a complete file behind and gives no reservation back.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	clock := NewClock()
	if _, id := clock.Boottime(); id == "" {
		t.Skip("this machine has no boot id, so its wall's time counts, which may be set during the test")
	}
	var all []dueTime
	for i := range 20 {
		child, out := start(t, "reserve", dir, slow.Events, slow.Burst, 1_000_000)
		var one dueTime
		for range 10 * (i + 1) { // each is killed at another moment
			_, err := fmt.Fscanln(out, &one.at, &one.arrival)
			must(t, err)
			all = append(all, one)
		}
		must(t, child.Process.Kill())
		_ = child.Wait() // killed
		data, err := os.ReadFile(path(dir, ".bucket"))
		if s, ok := decodeQueue(data); err != nil || !ok || arrival(s) < int64(one.arrival) {
			t.Fatalf("killed after %+v, the file holds %q, %v", one, data, err)
		}
		b := newTestBucket(t, dir, slow, clock)
		r := reserve(t, b)
		equal(t, "the next reservation", time.Duration(arrival(b.memory)-r.first), slow.interval())
		all = append(all, dueTime{time.Duration(r.first), time.Duration(arrival(b.memory))})
	}
	// Reservations that were made and not printed are missing, and none appears twice.
	slices.SortFunc(all, func(a, b dueTime) int { return int(a.at - b.at) })
	for i := 1; i < len(all); i++ {
		if step := all[i].at - all[i-1].at; step < slow.interval() || step%slow.interval() != 0 && all[i].arrival != all[i].at+slow.interval() {
			t.Fatalf("two reservations are %v apart", step)
		}
	}
}

// With any number of processes, the budget is exceeded by less than the maximum of one request.
func TestProcessesShareABudget(t *testing.T) {
	const processes, each, budget, worst = 16, 20, 10_000, 130
	dir := t.TempDir()
	outs, wait := children(t, processes, "spend", dir, budget, worst, each)
	spent := 0
	for _, out := range outs {
		text, err := io.ReadAll(out)
		must(t, err)
		spent += strings.Count(string(text), "spent\n")
	}
	wait()
	rows, err := Usage(dir)
	must(t, err)
	fatalIf(t, len(rows) == 0 || len(rows) > 2, "usage: %+v", rows) // two if midnight comes in between
	var requests, tokens int64
	for _, r := range rows {
		requests, tokens = requests+r.Requests, tokens+r.Input+r.Output
		equal(t, "input", r.Input, r.Requests*(worst-1))
		sum := r.Input + r.Output
		errorIf(t, sum >= budget+worst, "%d tokens of %d", sum, budget)
	}
	equal(t, "requests", requests, int64(spent))
	errorIf(t, len(rows) == 1 && tokens < budget,
		"only %d tokens of %d, with %d tries", tokens, budget, processes*each)
}
