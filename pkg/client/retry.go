package client

import (
	"context"
	"errors"
	"sync"

	"ferry/pkg/retry"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// retryStage makes attempts, with the waits of the endpoint's rule, until an attempt succeeds or the rule stops.
type retryStage struct {
	env  *Env
	next Doer
	// streamOnly has the models, by endpoint, that answer only as a stream.
	streamOnly sync.Map
}

type endpointModel struct {
	*Endpoint
	model string
}

func (s *retryStage) Do(ctx context.Context, call *Call) (*Result, error) {
	e := call.Endpoint
	result := &Result{Node: e.Name, API: e.API, Model: call.Request.Model, Files: call.Request.Files}
	_, streamOnly := s.streamOnly.Load(endpointModel{e, call.Request.Model})
	call, err := s.encode(*call, streamOnly)
	if err != nil {
		return result, err
	}
	if s.env.Sent != nil {
		s.env.Sent.Store(true)
	}
	err = s.attempts(ctx, call, result)
	if len(result.Attempts) > 0 {
		result.Latency = s.env.Clock.Now().Sub(result.Attempts[0].Started)
	}
	return result, err
}

// encode returns the call with its encoded request. asStream makes it a request for a stream.
func (s *retryStage) encode(call Call, asStream bool) (*Call, error) {
	call.Request.Stream = call.Request.Stream || asStream
	var err error
	if call.prepared, err = call.Endpoint.Prepare(&call); err != nil {
		return nil, &Error{Class: Usage, Node: call.Endpoint.Name, Err: err, Unsent: true}
	}
	if s.env.OnRequest != nil {
		s.env.OnRequest(call.Endpoint, call.prepared)
	}
	return &call, nil
}

func (s *retryStage) attempts(ctx context.Context, call *Call, result *Result) error {
	rule := call.Endpoint.Rule
	fresh := false // after a 5xx, some gateways close a reused connection without a byte if the next request fails too
	for i := 1; ; i++ {
		call.number = i
		sending := ctx
		if fresh {
			sending = transport.Fresh(ctx)
		}
		one, err := s.next.Do(sending, call)
		var failed *Error
		if len(one.Attempts) == 0 && errors.As(err, &failed) { // stopped by the rate limit
			return call.fail(result, failed)
		}
		attempt := one.Attempts[0]
		result.Attempts = append(result.Attempts, attempt)
		result.Answer, result.Body = one.Answer, one.Body
		fresh = attempt.Status >= 500 || attempt.HTTPStatus >= 500
		var refused *wire.APIError
		if !call.Request.Stream && errors.As(attempt.Err, &refused) && refused.OnlyStreams() { // once, not counted
			attempt.StreamOnly = true
			if s.env.OnAttempt != nil {
				s.env.OnAttempt(attempt, rule.Attempts)
			}
			if call, err = s.encode(*call, true); err != nil {
				return err
			}
			s.streamOnly.Store(endpointModel{call.Endpoint, call.Request.Model}, true)
			i--
			continue
		}
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
				GaveUp: decision.Action == retry.GiveUp, RequestedWait: decision.RequestedWait,
			})
		}
		result.clip()
		call.Memory.Release()
		pause := Pause{Wait: decision.Wait, Node: call.Endpoint.Name, Attempt: i, Attempts: rule.Attempts, Reason: attempt.Reason()}
		if err := s.env.wait(ctx, pause); err != nil {
			return call.fail(result, waitError(ctx, err))
		}
	}
}
