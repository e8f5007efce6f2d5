// Package client owns the call: a chain of stages, each of which does one job and passes the call to the next. Chain
// builds it, from the audit log down to the attempt, which sends the request and returns its outcome. The package also
// owns batches and their files. It receives endpoints, a clock and a wait function. It does not print, read
// configuration or open connections.
package client

import (
	"context"
	"sync/atomic"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/wire"
)

// Doer carries out one call. A stage is a Doer that knows only the next Doer.
type Doer interface {
	// Do carries out a call and does not change it. The result is never nil: it has what is known, whatever the error
	// is. If a request failed or the rate limit refused it, the error is an *Error or a *FailoverError. If the budget
	// refused it, it is a *limit.SpentError. Stages.Output may replace the error, also after a request was sent. Any
	// other error is the reason why no request could be sent.
	Do(ctx context.Context, call *Call) (*Result, error)
}

// Stages selects the optional stages of a call. The stages for rate limits and budgets are left out if Failover says
// that no node has a limit or budget.
type Stages struct {
	Env
	// Failover has the endpoints in their order. If it is nil, each call has its own endpoint, and there is no
	// filter and no conversation.
	Failover *Failover
	// Filter checks prompts and answers against the lists of blocked words; nil for none.
	Filter *Filter
	// Output shows and checks the answer at the end of a call, and returns the final error; nil for none. A stream is
	// shown by the call's sink.
	Output func(call *Call, result *Result, failed error) error
	// Conversation is the conversation of the call; nil for none.
	Conversation *Conversation
	// Audit logs each call; nil for none.
	Audit *AuditLog
}

// Chain builds the chain of stages, from the innermost to the outermost. A call passes them in this order: audit, prompt
// filter, conversation, output, answer filter, failover, budget, retry, limit, attempt.
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

// outputStage passes the result of a call to the command's output function.
type outputStage struct {
	output func(call *Call, result *Result, failed error) error
	next   Doer
}

func (s *outputStage) Do(ctx context.Context, call *Call) (*Result, error) {
	result, err := s.next.Do(ctx, call)
	return result, s.output(call, result, err)
}

// Call describes one call. Stages pass on copies with more fields set.
type Call struct {
	// Request is the request to send. An empty Model and 0 MaxTokens mean the endpoint's own.
	Request wire.Request
	// NoSystem says that the call has no system prompt, even if the endpoint has one.
	NoSystem bool
	Reading  Reading
	// Sink receives the answer as it arrives; nil returns the complete answer at the end.
	Sink Sink
	// AttemptTimeout bounds one attempt, without the wait for a rate limit; 0 is no limit. It needs a Deadline.
	AttemptTimeout time.Duration
	// Deadline ends the call including its waits; the zero time is none. Timeout is its duration, for the error
	// message.
	Deadline time.Time
	Timeout  time.Duration
	// Token is the session token, for sticky endpoints; "" is none.
	Token string
	// Memory is the call's share of the memory for bodies; nil means that only the limit of a single body applies.
	Memory *MemoryShare

	// Endpoint is where to send the request. The failover stage sets it; without that stage the caller does.
	Endpoint *Endpoint
	// Remaining is the number of endpoints that failover can still try after this one. An attempt without a sink may
	// then use only an equal share of the remaining time: otherwise an attempt that stalls would leave no time for
	// them.
	Remaining int

	number   int // of the attempt, from 1
	prepared *Prepared
	// waitedAt is the endpoint whose rate limit the first attempt has waited for already; waited is the duration. A
	// batch sets them, because it waits before it starts a call.
	waitedAt *Endpoint
	waited   time.Duration
}

// Result is the outcome of a call, complete or not.
type Result struct {
	// Node, API and Model describe the last endpoint tried.
	Node  string
	API   wire.API
	Model string
	// Files are the files sent with the prompt.
	Files []*wire.File
	// Answer is complete if the call succeeded and the body was read as an answer; otherwise it is what arrived. The
	// text of a stream is passed to the sink instead.
	Answer wire.Answer
	// Body is the masked body of the last attempt: complete after a success AsBody, what arrived after a failure.
	Body []byte
	// Attempts has one record per attempt.
	Attempts []*Attempt
	// Latency is the time from the start of the first attempt to the end of the last, including the waits.
	Latency time.Duration
	// Complete says that the answer is complete, was not withheld and matches the schema. It stays true if the answer
	// fails another check of the output.
	Complete bool
	// Uncounted is the reason why the budget could not be charged; nil if it was.
	Uncounted error
}

// last returns the latest attempt, nil if there is none.
func (r *Result) last() *Attempt {
	if len(r.Attempts) == 0 {
		return nil
	}
	return r.Attempts[len(r.Attempts)-1]
}

// Reading says what a body with status 200 must contain.
type Reading int

const (
	// AsAnswer needs a complete answer, which may be empty.
	AsAnswer Reading = iota
	// AsBody needs what the bash script that ferry replaces needed: a JSON object with status 200.
	AsBody
)

// Clock returns the time and waits. Tests use one that does not really wait.
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until ctx ends, and then returns the error of ctx.
	Sleep(ctx context.Context, d time.Duration) error
}

// Env has what the stages need from outside.
type Env struct {
	Clock Clock
	// Random returns numbers in [0, 1), for jitter.
	Random func() float64
	// Masker hides keys and other secrets in the stored parts of a reply.
	Masker *guard.Masker
	// UserAgent is sent with each request.
	UserAgent string
	// Wait is called instead of Clock.Sleep, for a countdown. It may be nil.
	Wait func(ctx context.Context, p Pause) error
	// Sent is set to true before the first attempt of a call. It may be nil.
	Sent *atomic.Bool
	// OnStart is called at the start of each attempt. The function that it returns is called at the end. It may be nil.
	OnStart func(*ActiveAttempt) (ended func())
	// OnRequest is called with each request before it is sent, OnAttempt at the end of each attempt. They may be nil.
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
	Wait time.Duration
	// Node, Attempt (the failed attempt, from 1) and Attempts describe the state of the call.
	Node              string
	Attempt, Attempts int
	// Reason is the failure in short form.
	Reason string
	// Limit is the rate limit that the call waits for; Attempt is then the waiting attempt. It is "" between two
	// attempts.
	Limit string
	// Reserved is the reservation at the rate limit; nil between two attempts.
	Reserved *limit.Reservation
}

// Sleep waits with the given function: for the reservation, which can be due earlier than first computed, or for Wait.
func (p Pause) Sleep(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	if p.Reserved != nil {
		return p.Reserved.Sleep(ctx, sleep)
	}
	return sleep(ctx, p.Wait)
}
