package bench

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestClosedLoop(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			slow := &fake{takes: always(100 * time.Millisecond)}
			fast := &fake{takes: always(10 * time.Millisecond)}
			// The faster node must not run ahead, or it would be measured in other minutes than the slower one.
			fast.takes = func(round int) time.Duration {
				slow.mu.Lock()
				defer slow.mu.Unlock()
				if ahead := round - (len(slow.rounds) - slow.inFlight); ahead >= concurrency {
					t.Errorf("round %d began %d rounds before the slower node had done it", round, ahead)
				}
				return 10 * time.Millisecond
			}
			began := time.Now()
			run := runHere(t, planOf(Header{Requests: 40, Concurrency: concurrency, Seed: 7}, slow, fast))
			equal(t, "rounds of the slower node", roundsOf(run.Series[0]), upTo(40))
			equal(t, "rounds of the faster node", roundsOf(run.Series[1]), upTo(40))
			equal(t, "in flight of both at most", []int{slow.most, max(fast.most, concurrency)}, []int{concurrency, concurrency})
			want := 40 / time.Duration(concurrency) * 100 * time.Millisecond
			equal(t, "took, elapsed", []time.Duration{time.Since(began), run.Elapsed}, []time.Duration{want, want})
		})
	}
}

// The order within a round is random, however long each node takes: the slowest node opens the rounds.
func TestOrderIsShuffled(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		const nodes, rounds = 3, 300
		var mu sync.Mutex
		began := map[int]int{}       // how many nodes began a round
		var places [nodes][nodes]int // in how many rounds each node was first, second and third
		fakes := make([]*fake, nodes)
		for i := range fakes {
			fakes[i] = &fake{takes: func(round int) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				places[i][began[round]]++
				began[round]++
				return time.Duration(1+20*i) * time.Millisecond
			}}
		}
		runPlan(t, planOf(Header{Requests: rounds, Concurrency: concurrency, Seed: 1}, fakes...))
		for i, counts := range places {
			if slices.Min(counts[:]) < 70 {
				t.Errorf("-c %d: of %d rounds, node %d had each place in %v, want at least 70", concurrency, rounds, i, counts)
			}
		}
	}
}

// TestEveryRunEnds makes runs of all kinds. None waits for a round that never begins: the bubble would report a
// deadlock.
func TestEveryRunEnds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		h := Header{Requests: 1 + random.IntN(40), Warmup: random.IntN(3), Concurrency: 1 + random.IntN(30), Seed: uint64(n)}
		switch random.IntN(4) {
		case 0:
			h.Rate = 1 + random.Float64()*200
		case 1:
			h.Duration, h.Timeout = time.Duration(1+random.IntN(300))*time.Millisecond, time.Second
		}
		fakes := make([]*fake, 1+random.IntN(4))
		for i := range fakes {
			slowest, refuses := 1+random.IntN(200), random.IntN(8) == 0
			fakes[i] = &fake{takes: func(round int) time.Duration { return time.Duration((round+7)*31%slowest) * time.Millisecond }}
			if refuses {
				fakes[i].class = func(int) string { return "4xx" }
			}
		}
		run := runPlan(t, planOf(h, fakes...))
		for i, s := range run.Series {
			if asked := s.samples.len(); fakes[i].class == nil && h.Duration == 0 && asked != h.Requests {
				t.Errorf("run %d, %+v: node %d had %d requests, want %d", n, h, i, asked, h.Requests)
			}
		}
	}
}

func TestNonces(t *testing.T) {
	a, b := &fake{takes: always(0)}, &fake{takes: always(0)}
	runPlan(t, planOf(Header{Requests: 500, Warmup: 3, Concurrency: 2, Seed: 99}, a, b))
	lengths, nonces := map[int]bool{}, map[string]bool{}
	for _, n := range slices.Concat(a.nonces, b.nonces) {
		lengths[len(n)], nonces[n] = true, true
	}
	if len(nonces) != 2*503 || len(lengths) != 1 {
		t.Errorf("got %d different nonces of the lengths %v, want %d of one length", len(nonces), lengths, 2*503)
	}
}

func TestWarmUpIsNotCounted(t *testing.T) {
	f := &fake{takes: func(round int) time.Duration {
		if round < 0 {
			return time.Minute
		}
		return time.Second
	}}
	run := runPlan(t, planOf(Header{Requests: 5, Warmup: 2, Concurrency: 1}, f))
	equal(t, "asked for", f.rounds, []int{-2, -1, 0, 1, 2, 3, 4})
	for i, s := range byRound(run.Series[0]) {
		equal(t, "round, latency, start", []any{s.Round, s.Latency, s.Start()}, []any{i, time.Second, time.Duration(i) * time.Second})
	}
	equal(t, "requests", run.Series[0].samples.len(), 5)
}

func TestDuration(t *testing.T) {
	f := &fake{takes: always(300 * time.Millisecond)}
	run := runPlan(t, planOf(Header{Duration: time.Second, Concurrency: 1}, f))
	// The fourth request begins at 0.9 s, and the run waits for it.
	equal(t, "requests, elapsed", []any{run.Series[0].samples.len(), run.Elapsed}, []any{4, 1200 * time.Millisecond})
	// Warm-up rounds are made before, and begin during one second at most.
	f.rounds = nil
	runPlan(t, planOf(Header{Duration: time.Second, Concurrency: 1, Warmup: 9}, f))
	equal(t, "asked for", f.rounds, []int{-9, -8, -7, -6, 0, 1, 2, 3})
}

// The node stalls for one second of ten, at a fixed rate. Requests that began late have waited too.
func TestOpenLoopShowsAStall(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		concurrency         int
		corrected, observed [2]time.Duration // p99, minimum and maximum
	}{
		{200, [2]time.Duration{850 * ms, 1000 * ms}, [2]time.Duration{850 * ms, 1000 * ms}},
		{1, [2]time.Duration{800 * ms, 1100 * ms}, [2]time.Duration{0, 10 * ms}},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			f := &fake{takes: func(int) time.Duration {
				if at := time.Since(began); at >= 5*time.Second && at < 6*time.Second {
					return 6*time.Second - at // every request during the stall waits for its end
				}
				return ms
			}}
			run := runHere(t, planOf(Header{Rate: 100, Duration: 10 * time.Second, Concurrency: test.concurrency}, f))
			var corrected, observed []time.Duration
			for s := range run.Series[0].samples.all() {
				corrected, observed = append(corrected, s.Latency+s.Lag()), append(observed, s.Latency)
			}
			equal(t, "requests", len(corrected), 1000)
			for _, p99 := range []struct {
				of   string
				all  []time.Duration
				want [2]time.Duration
			}{{"corrected", corrected, test.corrected}, {"observed", observed, test.observed}} {
				slices.Sort(p99.all)
				if got := p99.all[989]; got < p99.want[0] || got > p99.want[1] {
					t.Errorf("-c %d: got a %s p99 of %s, want %s", test.concurrency, p99.of, got, p99.want)
				}
			}
		})
	}
}

// jumping is a clock whose wall time is set back an hour in the middle.
type jumping struct{ calls *int }

func (j jumping) Now() time.Time {
	now := time.Now()
	if *j.calls++; *j.calls > 2 {
		return now.Add(-time.Hour).Round(0)
	}
	return now.Round(0)
}

func (j jumping) Sleep(ctx context.Context, d time.Duration) error { return bubble{}.Sleep(ctx, d) }

func TestClockThatJumps(t *testing.T) {
	calls := 0
	p := planOf(Header{Requests: 3, Concurrency: 1}, &fake{takes: always(0)})
	p.Clock = jumping{&calls}
	p.Targets[0] = func(context.Context, Request) Outcome {
		return Outcome{Started: p.Clock.Now(), Latency: -time.Hour, Attempts: 1}
	}
	run := runPlan(t, p)
	for s := range run.Series[0].samples.all() {
		if s.Latency < 0 || s.Start() < 0 {
			t.Errorf("got a latency of %s from %s, want neither below 0", s.Latency, s.Start())
		}
	}
}

// The saved run equals the measured run.
func TestRunIsSaved(t *testing.T) {
	var file bytes.Buffer
	f := &fake{takes: func(round int) time.Duration { return time.Duration(round) * 1234567 * time.Nanosecond }}
	g := &fake{takes: always(time.Millisecond), class: func(round int) string {
		if round%3 == 0 {
			return "5xx"
		}
		return ""
	}}
	p := planOf(Header{Requests: 50, Concurrency: 3}, f, g)
	p.Header.ID, p.Header.Started = "id", time.Now()
	var err error
	if p.Saved, err = NewWriter(&file, p.Header); err != nil {
		t.Fatal(err)
	}
	run := runPlan(t, p)
	read, err := Read(&file, "saved")
	if err != nil {
		t.Fatal(err)
	}
	for i := range run.Series { // requests that end together are stored in any order
		equal(t, run.Series[i].Node.Name, byRound(read.Series[i]), byRound(run.Series[i]))
	}
	equal(t, "elapsed", read.Elapsed, run.Elapsed)
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: always(time.Second), class: func(round int) string {
			if round == 1 {
				return "5xx"
			}
			return ""
		}}
		b := New(planOf(Header{Requests: 100, Concurrency: 1}, f))
		go b.Run(t.Context(), t.Context())
		time.Sleep(3500 * time.Millisecond)
		p := b.Progress()[0]
		equal(t, "done, OK, total, mean", []any{p.Done, p.OK, p.Total, p.Mean}, []any{3, 2, 100, time.Second})
		equal(t, "recent", p.Recent, []float64{1000, math.NaN(), 1000})
		time.Sleep(time.Hour)
	})
}

// A node that cannot keep up does not keep the run going forever, and the requests that were not sent are reported.
func TestOpenLoopGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: always(10 * time.Second)}
		began := time.Now()
		run := runHere(t, planOf(Header{Rate: 10, Duration: 20 * time.Second, Concurrency: 1}, f))
		if took := time.Since(began); took > 70*time.Second {
			t.Errorf("it took %s, want at most 70s", took)
		}
		s := run.Series[0]
		equal(t, "sent and unsent", s.samples.len()+s.Unsent, 200)
		equal(t, "some unsent", s.Unsent > 0, true)
	})
}

// The part of a node ends if it refuses everything or may be sent no more. A request that was never sent is not
// counted, not even as a failure.
func TestEndsOneNode(t *testing.T) {
	for _, tt := range []struct {
		class                  string
		after, warmup, counted int
	}{{"4xx", 0, 0, 1}, {"4xx", 0, 1, 1}, {"unsent", 4, 0, 4}, {"unsent", 4, 1, 3}, {"unsent", 4, 5, 0}} {
		asked := 0
		ends := &fake{takes: always(time.Millisecond), class: func(int) string {
			if asked++; asked > tt.after {
				return tt.class
			}
			return ""
		}}
		works := &fake{takes: always(time.Millisecond)}
		run := runPlan(t, planOf(Header{Requests: 20, Warmup: tt.warmup, Concurrency: 1}, ends, works))
		s := run.Series[0]
		equal(t, "asked, counted, ended", []any{len(ends.rounds), s.samples.len(), s.Ended}, []any{tt.after + 1, tt.counted, tt.class})
		equal(t, "requests of the other", run.Series[1].samples.len(), 20)
	}
}

// A request that is in flight when sending stops after 2.5 s is counted if it ends within 5 s. If it is cancelled, it
// is not counted.
func TestStop(t *testing.T) {
	const half = 500 * time.Millisecond
	two := Header{Requests: 100, Concurrency: 2}
	for _, tt := range []struct {
		header         Header
		request        time.Duration
		abort          bool
		counted        int
		took, measured time.Duration
	}{
		{two, 2 * half, false, 6, 6 * half, 6 * half},
		{two, 2 * half, true, 4, 5 * half, 4 * half},
		{two, time.Hour, false, 0, 15 * half, 0},
		{Header{Rate: 1, Duration: time.Hour, Concurrency: 5}, time.Hour, false, 0, 15 * half, 15 * half},
		{Header{Rate: 0.01, Requests: 5, Concurrency: 5}, half, false, 1, 5 * half, 5 * half},
		{Header{Requests: 9, Warmup: 1, Concurrency: 1}, time.Hour, false, 0, 15 * half, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			sending, stop := context.WithTimeout(t.Context(), 5*half)
			defer stop()
			ctx := t.Context()
			if tt.abort {
				ctx = sending
			}
			began := time.Now()
			run, err := New(planOf(tt.header, &fake{takes: always(tt.request)})).Run(ctx, sending)
			equal(t, "stopped, requests, error, took, elapsed", []any{run.Stopped, run.Series[0].samples.len(), err, time.Since(began), run.Elapsed},
				[]any{"interrupted", tt.counted, nil, tt.took, tt.measured})
		})
	}
}

// The limit on tokens is never exceeded, even if every request in flight costs the maximum.
func TestTokenCap(t *testing.T) {
	for _, c := range []int{1, 5} {
		a, b := &fake{takes: always(time.Second)}, &fake{takes: always(time.Millisecond)}
		p := planOf(Header{Requests: 1000, Warmup: 1, Concurrency: c}, a, b)
		p.MaxTokens, p.PerRequest = 500, 16
		run := runPlan(t, p)
		spent := 10 * (len(a.rounds) + len(b.rounds))
		if least := 500 - 2*c*16 - 2*16; spent > 500 || spent < least {
			t.Errorf("-c %d: got %d tokens spent, want %d to 500", c, spent, least)
		}
		equal(t, "stopped", run.Stopped, "max tokens")
	}
}

func TestPrecisionStopsEarly(t *testing.T) {
	almost := func(round int) time.Duration { return time.Duration(1000+round%7) * time.Millisecond }
	wild := func(round int) time.Duration { return time.Duration(1+round%97*10) * time.Millisecond }
	for _, c := range []struct {
		header      Header
		takes       func(round int) time.Duration
		nodes       int
		stopped     string
		least, most int // requests
	}{
		// The precision is checked while others add samples: for the race detector.
		{Header{Requests: 5000, Concurrency: 8, Precision: 0.05}, always(time.Second), 2, "precision", 0, 5000},
		// A success rate within ±5 points needs some 70 successes in a row.
		{Header{Requests: 5000, Concurrency: 1, Precision: 0.05}, almost, 1, "precision", 30, 200},
		{Header{Requests: 100, Concurrency: 1, Precision: 0.01}, wild, 1, "", 100, 100},
		// At a fixed rate the precision is also checked after each tenth more, from 10 on. 35 successes are within ±5
		// points.
		{Header{Requests: 5000, Rate: 2, Concurrency: 5, Precision: 0.05}, always(time.Millisecond), 1, "precision", 40, 40},
	} {
		run := runPlan(t, planOf(c.header, slices.Repeat([]*fake{{takes: c.takes}}, c.nodes)...))
		if n := run.Series[0].samples.len(); run.Stopped != c.stopped || n < c.least || n > c.most {
			t.Errorf("%+v: got stopped %q after %d requests, want %q after %d to %d",
				c.header, run.Stopped, n, c.stopped, c.least, c.most)
		}
	}
}

// stalling returns a node that stalls in round 3.
func stalling(d time.Duration) *fake {
	return &fake{takes: func(round int) time.Duration {
		if round == 3 {
			return d
		}
		return 100 * time.Millisecond
	}}
}

// A request that stalls delays only its own node. A run with a duration ends at the latest with the timeout of its
// requests.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalls := stalling(time.Hour)
		works := &fake{takes: always(100 * time.Millisecond)}
		p := planOf(Header{Duration: 30 * time.Second, Concurrency: 1}, stalls, works)
		p.Header.Timeout = time.Minute
		told := make(chan string, 10)
		p.Waiting = func(waits []Progress, most time.Duration) {
			told <- fmt.Sprintf("%d of %s for %s", waits[0].InFlight, waits[0].Node.Name, most)
		}
		began := time.Now()
		run := runHere(t, p)
		equal(t, "took", time.Since(began), 30*time.Second+p.Header.Timeout+time.Second)
		equal(t, "requests of the node that stalls, asked and counted", []int{len(stalls.rounds), run.Series[0].samples.len()}, []int{4, 3})
		if got := run.Series[1].samples.len(); got < 190 {
			t.Errorf("got %d requests of the other node, want at least 190", got)
		}
		equal(t, "told", []any{<-told, len(told)}, []any{"1 of a for 1m0s", 0})
	})
}

// TestNoRequestVanishes checks that a node that cannot keep up with a rate has each planned request counted or not sent,
// also if the requests have a short timeout.
func TestNoRequestVanishes(t *testing.T) {
	for _, timeout := range []time.Duration{2 * time.Second, time.Minute} {
		p := planOf(Header{Rate: 10, Duration: 8 * time.Second, Concurrency: 1, Timeout: timeout}, &fake{takes: always(time.Second)})
		s := runPlan(t, p).Series[0]
		if s.samples.len()+s.Unsent != 80 || s.Unsent == 0 {
			t.Errorf("timeout %s: %d requests counted and %d not sent, want 80 in all", timeout, s.samples.len(), s.Unsent)
		}
	}
}

// After a stall the node makes the rounds that it missed, so that each node has as many as planned.
func TestStallIsMadeUpFor(t *testing.T) {
	run := runPlan(t, planOf(Header{Requests: 50, Concurrency: 1}, stalling(time.Minute), &fake{takes: always(100 * time.Millisecond)}))
	equal(t, "rounds of both", []any{roundsOf(run.Series[0]), roundsOf(run.Series[1])}, []any{upTo(50), upTo(50)})
}

// Nodes that are always slow are not treated as stalled.
func TestSlowIsNoStall(t *testing.T) {
	fast := &fake{takes: always(time.Second)}
	slow := &fake{takes: always(9 * time.Second)}
	run := runPlan(t, planOf(Header{Duration: time.Minute, Concurrency: 1}, slow, fast))
	equal(t, "requests of both", []int{run.Series[0].samples.len(), run.Series[1].samples.len()}, []int{7, 7})
}
