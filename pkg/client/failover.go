package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Candidate is one node of a failover order.
type Candidate struct {
	// Name is the node's, and Zone where it is, "" where that was not said.
	Name, Zone string
	// API and Model are what it speaks, and is asked for where a call does not say.
	API   wire.API
	Model string
	// Endpoint readies the node. It is not called before the nodes in front of it have given up, so that what it needs, a
	// key above all, is looked up only where it is used. An error says that the node cannot be asked.
	Endpoint func(ctx context.Context) (*Endpoint, error)
}

// Failover is the nodes that are asked one after the other until one answers.
type Failover struct {
	// Candidates are in their order; there is at least one.
	Candidates []Candidate
	// Unlimited says that no candidate has a rate limit or a budget: the stages for these are left out.
	Unlimited bool
	// Across lets a prompt go on to a node in another zone.
	Across bool
	// Fastest connects to all candidates at once and asks them in the order in which they are connected.
	Fastest bool
	// OnReady sees each connection that is ready, or failed, while no candidate has been asked. It may be nil.
	OnReady func(Readied)
	// OnHandover sees each node that failed, and the one that is asked next. It may be nil.
	OnHandover func(failed *Error, next Candidate)
	// OnSkip sees each node but the first that could not be asked. It may be nil.
	OnSkip func(skipped Candidate, err error)
}

// failoverStage asks the candidates. The result has the attempts of all, and the answer and the body of the last one
// asked. The error comes from the only candidate that had a part in it, or is a *FailoverError.
type failoverStage struct {
	*Failover
	now  func() time.Time
	next Doer
}

func (s *failoverStage) Do(ctx context.Context, call *Call) (*Result, error) {
	if len(s.Candidates) == 1 {
		return s.ask(ctx, call, s.Candidates[0], 0)
	}
	racing, end := context.WithCancel(ctx)
	defer end()
	order := s.pick(racing, s.now)
	asked := order.next()
	result, err := s.ask(ctx, call, asked, len(order.left))
	over := &FailoverError{}
	for {
		var failed *Error
		if len(order.left) == 0 || !errors.As(err, &failed) || !failed.handsOver(result) {
			break
		}
		next := order.next()
		if next.Zone != asked.Zone && !s.Across {
			over.stop(asked, next)
			break
		}
		if s.OnHandover != nil {
			s.OnHandover(failed, next)
		}
		result.clip()
		call.Memory.Release()
		more, errNext := s.ask(ctx, call, next, len(order.left))
		if !isCall(errNext) {
			over.notAsked = append(over.notAsked, fmt.Sprintf("%s could not be asked: %s", next.Name, errNext))
			if s.OnSkip != nil && len(order.left) > 0 { // of the last one the error tells
				s.OnSkip(next, errNext)
			}
			continue
		}
		over.notAsked = nil
		over.Before = append(over.Before, failed)
		result, err, asked = after(result, more), errNext, next
	}
	if len(over.Before)+len(over.notAsked) == 0 {
		return result, err
	}
	return result, over.endedBy(err)
}

// ask makes the whole call to a candidate, with all its attempts. So many candidates remain.
func (s *failoverStage) ask(ctx context.Context, call *Call, c Candidate, remaining int) (*Result, error) {
	e, err := c.Endpoint(ctx)
	if err != nil {
		return &Result{Node: c.Name, API: c.API, Model: cmp.Or(call.Request.Model, c.Model)}, err
	}
	call = call.To(e)
	call.Remaining = remaining
	return s.next.Do(ctx, call)
}

// isCall reports whether a call was made: it succeeded or failed as calls do.
func isCall(err error) bool {
	var failed *Error
	return err == nil || errors.As(err, &failed)
}

// after is a result with the attempts of the nodes before it.
func after(before, r *Result) *Result {
	r.Attempts = slices.Concat(before.Attempts, r.Attempts)
	if first, last := before.Attempts, r.last(); len(first) > 0 && len(r.Attempts) > len(first) {
		r.Latency = last.Started.Add(last.Latency).Sub(first[0].Started)
	}
	return r
}

// handsOver reports whether the next node is asked after this failure: the node gave up, or did not answer, or has a
// fault of its own. What would fail elsewhere too, what a person has to look into (a certificate, a key, a redirect) and
// what was paid for and came in part is not asked for again.
func (e *Error) handsOver(result *Result) bool {
	last := result.last()
	var over *DeadlineError
	switch {
	case last == nil || e.Class == Cancelled:
		return false
	case errors.As(e.Err, &over):
		return over.Wait > 0 || over.Share > 0 // else the time of all nodes is over
	case last.outcome.Kind == retry.Final:
		return false
	case e.GaveUp:
		return true
	}
	switch last.outcome.Kind {
	case retry.Unreachable:
		return true
	case retry.Rejected:
		return last.Status >= 500 || last.Status == 429 || last.outcome.SpendCap // it belongs to one node's key
	case retry.NotAnAnswer:
		return e.Class != Truncated
	}
	return false
}

// Ending says in few words how it ended for a node: "gave up after 3 attempts (503)".
func (e *Error) Ending() string {
	reason := string(e.Class)
	if e.Status > 0 && e.Status != 200 {
		reason = fmt.Sprint(e.Status)
	}
	switch {
	case e.GaveUp && e.Asked > 0:
		return fmt.Sprintf("gave up (%s, and to wait %s)", reason, spoken(e.Asked))
	case e.GaveUp:
		return fmt.Sprintf("gave up after %s (%s)", text.Count(e.Attempts, "attempt"), reason)
	}
	return fmt.Sprintf("failed (%s)", reason)
}

// FailoverError says why no node of several answered.
type FailoverError struct {
	// Before are the failures that handed over, and Last is the one at which it ended.
	Before []*Error
	Last   *Error

	notAsked []string // each with the reason
	across   bool     // --across would have asked
}

// GaveUp reports whether any of the nodes gave up, rather than failed.
func (e *FailoverError) GaveUp() bool {
	return e.Last.GaveUp || slices.ContainsFunc(e.Before, func(b *Error) bool { return b.GaveUp })
}

func (e *FailoverError) Error() string {
	text := e.Last.Error()
	if len(e.Before) > 0 {
		before := make([]string, len(e.Before))
		for i, b := range e.Before {
			before[i] = b.Node + " " + b.Ending()
		}
		text += "; before it " + strings.Join(before, ", ")
	}
	for _, one := range e.notAsked {
		text += "; " + one
	}
	return text
}

// Unwrap returns the last failure.
func (e *FailoverError) Unwrap() error { return e.Last }

// Hint tells what to do about it, "" where there is nothing to say.
func (e *FailoverError) Hint() string {
	if e.across {
		return "--across, or failover: {across: true} in the file, lets a prompt go on in another zone"
	}
	return e.Last.Hint()
}

// stop notes that the next node is in another zone. A node that does not say where it is may be anywhere.
func (e *FailoverError) stop(asked, next Candidate) {
	zone := func(c Candidate) string {
		if c.Zone == "" {
			return "no zone"
		}
		return "zone " + c.Zone
	}
	e.across = true
	e.notAsked = append(e.notAsked, fmt.Sprintf("%s was not asked: it has %s, %s has %s", next.Name, zone(next), asked.Name, zone(asked)))
}

// endedBy makes err, with which the order ended, the last failure.
func (e *FailoverError) endedBy(err error) error {
	if errors.As(err, &e.Last) {
		for _, before := range e.Before {
			e.Last.Unsent = e.Last.Unsent && before.Unsent
		}
		return e
	}
	return err
}

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
		if !f.Fastest || c.Zone != f.Candidates[0].Zone && !f.Across {
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

// next gives the next of the candidates that are left. It waits for the first connection only while no candidate has been
// given.
func (p *picker) next() Candidate {
	chosen := 0 // of those left
	for p.running > 0 && (len(p.left) == len(p.Candidates) || len(p.ready) > 0) {
		r := <-p.ready
		p.running--
		if p.OnReady != nil {
			p.OnReady(r.Readied)
		}
		if n := slices.Index(p.left, r.candidate); r.Err == nil && n >= 0 {
			chosen = n
			break
		}
	}
	c := p.Candidates[p.left[chosen]]
	p.left = slices.Delete(p.left, chosen, chosen+1)
	return c
}
