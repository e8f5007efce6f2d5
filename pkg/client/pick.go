package client

import (
	"context"
	"slices"
	"time"
)

// Readied is how a node did in the race for the first connection.
type Readied struct {
	Node string
	Took time.Duration
	Err  error
}

// picker gives the candidates in the order in which they are asked: their own, or by whose connection is ready first.
type picker struct {
	*Failover
	left    []int // of the candidates, in their order
	running int
	ready   chan readied
}

type readied struct {
	candidate int
	Readied
}

// pick begins to give candidates. With Fastest a connection is made to each one that may be asked first, at the same time.
// Such a connection shows no prompt and no key. The first one's zone is the prompt's, unless Across.
func (f *Failover) pick(ctx context.Context, now func() time.Time) *picker {
	p := &picker{Failover: f, ready: make(chan readied, len(f.Candidates))}
	for n, c := range f.Candidates {
		p.left = append(p.left, n)
		if !f.Fastest || len(f.Candidates) < 2 || c.Zone != f.Candidates[0].Zone && !f.Across {
			continue
		}
		e, err := c.Endpoint(ctx)
		if err != nil {
			continue // it says so when it is asked
		}
		way, ok := e.Transport.(interface {
			Ready(ctx context.Context) error
		})
		if !ok {
			continue
		}
		p.running++
		started := now()
		go func() {
			err := way.Ready(ctx)
			p.ready <- readied{n, Readied{c.Name, now().Sub(started), err}}
		}()
	}
	return p
}

// next gives the next candidate. It waits for the first connection only while no candidate has been given.
func (p *picker) next() (c Candidate, ok bool) {
	for p.running > 0 && len(p.left) > 0 {
		var r readied
		if len(p.left) == len(p.Candidates) {
			r = <-p.ready
		} else {
			select {
			case r = <-p.ready:
			default:
				return p.take(p.left[0]), true
			}
		}
		p.running--
		if p.OnReady != nil {
			p.OnReady(r.Readied)
		}
		if r.Err == nil && slices.Contains(p.left, r.candidate) {
			return p.take(r.candidate), true
		}
	}
	if len(p.left) == 0 {
		return c, false
	}
	return p.take(p.left[0]), true
}

func (p *picker) take(n int) Candidate {
	p.left = slices.DeleteFunc(p.left, func(other int) bool { return other == n })
	return p.Candidates[n]
}
