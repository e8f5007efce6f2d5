package bench

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// bubble is the clock of a synctest bubble: it takes no real time.
type bubble struct{}

func (bubble) Now() time.Time { return time.Now() }

func (bubble) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fake is a node that takes so long for each round.
type fake struct {
	takes func(round int) time.Duration
	class func(round int) string

	mu       sync.Mutex
	inFlight int
	most     int
	rounds   []int
	nonces   []string
}

func (f *fake) target(ctx context.Context, r Request) Outcome {
	f.mu.Lock()
	f.inFlight++
	f.most = max(f.most, f.inFlight)
	f.rounds = append(f.rounds, r.Round)
	f.nonces = append(f.nonces, r.Nonce)
	f.mu.Unlock()
	o := Outcome{Started: time.Now(), Attempts: 1, Billed: 10}
	err := bubble{}.Sleep(ctx, f.takes(r.Round))
	o.Latency = time.Since(o.Started)
	f.mu.Lock()
	f.inFlight--
	f.mu.Unlock()
	if err != nil {
		return Outcome{Cancelled: true}
	}
	if f.class != nil {
		o.Class = f.class(r.Round)
		o.Final = o.Class == "4xx" || o.Class == "unsent"
		o.Cancelled = o.Class == "unsent"
		o.Detail = o.Class
	}
	return o
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

// planOf is a plan for nodes named a, b, c…
func planOf(h Header, fakes ...*fake) Plan {
	p := Plan{Header: h, Clock: bubble{}}
	for i, f := range fakes {
		p.Header.Nodes = append(p.Header.Nodes, Node{Name: string(rune('a' + i)), Connection: Cold, Model: "m"})
		p.Targets = append(p.Targets, f.target)
	}
	return p
}

func runPlan(t *testing.T, p Plan) *Run {
	t.Helper()
	run, err := New(p).Run(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func roundsOf(s *Series) []int {
	var rounds []int
	for sample := range s.All() {
		rounds = append(rounds, int(sample.Round))
	}
	slices.Sort(rounds)
	return rounds
}

func byRound(s *Series) []Sample {
	return slices.SortedFunc(s.All(), func(a, b Sample) int { return int(a.Round) - int(b.Round) })
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
