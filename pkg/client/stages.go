package client

import (
	"context"
	"errors"
	"time"

	"ferry/pkg/limit"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// retryStage makes attempts, with the waits of the rate limit and of the endpoint's rule, until there is an answer or the rule
// says to stop.
type retryStage struct {
	env  *Env
	next Doer
}

func (s *retryStage) Do(ctx context.Context, call *Call) (*Result, error) {
	e := call.Endpoint
	result := &Result{Node: e.Name, API: e.API, Model: call.Request.Model}
	prepared, err := e.Prepare(call)
	if err != nil {
		return result, &Error{Class: Usage, Node: e.Name, Err: err, Unsent: true}
	}
	if s.env.OnSend != nil {
		s.env.OnSend()
	}
	if s.env.OnRequest != nil {
		s.env.OnRequest(e, prepared)
	}
	ready := *call
	ready.prepared = prepared
	err = s.attempts(ctx, &ready, result)
	if len(result.Attempts) > 0 {
		result.Latency = s.env.Clock.Now().Sub(result.Attempts[0].Started)
	}
	return result, err
}

func (s *retryStage) attempts(ctx context.Context, call *Call, result *Result) error {
	rule := call.Endpoint.Rule
	fresh := false // gateways close a kept connection after a 5xx, without a byte, when the next request fails too
	for i := 1; ; i++ {
		call.number = i
		sending := ctx
		if fresh {
			sending = transport.Fresh(ctx)
		}
		var limited time.Duration
		if call.Endpoint.Limiter != nil {
			var failed *Error
			if limited, failed = s.env.waitForLimit(ctx, call); failed != nil {
				return call.fail(result, failed)
			}
		}
		one, _ := s.next.Do(sending, call) // the attempt has its error
		attempt := one.Attempts[0]
		attempt.Limited = limited
		result.Attempts = append(result.Attempts, attempt)
		result.Answer, result.Body = one.Answer, one.Body
		fresh = attempt.Status >= 500 || attempt.HTTPStatus >= 500
		now := s.env.Clock.Now()
		decision := rule.Decide(attempt.outcome, i, now, s.env.Random())
		waits := decision.Action == retry.Wait
		late := waits && !call.Deadline.IsZero() && !now.Add(decision.Wait).Before(call.Deadline)
		if waits && !late {
			attempt.Wait = decision.Wait
		}
		if s.env.OnAttempt != nil {
			s.env.OnAttempt(attempt, rule.Attempts)
		}
		switch {
		case decision.Action == retry.Done:
			result.Complete = true
			return nil
		case late:
			over := &DeadlineError{Timeout: call.Timeout, Wait: decision.Wait, Last: attempt.Err}
			return call.fail(result, &Error{Class: Timeout, Status: attempt.Status, Err: over})
		case !waits:
			return call.fail(result, &Error{
				Class: attempt.Class, Status: attempt.Status, Err: attempt.Err,
				GaveUp: decision.Action == retry.GiveUp, Asked: decision.Asked,
			})
		}
		result.clip()
		call.Memory.Release()
		pause := Pause{Wait: decision.Wait, Node: call.Endpoint.Name, Attempt: i, Attempts: rule.Attempts, Reason: attempt.Reason()}
		if err := s.env.wait(ctx, pause); err != nil {
			return call.fail(result, stopped(ctx, err))
		}
	}
}

// waitForLimit takes a reservation and waits for it, and returns how long it waited. One that comes too late for the
// deadline is not taken, and one whose wait was stopped is given back.
func (e *Env) waitForLimit(ctx context.Context, call *Call) (time.Duration, *Error) {
	limiter := call.Endpoint.Limiter
	began := e.Clock.Now()
	most := limit.Forever
	if !call.Deadline.IsZero() {
		if most = call.Deadline.Sub(began) - 1; most < 0 {
			return 0, &Error{Class: Timeout, Err: &DeadlineError{Timeout: call.Timeout}}
		}
	}
	reserved, err := limiter.Reserve(ctx, most)
	var late *limit.TooLongError
	switch {
	case errors.As(err, &late):
		return 0, &Error{Class: Limited, Err: late}
	case err != nil:
		return 0, stopped(ctx, err)
	case reserved.Wait <= 0:
		return 0, nil
	}
	pause := Pause{
		Wait: reserved.Wait, Node: call.Endpoint.Name, Attempt: call.number, Attempts: call.Endpoint.Rule.Attempts,
		Limit: limiter.Rate().String(), Reserved: reserved,
	}
	if err := e.wait(ctx, pause); err != nil {
		reserved.Cancel()
		return 0, stopped(ctx, err)
	}
	return e.Clock.Now().Sub(began), nil
}

// Budget is the tokens that an endpoint may use.
type Budget struct {
	Ledger *limit.Ledger
	// NoFolder is why there is no folder for the ledger; nil where there is one or none is wanted.
	NoFolder error
	// Unchecked lets a call be sent that cannot be written down for other processes.
	Unchecked bool
	// Degraded is told why other processes do not see what is counted, as often as that is so.
	Degraded func(why error)
	// OnError is told why a call could not be counted; nothing has failed by it yet.
	OnError func(err error)
}

// Reserve sets apart the most that a call may use. After an error nothing is to be sent.
func (b *Budget) Reserve(ctx context.Context, call *Call) (*limit.Hold, error) {
	reserved, err := b.Ledger.Hold(ctx, EstimateInput(call.Request)+int64(call.Request.MaxTokens), call.Timeout)
	why := b.degraded()
	if err != nil || why == nil {
		return reserved, err
	}
	if !b.Unchecked {
		_ = reserved.Release() // it is in memory alone
		return nil, text.Errorf("make the folder writable, or send without a count by --budget-unchecked",
			"the budget of %s cannot be written down, and nothing was sent: %w", call.Endpoint.Name, why)
	}
	b.Degraded(why)
	return reserved, nil
}

func (b *Budget) degraded() error {
	if b.NoFolder != nil {
		return b.NoFolder
	}
	return b.Ledger.Degraded()
}

// Check fails as Reserve would, and reserves nothing.
func (b *Budget) Check(ctx context.Context, call *Call) error {
	reserved, err := b.Reserve(ctx, call)
	if err != nil {
		return err
	}
	return reserved.Release()
}

// Charge counts what a call used. What the server does not say is counted at the most that it can be.
func (b *Budget) Charge(reserved *limit.Hold, call *Call, result *Result) error {
	defer func() {
		if why := b.degraded(); why != nil {
			b.Degraded(why)
		}
	}()
	var input, output int64
	for _, at := range result.Attempts {
		in, out := at.billed(EstimateInput(call.Request), int64(call.Request.MaxTokens))
		input, output = input+in, output+out
	}
	if input+output == 0 {
		return reserved.Release()
	}
	return reserved.Spend(input, output)
}

// EstimateInput guesses how many tokens a request brings.
func EstimateInput(r wire.Request) int64 {
	n := wire.EstimateTokens(r.System) + wire.EstimateTokens(r.Prompt)
	for _, turn := range r.Turns {
		n += wire.EstimateTokens(turn.Text)
	}
	return int64(n)
}

// budgetStage reserves what a call may use before it, and charges what it used after it.
type budgetStage struct{ next Doer }

func (s *budgetStage) Do(ctx context.Context, call *Call) (*Result, error) {
	b := call.Endpoint.Budget
	if b == nil {
		return s.next.Do(ctx, call)
	}
	reserved, err := b.Reserve(ctx, call)
	if err != nil {
		return &Result{Node: call.Endpoint.Name, API: call.Endpoint.API, Model: call.Request.Model}, err
	}
	result, err := s.next.Do(ctx, call)
	if result.Uncounted = b.Charge(reserved, call, result); result.Uncounted != nil {
		b.OnError(result.Uncounted)
	}
	return result, err
}
