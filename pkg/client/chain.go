// Package client owns the call: a chain of stages, each of which does one job and hands the call to the next. Chain puts
// them together in their order, from the audit log down to the attempt, which sends one request and says how it ended.
// Batches with their files are here too. The package gets endpoints, a clock and a way to wait. It does not print, read a
// configuration or know how bytes travel.
package client

import (
	"context"
	"sync/atomic"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/wire"
)

// Doer carries out one call. A stage is a Doer that knows only the next one.
type Doer interface {
	// Do carries out a call, which it does not change. The result is never nil: it holds what is known, whatever the error.
	// An error is an *Error or a *FailoverError once a request was made, or refused by a limit; any other error says why
	// none could be made.
	Do(ctx context.Context, call *Call) (*Result, error)
}

// Stages say which stages a call has, beside those that every call has. Those for limits and budgets are left out where
// Failover says that no node has one.
type Stages struct {
	Env
	// Failover has the endpoints in their order. Without it a call brings its endpoint, and there is no filter.
	Failover *Failover
	// Filter holds prompts and answers to the lists of blocked words; nil for none.
	Filter *Filter
	// Output shows the answer of a call that has ended and checks it, and gives how the call ended then; nil for none. What
	// shows a stream as it comes is the call's sink.
	Output func(call *Call, result *Result, failed error) error
	// Conversation is the one that the call is a part of; nil for none.
	Conversation *Conversation
	// Audit writes each call into the log; nil for none.
	Audit *AuditLog
}

// Chain puts the stages together, from the innermost to the outermost.
func Chain(s Stages) Doer {
	limits := s.Failover == nil || !s.Failover.Unlimited
	var d Doer = &attemptStage{&s.Env}
	if limits {
		d = &limitStage{&s.Env, d}
	}
	d = &retryStage{env: &s.Env, next: d}
	if limits {
		d = &budgetStage{d}
	}
	if s.Failover != nil {
		d = &failoverStage{s.Failover, s.Clock.Now, d}
	}
	if s.Filter != nil {
		d = &answerFilter{s.Filter, d}
	}
	if s.Output != nil {
		d = &outputStage{s.Output, d}
	}
	if s.Conversation != nil {
		d = &conversationStage{s.Conversation, s.Failover.Candidates[0], d}
	}
	if s.Filter != nil {
		d = &promptFilter{s.Filter, s.Failover.Candidates[0], d}
	}
	if s.Audit != nil {
		d = &auditStage{s.Audit, d}
	}
	return d
}

// outputStage hands the end of a call to the command's own output.
type outputStage struct {
	output func(call *Call, result *Result, failed error) error
	next   Doer
}

func (s *outputStage) Do(ctx context.Context, call *Call) (*Result, error) {
	result, err := s.next.Do(ctx, call)
	return result, s.output(call, result, err)
}

// Call is what is to be done. The stages pass on copies of it, more complete each time.
type Call struct {
	// Request is what is asked. A model "" and 0 tokens are the endpoint's own.
	Request wire.Request
	// NoSystem says that the call has no system prompt, whatever the endpoint's own is.
	NoSystem bool
	Reading  Reading
	// Sink takes the answer as it arrives; nil asks for the whole answer at once.
	Sink Sink
	// AttemptTimeout bounds one attempt, without a wait for a rate limit; 0 is no bound.
	AttemptTimeout time.Duration
	// Deadline ends the call with all its waits; the zero time is none. Timeout is its length, for the error.
	Deadline time.Time
	Timeout  time.Duration
	// Token is the conversation's, for endpoints that are sticky; "" is none.
	Token string
	// Memory is the call's part of what the bodies of several calls may take; nil is no bound beside the body's own.
	Memory *MemoryShare

	// Endpoint is asked. The failover stage chooses it; a call without that stage brings its own.
	Endpoint *Endpoint
	// Remaining counts the endpoints that failover can still ask after this one. An attempt at a whole answer may then
	// take no more than an equal share of the time that is left: one that stalls would leave nothing for them.
	Remaining int

	number   int // of the attempt, from 1
	prepared *Prepared
	// turnAt is the endpoint at whose rate limit the first attempt has its turn already, after it waited so long.
	turnAt *Endpoint
	waited time.Duration
}

// Result is how a call ended, whole or not.
type Result struct {
	// Node, API and Model say who was asked last.
	Node  string
	API   wire.API
	Model string
	// Files went with the prompt.
	Files []*wire.File
	// Answer is whole when the call succeeded and the body was read as an answer; else as far as it came. The text of a
	// stream went to the sink.
	Answer wire.Answer
	// Body is the last attempt's, masked: whole after a success AsBody, as far as it came after a failure.
	Body []byte
	// Attempts has one record an attempt.
	Attempts []*Attempt
	// Latency runs from the start of the first attempt to the end of the last, with the waits between them.
	Latency time.Duration
	// Complete says that the answer is whole and was taken by the stages so far.
	Complete bool
	// Uncounted says why the budget could not be charged; nil where it was.
	Uncounted error
}

// last is the newest attempt, nil before the first.
func (r *Result) last() *Attempt {
	if len(r.Attempts) == 0 {
		return nil
	}
	return r.Attempts[len(r.Attempts)-1]
}

// Reading says how much is asked of a body with status 200.
type Reading int

const (
	// AsAnswer wants an answer with a text.
	AsAnswer Reading = iota
	// AsBody wants what the script wanted: a JSON object with the status 200.
	AsBody
)

// Clock tells the time and waits. Tests bring one that takes no time.
type Clock interface {
	Now() time.Time
	// Sleep waits d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

// Env is what the stages need from outside.
type Env struct {
	Clock Clock
	// Random gives numbers in [0, 1), for jitter.
	Random func() float64
	// Masker hides the keys and other secrets in all that is kept of a reply.
	Masker *guard.Masker
	// UserAgent is sent with each request.
	UserAgent string
	// AfterFunc runs f after d, unless it is stopped before; nil is time.AfterFunc.
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
	// Wait waits instead of Clock.Sleep, for a countdown. It may be nil.
	Wait func(ctx context.Context, p Pause) error
	// Sent is set before the first attempt of a call. It may be nil.
	Sent *atomic.Bool
	// OnStart sees each attempt as it begins, and gives what is to be called when it has ended. It may be nil.
	OnStart func(*Underway) (ended func())
	// OnRequest sees what is going to be sent to an endpoint, and OnAttempt each attempt as it ends. They may be nil.
	OnRequest func(e *Endpoint, p *Prepared)
	OnAttempt func(at *Attempt, attempts int)
}

func (e *Env) wait(ctx context.Context, p Pause) error {
	if e.Wait != nil {
		return e.Wait(ctx, p)
	}
	return p.Sleep(ctx, e.Clock.Sleep)
}

// Pause is a wait between two attempts, or for the rate limit.
type Pause struct {
	// Wait is how long.
	Wait time.Duration
	// Node, Attempt (the one that failed, from 1) and Attempts say where the call is.
	Node              string
	Attempt, Attempts int
	// Reason is what failed, in short.
	Reason string
	// Limit is the rate limit that is waited for, and Attempt then the one that waits; "" between two attempts.
	Limit string
	// Reserved is the reservation at that limit; nil between two attempts.
	Reserved *limit.Reservation
}

// Sleep waits with the given function: for the reservation, which can come sooner than it looked, or for the time.
func (p Pause) Sleep(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	if p.Reserved != nil {
		return p.Reserved.Sleep(ctx, sleep)
	}
	return sleep(ctx, p.Wait)
}
