package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Candidate is one node of the failover order.
type Candidate struct {
	// Name is the name of the node. Zone is its zone, "" if none is set.
	Name, Zone string
	// API and Model are the node's dialect and default model.
	API   wire.API
	Model string
	// Endpoint builds the endpoint. Without Fastest it is called only after all earlier nodes have failed, so that a
	// key is looked up only when it is used. An error means that the node cannot be used.
	Endpoint func(ctx context.Context) (*Endpoint, error)
}

// Failover has the nodes that are tried one after the other until one answers.
type Failover struct {
	// Candidates are in failover order; there is at least one.
	Candidates []Candidate
	// Unlimited says that no candidate has a rate limit or a budget. Chain then leaves out these stages.
	Unlimited bool
	// Across allows failover to a node in another zone.
	Across bool
	// Fastest connects to all candidates at the same time and tries them in the order in which they are ready.
	Fastest bool
	// OnReady is called with each connection result that is known when a candidate is chosen. It may be nil.
	OnReady func(ConnectResult)
	// OnFailover is called with the failure of a node and the next node to try. It may be nil.
	OnFailover func(failed *Error, next Candidate)
	// OnSkip is called for each node that cannot be used, except for the first and the last, which the error reports.
	// It may be nil.
	OnSkip func(skipped Candidate, err error)
}

// failoverStage tries the candidates in order. The result has the attempts of all of them, and the answer and body of
// the last one. If only one candidate was involved, the error is its error, otherwise a *FailoverError.
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
	result, err := s.ask(ctx, call, asked, len(order.remaining))
	over := &FailoverError{}
	for {
		var failed *Error
		if len(order.remaining) == 0 || !errors.As(err, &failed) || !failed.shouldFailOver(result) {
			break
		}
		next := order.next()
		if next.Zone != asked.Zone && !s.Across {
			over.stopAtZone(asked, next)
			break
		}
		if s.OnFailover != nil {
			s.OnFailover(failed, next)
		}
		result.clip()
		call.Memory.Release()
		more, errNext := s.ask(ctx, call, next, len(order.remaining))
		if !callMade(errNext) {
			over.notTried = append(over.notTried, fmt.Sprintf("%s could not be used: %s", next.Name, errNext))
			if s.OnSkip != nil && len(order.remaining) > 0 { // the returned error reports the last one
				s.OnSkip(next, errNext)
			}
			continue
		}
		over.notTried = nil
		over.Before = append(over.Before, failed)
		result, err, asked = withEarlierAttempts(result, more), errNext, next
	}
	if len(over.Before)+len(over.notTried) == 0 {
		return result, err
	}
	return result, over.withLast(err)
}

// ask makes the complete call to a candidate, with all its attempts. remaining is the number of candidates after it.
func (s *failoverStage) ask(ctx context.Context, call *Call, c Candidate, remaining int) (*Result, error) {
	e, err := c.Endpoint(ctx)
	if err != nil {
		return &Result{Node: c.Name, API: c.API, Model: cmp.Or(call.Request.Model, c.Model)}, err
	}
	call = call.To(e)
	call.Remaining = remaining
	return s.next.Do(ctx, call)
}

// To returns a copy of the call for an endpoint, with the endpoint's defaults.
func (call Call) To(e *Endpoint) *Call {
	call.Endpoint = e
	model, known := e.Aliases[call.Request.Model]
	if !known {
		model = cmp.Or(call.Request.Model, e.Model)
	}
	call.Request.Model = model
	if !call.NoSystem {
		call.Request.System = cmp.Or(call.Request.System, e.System)
	}
	call.Request.MaxTokens = cmp.Or(call.Request.MaxTokens, e.MaxTokens)
	call.Request.Stream = call.Request.Stream || call.Sink != nil || e.StreamOnly
	if len(e.Params) > 0 {
		own := call.Request.Params
		call.Request.Params = maps.Clone(e.Params)
		maps.Copy(call.Request.Params, own)
	}
	return &call
}

// callMade reports whether a call was made: it succeeded, or failed with an *Error.
func callMade(err error) bool {
	var failed *Error
	return err == nil || errors.As(err, &failed)
}

// withEarlierAttempts returns r with the attempts of before put first.
func withEarlierAttempts(before, r *Result) *Result {
	r.Attempts = slices.Concat(before.Attempts, r.Attempts)
	if first, last := before.Attempts, r.last(); len(first) > 0 {
		r.Latency = last.Started.Add(last.Latency).Sub(first[0].Started)
	}
	return r
}

// shouldFailOver reports whether the next node is tried after this failure: the node gave up, did not answer, or has a
// fault of its own. It returns false if another node would fail too, if the user must act (certificate, key, redirect), and
// if a part of an answer arrived, which is billed.
func (e *Error) shouldFailOver(result *Result) bool {
	last := result.last()
	var over *DeadlineError
	switch {
	case e.Class == Limited:
		return true // the limit of another node may allow a request in time
	case last == nil || e.Class == Cancelled:
		return false
	case errors.As(e.Err, &over):
		return over.Wait > 0 || over.Share > 0 && result.Answer.Text == "" // otherwise the time of all nodes has ended
	case last.outcome.Kind == retry.Final:
		return false
	case e.GaveUp:
		return true
	}
	switch last.outcome.Kind {
	case retry.Unreachable:
		return true
	case retry.Rejected:
		return last.Status >= 500 || last.Status == 429 || last.outcome.SpendCap // a cap of one node's key
	case retry.NotAnAnswer:
		return e.Class != Truncated
	}
	return false
}

// Summary describes the failure of one node in a few words: "gave up after 3 attempts (503)".
func (e *Error) Summary() string {
	reason := string(e.Class)
	if e.Status > 0 && e.Status != 200 {
		reason = fmt.Sprint(e.Status)
	}
	switch {
	case e.GaveUp && e.RequestedWait > 0:
		return fmt.Sprintf("gave up (%s, asked to wait %s)", reason, formatWait(e.RequestedWait))
	case e.GaveUp:
		return fmt.Sprintf("gave up after %s (%s)", text.Count(e.Attempts, "attempt"), reason)
	}
	return fmt.Sprintf("failed (%s)", reason)
}

// FailoverError is the reason why none of several nodes answered.
type FailoverError struct {
	// Before are the failures that led to the next node. Last is the final failure.
	Before []*Error
	Last   *Error

	notTried []string // each with its reason
	across   bool     // --across would have tried the next node
}

// GaveUp reports whether at least one node gave up.
func (e *FailoverError) GaveUp() bool {
	return e.Last.GaveUp || slices.ContainsFunc(e.Before, func(b *Error) bool { return b.GaveUp })
}

func (e *FailoverError) Error() string {
	text := e.Last.Error()
	if len(e.Before) > 0 {
		before := make([]string, len(e.Before))
		for i, b := range e.Before {
			before[i] = b.Node + " " + b.Summary()
		}
		text += "; before it " + strings.Join(before, ", ")
	}
	for _, one := range e.notTried {
		text += "; " + one
	}
	return text
}

// Unwrap returns the last failure.
func (e *FailoverError) Unwrap() error { return e.Last }

// Hint returns advice for the user, "" for none.
func (e *FailoverError) Hint() string {
	if e.across {
		return "--across, or failover: {across: true} in the file, allows failover to another zone"
	}
	return e.Last.Hint()
}

// stopAtZone records that the next node is in another zone. A node without a zone may be anywhere.
func (e *FailoverError) stopAtZone(asked, next Candidate) {
	zone := func(c Candidate) string {
		if c.Zone == "" {
			return "no zone"
		}
		return "zone " + c.Zone
	}
	e.across = true
	e.notTried = append(e.notTried, fmt.Sprintf("%s was not tried: it has %s, %s has %s", next.Name, zone(next), asked.Name, zone(asked)))
}

// withLast returns e with err, the error of the last call, as the last failure. If err is not an *Error, it returns err.
func (e *FailoverError) withLast(err error) error {
	if errors.As(err, &e.Last) {
		for _, before := range e.Before {
			e.Last.Unsent = e.Last.Unsent && before.Unsent
		}
		return e
	}
	return err
}

// ConnectResult is the result of one node in the race for the first connection.
type ConnectResult struct {
	Node string
	Took time.Duration
	Err  error
}

// picker returns the candidates in the order in which to try them: failover order, or by the first ready connection.
type picker struct {
	*Failover
	remaining []int // indexes of the candidates, in order
	running   int
	ready     chan candidateResult
}

type candidateResult struct {
	candidate int
	ConnectResult
}

// pick starts the selection of candidates. With Fastest it connects to every candidate that can be first, at the same
// time. These connections send no prompt and no key. Without Across, these are only the candidates in the zone of the
// first one.
func (f *Failover) pick(ctx context.Context, now func() time.Time) *picker {
	p := &picker{Failover: f, ready: make(chan candidateResult, len(f.Candidates))}
	for n, c := range f.Candidates {
		p.remaining = append(p.remaining, n)
		if !f.Fastest || c.Zone != f.Candidates[0].Zone && !f.Across {
			continue
		}
		e, err := c.Endpoint(ctx)
		if err != nil {
			continue // reported when it is used
		}
		connector, ok := e.Transport.(interface {
			Ready(ctx context.Context) error
		})
		if !ok {
			continue
		}
		p.running++
		started := now()
		go func() {
			err := connector.Ready(ctx)
			p.ready <- candidateResult{n, ConnectResult{c.Name, now().Sub(started), err}}
		}()
	}
	return p
}

// next returns the next remaining candidate. It waits for a connection only before the first candidate.
func (p *picker) next() Candidate {
	chosen := 0 // index into remaining
	for p.running > 0 && (len(p.remaining) == len(p.Candidates) || len(p.ready) > 0) {
		r := <-p.ready
		p.running--
		if p.OnReady != nil {
			p.OnReady(r.ConnectResult)
		}
		if n := slices.Index(p.remaining, r.candidate); r.Err == nil && n >= 0 {
			chosen = n
			break
		}
	}
	c := p.Candidates[p.remaining[chosen]]
	p.remaining = slices.Delete(p.remaining, chosen, chosen+1)
	return c
}
