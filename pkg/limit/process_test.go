package limit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/state"
)

type turn struct{ at, arrival time.Duration }

// readTurns reads what takeTurns printed.
func readTurns(t *testing.T, out *bufio.Reader) []turn {
	t.Helper()
	var all []turn
	for {
		var one turn
		_, err := fmt.Fscanln(out, &one.at, &one.arrival)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// Many processes at once get every turn exactly once, as far apart as the rate says. Nobody waits: the turns lie ahead
// of time, since a rate of 50/min is slower than the processes are.
func TestProcessesShareABucket(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a second of a real limit, by many processes")
	}
	const processes, each = 60, 12
	for _, rate := range []Rate{slow, {600, time.Minute, 5}} {
		dir := t.TempDir()
		var wait []func() error
		var outs []*bufio.Reader
		for range processes {
			child, out := start(t, "reserve", dir, rate, rate.Burst, each)
			wait, outs = append(wait, child.Wait), append(outs, out)
		}
		var all []turn
		for i, out := range outs {
			mine := readTurns(t, out)
			if !slices.IsSortedFunc(mine, func(a, b turn) int { return int(a.at - b.at) }) {
				t.Error("a process has its turns out of order")
			}
			all = append(all, mine...)
			if err := wait[i](); err != nil {
				t.Error(err)
			}
		}
		equal(t, "turns", len(all), processes*each)
		checkTurns(t, rate, all)
	}
}

// checkTurns holds turns, with the states after them, to a rate.
func checkTurns(t *testing.T, rate Rate, all []turn) {
	t.Helper()
	slices.SortFunc(all, func(a, b turn) int { return int(a.arrival - b.arrival) })
	for i := 1; i < len(all); i++ {
		step := all[i].arrival - all[i-1].arrival
		// At the start the processes may be slower than the rate, and then a turn is not taken.
		if step != rate.interval() && (step < rate.interval() || all[i].at+rate.interval() != all[i].arrival) {
			t.Fatalf("the states after turns %d and %d are %v apart", i, i+1, step)
		}
	}
	for i := range all {
		if j := i + rate.Burst; j < len(all) && all[j].at-all[i].at < rate.interval() {
			t.Fatalf("turns %d to %d are %v apart: more than a burst of %d", i+1, j+1, all[j].at-all[i].at, rate.Burst)
		}
		for j := i + 1; j < len(all); j++ {
			window := all[j].at - all[i].at
			if most := rate.Burst + int(window/rate.interval()); j-i+1 > most {
				t.Fatalf("%d turns in %v, where %d are allowed", j-i+1, window, most)
			}
		}
	}
}

// Many processes that take turns and give some of them back, wherever they stand: what is left has one turn each, without
// a gap.
func TestProcessesCancel(t *testing.T) {
	const processes, each, cancels = 8, 24, 10
	dir := filepath.Join(t.TempDir(), "limit")
	rate := Rate{1, time.Minute, 1}
	reserve(t, newTestBucket(t, dir, rate, NewClock()))
	unlock, err := state.Lock(t.Context(), filepath.Join(dir, "go"))
	if err != nil {
		t.Fatal(err)
	}
	var wait []func() error
	var outs []*bufio.Reader
	for range processes {
		child, out := start(t, "cancel", dir, rate, rate.Burst, each, cancels)
		wait, outs = append(wait, child.Wait), append(outs, out)
	}
	for _, out := range outs {
		if line, err := out.ReadString('\n'); err != nil || line != "cancelled\n" {
			t.Errorf("said %q, %v", line, err)
		}
	}
	unlock()
	var turns []time.Duration
	for i, out := range outs {
		for {
			var turn time.Duration
			if _, err := fmt.Fscanln(out, &turn); err != nil {
				break
			}
			turns = append(turns, turn)
		}
		if err := wait[i](); err != nil {
			t.Error(err)
		}
	}
	equal(t, "turns", len(turns), processes*(each-cancels))
	slices.Sort(turns)
	for i := 1; i < len(turns); i++ {
		if step := turns[i] - turns[i-1]; step != rate.interval() {
			t.Fatalf("turns %d and %d are %v apart, want %v", i, i+1, step, rate.interval())
		}
	}
}

// A process that is killed in the midst of it leaves a whole file behind, and takes no turn back.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	clock := NewClock()
	if _, id := clock.Boottime(); id == "" {
		t.Skip("this machine has no boot id, so its wall's time counts, which may be set during the test")
	}
	var all []turn
	for i := range 20 {
		child, out := start(t, "reserve", dir, slow, 1, 1_000_000)
		var one turn
		for range 10 * (i + 1) { // each is killed at another moment
			if _, err := fmt.Fscanln(out, &one.at, &one.arrival); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
		data, err := os.ReadFile(path(dir, ".bucket"))
		if s, ok := decodeQueue(data); err != nil || !ok || arrival(s) < int64(one.arrival) {
			t.Fatalf("killed after %+v, the file holds %q, %v", one, data, err)
		}
		b := newTestBucket(t, dir, slow, clock)
		r := reserve(t, b)
		equal(t, "the next turn", time.Duration(arrival(b.memory)-r.first), slow.interval())
		all = append(all, turn{time.Duration(r.first), time.Duration(arrival(b.memory))})
	}
	// Turns that were taken and not printed are missing, and none is there twice.
	slices.SortFunc(all, func(a, b turn) int { return int(a.at - b.at) })
	for i := 1; i < len(all); i++ {
		if step := all[i].at - all[i-1].at; step < slow.interval() || step%slow.interval() != 0 && all[i].arrival != all[i].at+slow.interval() {
			t.Fatalf("two turns are %v apart", step)
		}
	}
}

// The budget is never passed by as much as one request's worst, however many processes there are.
func TestProcessesShareABudget(t *testing.T) {
	const processes, each, budget, worst = 16, 20, 10_000, 130
	dir := t.TempDir()
	var wait []func() error
	var outs []*bufio.Reader
	for range processes {
		child, out := start(t, "spend", dir, budget, worst, each)
		wait, outs = append(wait, child.Wait), append(outs, out)
	}
	spent := 0
	for i, out := range outs {
		text, err := io.ReadAll(out)
		if err := errors.Join(err, wait[i]()); err != nil {
			t.Error(err)
		}
		spent += strings.Count(string(text), "spent\n")
	}
	rows, err := Usage(dir)
	if err != nil || len(rows) == 0 || len(rows) > 2 { // two when midnight comes in between
		t.Fatalf("usage: %+v, %v", rows, err)
	}
	var requests, tokens int64
	for _, r := range rows {
		requests, tokens = requests+r.Requests, tokens+r.Input+r.Output
		equal(t, "input", r.Input, r.Requests*(worst-1))
		if sum := r.Input + r.Output; sum >= budget+worst {
			t.Errorf("%d tokens of %d", sum, budget)
		}
	}
	equal(t, "requests", requests, int64(spent))
	if len(rows) == 1 && tokens < budget {
		t.Errorf("only %d tokens of %d, with %d tries", tokens, budget, processes*each)
	}
}

// A lock whose holder was killed is free: nobody waits for it, and the bucket stays shared.
func TestKilledHolder(t *testing.T) {
	dir := t.TempDir()
	b := newTestBucket(t, dir, bursty, newFakeClock())
	equal(t, "before", waits(t, b, 6), "0s 0s 0s 0s 0s 1.2s")
	child, out := start(t, "lock", dir)
	if line, err := out.ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	type result struct {
		turn *Reservation
		err  error
	}
	got := make(chan result, 1)
	go func() {
		r, err := b.Reserve(t.Context(), Forever)
		got <- result{r, err}
	}()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	r := <-got
	if r.err != nil || b.Degraded() != nil || r.turn.Wait != 2400*time.Millisecond {
		t.Errorf("got %+v, %v, %v", r.turn, r.err, b.Degraded())
	}
}

// Of 64 who want a turn of 50/min at once, 13 have it in ten seconds with a burst of 5, in the order in which they
// reserved, and setting the clock back gives nobody an earlier one.
func TestSixtyFourTurns(t *testing.T) {
	for _, back := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		for _, id := range []string{"boot-1", ""} {
			c := newFakeClock()
			c.id = id
			dir := t.TempDir()
			var passed, last time.Duration // since the start, by a clock that nobody sets
			early := 0
			for i := range 64 {
				if i == 32 {
					c.set(func(c *fakeClock) { c.wall = c.wall.Add(-back) })
				}
				turn := passed + reserve(t, newTestBucket(t, dir, bursty, c)).Wait
				if turn < last {
					t.Errorf("set back by %v: turn %d comes at %v, before the one at %v", back, i+1, turn, last)
				}
				if turn < 10*time.Second {
					early++
				}
				last = turn
				c.pass(10 * time.Millisecond)
				passed += 10 * time.Millisecond
			}
			equal(t, fmt.Sprintf("turns in ten seconds, set back by %v", back), early, 13)
		}
	}
}
