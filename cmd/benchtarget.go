package cmd

import (
	"context"
	"errors"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/client"
	"ferry/pkg/wire"
)

// target makes one request of a bench.
func (a *app) target(c *benchPlan, e *endpoint, env client.Env) bench.Target {
	chain := client.Chain(client.Stages{Env: env})
	worst := c.input + c.output // what a request may cost of which the server does not say
	return func(ctx context.Context, r bench.Request) (o bench.Outcome) {
		defer func() {
			if value := recover(); value != nil {
				o = bench.Outcome{Class: "crashed", Detail: a.crashed(value).Error(), Attempts: 1, Billed: worst, Final: true}
			}
		}()
		began := env.Clock.Now()
		call := client.Call{Request: c.request, Timeout: c.timeout, Deadline: began.Add(c.timeout), Memory: c.memory.Share()}
		defer call.Memory.Release()
		call.Request.Prompt = r.Nonce + " " + call.Request.Prompt
		if call.Request.Stream {
			call.Sink = &unread{}
		}
		result, err := chain.Do(ctx, call.To(&e.Endpoint))
		var failed *client.Error
		if err != nil && !errors.As(err, &failed) { // the budget is used up, or cannot be read
			return bench.Outcome{Started: began, Detail: err.Error(), Attempts: 1, Final: ctx.Err() == nil, Cancelled: true}
		}
		o = outcome(result, failed, worst, e.options.Cold)
		if o.Started.IsZero() {
			o.Started = began
		}
		if result.Uncounted != nil {
			o.Final = true // what is used can no longer be counted
		}
		if o.Detail != "" {
			o.Detail = a.redacted(o.Detail)
		}
		return o
	}
}

// outcome is what a bench wants to know of a call.
func outcome(result *client.Result, failed *client.Error, worst int64, cold bool) bench.Outcome {
	attempts := result.Attempts
	if len(attempts) == 0 { // it could not even be encoded, or its turn did not come
		unsent := failed.Class == client.Limited // which says nothing of the node
		return bench.Outcome{
			Class: string(failed.Class), Detail: inWords(*failed), Attempts: 1,
			Final: failed.Class == client.Usage || unsent, Cancelled: failed.Class == client.Cancelled || unsent,
		}
	}
	first, last := attempts[0], attempts[len(attempts)-1]
	o := bench.Outcome{
		Started:  first.Started,
		Latency:  last.Started.Add(last.Latency).Sub(first.Started) - limitedBetween(attempts),
		TTFT:     last.FirstText,
		Phases:   bench.Phases(last.Phases),
		Attempts: len(attempts),
		Fresh:    !cold && !last.Reused,
	}
	if last.FirstText > 0 {
		o.TTFT += last.Started.Sub(first.Started) - limitedBetween(attempts)
	}
	for _, at := range attempts[:len(attempts)-1] {
		o.Earlier = append(o.Earlier, bench.Attempt{Class: string(at.Class), Latency: at.Latency})
		o.Billed += billed(at, worst)
	}
	o.Billed += billed(last, worst)
	if failed != nil {
		o.Class, o.Detail = string(last.Class), inWords(*failed)
		if failed.Class == client.Limited {
			o.Class = string(client.Limited)
		}
		o.Final = failed.Status == 401 || failed.Status == 403 || failed.Class == client.PlainHTTP
		o.Cancelled = failed.Class == client.Cancelled
		if o.Class == "" {
			o.Class = string(failed.Class)
		}
		return o
	}
	if usage := result.Answer.Usage; usage != nil {
		o.OutputTokens = int64(usage.Output)
	}
	o.Class, o.Detail = unanswered(result.Answer)
	return o
}

// unanswered is the class of a whole answer that is no success in a measurement, and says why; "" for any other.
func unanswered(answer wire.Answer) (class, detail string) {
	switch {
	case answer.Ending() == wire.Refused:
		return bench.Refused, "the model declined to answer (" + answer.StopReason + ")"
	case answer.Empty && answer.Thought:
		return bench.Thinking, "the answer has reasoning and no text; --max-tokens allows more"
	case answer.Empty:
		return bench.Empty, "the answer is whole and empty"
	}
	return "", ""
}

// limitedBetween is how long the attempts after the first waited for their turns: the limit is ferry's own, and no part
// of how long the node takes.
func limitedBetween(attempts []*client.Attempt) time.Duration {
	var sum time.Duration
	for _, at := range attempts[1:] {
		sum += at.Limited
	}
	return sum
}

// inWords is a failure without what its row says already.
func inWords(failed client.Error) string {
	failed.Node, failed.GaveUp = "", failed.GaveUp && failed.Attempts > 1
	return failed.Error()
}

// billed is what an attempt counts against the cap on tokens: what the node says, the worst where it may have worked and
// does not say, and nothing where it refused.
func billed(at *client.Attempt, worst int64) int64 {
	var before int64
	if at.Reconnected { // the request that got no answer
		before = worst
	}
	switch {
	case at.Usage != nil:
		return before + at.Usage.Total()
	case at.Err == nil || at.Ambiguous:
		return before + worst
	}
	return before
}

// unread is a sink that drops a stream.
type unread struct{ shown bool }

func (u *unread) Reset()                   {}
func (u *unread) Raw([]byte) error         { return nil }
func (u *unread) Delta(d wire.Delta) error { u.shown = true; return nil }
func (u *unread) Flush() error             { return nil }
func (u *unread) Shown() bool              { return u.shown }
