package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/limit"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Bench makes the requests of a benchmark.
type Bench struct {
	Env
	// Request is the request to send. Each prompt gets its own number as a prefix.
	Request wire.Request
	// RequestTimeout bounds each request with its retries. If the node has a rate limit, RequestTimeout bounds each
	// attempt, and Timeout bounds the request with its retries and its waits for the rate limit.
	Timeout, RequestTimeout time.Duration
	// Tokens is the token count of an attempt if the node reports none.
	Tokens int64
	// Memory is shared by all requests in flight.
	Memory *Memory
	// Redact removes secrets from failure messages.
	Redact func(string) string
	// Crashed reports a panic in a request and returns it as an error.
	Crashed func(value any) error
}

// Target returns a function that sends requests to an endpoint. cold says that each request uses a new connection.
func (b *Bench) Target(e *Endpoint, cold bool) bench.Target {
	chain := Chain(Stages{Env: b.Env})
	return func(ctx context.Context, r bench.Request) (o bench.Outcome) {
		defer func() {
			if value := recover(); value != nil {
				o = bench.Outcome{Class: "crashed", Detail: b.Crashed(value).Error(), Attempts: 1, Billed: b.Tokens, Final: true}
			}
		}()
		began := b.Clock.Now()
		call := Call{Request: b.Request, Timeout: b.Timeout, AttemptTimeout: b.RequestTimeout, Memory: b.Memory.Share()}
		if e.Limiter == nil {
			call.Timeout = b.RequestTimeout
		}
		call.Deadline = began.Add(call.Timeout)
		defer call.Memory.Release()
		call.Request.Prompt = r.Nonce + " " + call.Request.Prompt
		sink := &discard{}
		if call.Request.Stream {
			call.Sink = sink
		}
		result, err := chain.Do(ctx, call.To(e))
		var failed *Error
		if err != nil && !errors.As(err, &failed) { // the budget is used up or cannot be read
			return bench.Outcome{Started: began, Detail: err.Error(), Attempts: 1, Final: ctx.Err() == nil, Cancelled: true}
		}
		o = b.outcome(result, sink, failed, cold)
		if o.Started.IsZero() {
			o.Started = began
		}
		if result.Uncounted != nil { // usage can no longer be counted
			o.Final, o.Detail = true, cmp.Or(o.Detail, result.Uncounted.Error())
		}
		if o.Detail != "" {
			o.Detail = b.Redact(o.Detail)
		}
		return o
	}
}

// outcome converts the result of a call.
func (b *Bench) outcome(result *Result, sink *discard, failed *Error, cold bool) bench.Outcome {
	attempts := result.Attempts
	if len(attempts) == 0 { // it could not be encoded, or its wait for the rate limit is too long
		limited := failed.Class == Limited // which is no property of the node
		return bench.Outcome{
			Class: string(failed.Class), Detail: failed.withoutNode(), Attempts: 1,
			Final: failed.Class == Usage || limited, Cancelled: failed.Class == Cancelled || limited,
		}
	}
	first, last := attempts[0], attempts[len(attempts)-1]
	// The rate limit is ferry's own, so the wait for it does not count as latency of the node.
	before := last.Started.Sub(first.Started)
	for _, at := range attempts[1:] {
		before -= at.Limited
	}
	o := bench.Outcome{
		Started:  first.Started,
		Latency:  before + last.Latency,
		Phases:   last.Phases,
		Attempts: len(attempts),
		Fresh:    !cold && !last.Reused && last.Remote != "",
	}
	if last.FirstText > 0 {
		o.TTFT = before + last.FirstText
	}
	for _, at := range attempts {
		input, output := at.billedTokens(b.Tokens, 0)
		o.Billed += input + output
		if at != last {
			o.Earlier = append(o.Earlier, bench.Attempt{Class: string(at.Class), Latency: at.Latency})
		}
	}
	if failed == nil {
		o.Class, o.Detail = answerFailure(result.Answer, sink.hasText)
		o.Chunks = sink.chunks
		if usage := result.Answer.Usage; usage != nil {
			o.OutputTokens = int64(usage.Output)
			if b.Request.Stream && (usage.Reasoning > 0 || !result.Answer.HasReasoning) {
				o.TextTokens = int64(usage.Output - usage.Reasoning)
			}
		}
		return o
	}
	o.Class, o.Detail = string(cmp.Or(last.Class, failed.Class)), failed.withoutNode()
	if failed.Class == Limited {
		o.Class = string(Limited)
	}
	o.Final = failed.Status == http.StatusUnauthorized || failed.Status == http.StatusForbidden || failed.Class == PlainHTTP
	o.Cancelled = failed.Class == Cancelled
	return o
}

// answerFailure returns the class of a complete answer that a benchmark does not count as a success, and the reason; ""
// for any other answer. streamed says that a stream had text, which answer then does not have. White space does not
// count as text.
func answerFailure(answer wire.Answer, streamed bool) (class, detail string) {
	switch {
	case wire.EndingOf(answer.StopReason) == wire.Refused:
		return bench.Refused, "the model declined to answer (" + answer.StopReason + ")"
	case streamed || strings.TrimSpace(answer.Text) != "":
		return "", ""
	case answer.HasReasoning:
		return bench.Thinking, "the answer has reasoning and no text; --max-tokens allows more"
	}
	return bench.Empty, "the answer is complete but empty"
}

// withoutNode returns the error message without the details that its row of the report shows already.
func (e *Error) withoutNode() string {
	bare := *e
	bare.Node, bare.GaveUp = "", e.GaveUp && e.Attempts > 1
	return bare.Error()
}

// discard is a sink that drops a stream. It records whether something arrived, whether it had text other than white
// space, and the number of events with text.
type discard struct {
	shown, hasText bool
	chunks         int64
}

func (d *discard) Reset()           { d.hasText, d.chunks = false, 0 }
func (d *discard) Raw([]byte) error { return nil }
func (d *discard) Flush() error     { return nil }
func (d *discard) Shown() bool      { return d.shown }

func (d *discard) Delta(delta wire.Delta) error {
	d.shown = true
	d.hasText = d.hasText || len(bytes.TrimSpace(delta.Text)) > 0
	if len(delta.Text) > 0 {
		d.chunks++
	}
	return nil
}

// CheckLimits returns an error if the rate limits do not allow the plan in its time. Cold and warm connections and all
// nodes with the same address share one limiter.
func (b *Bench) CheckLimits(h bench.Header, series []*Endpoint) error {
	sharing := map[Limiter]int{}
	for _, e := range series {
		sharing[e.Limiter]++
	}
	for i, e := range series {
		n := sharing[e.Limiter]
		if e.Limiter == nil || n == 0 {
			continue
		}
		sharing[e.Limiter] = 0
		if err := b.checkLimit(h, e.Limiter.Rate(), h.Nodes[i].Name, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) checkLimit(h bench.Header, rate limit.Rate, node string, series int) error {
	shared := ""
	if series > 1 {
		shared = fmt.Sprintf(" (%d rows of the report have its address)", series)
	}
	if h.Rate > 0 {
		perSecond := float64(rate.Events) / rate.Per.Seconds()
		if asked := h.Rate * float64(series); asked > perSecond*(1+1e-9) {
			return text.Errorf(fmt.Sprintf("the maximum is --rate %.4g/min", 60*perSecond/float64(series)),
				"--rate asks %s for %.4g requests a minute, more than the limit of %v%s", node, 60*asked, rate, shared)
		}
		return nil
	}
	bound, flag := b.Timeout, "--timeout"
	if h.Duration > 0 {
		bound, flag = h.Duration, "-d"
	}
	all := (h.Requests + h.Warmup) * series
	if needs := rate.MinDuration(all); h.Requests > 0 && needs > bound {
		hint := "a smaller -r fits"
		if needs < 24*time.Hour {
			hint = fmt.Sprintf("-d %s allows it, or a smaller -r", text.Brief(needs.Truncate(time.Minute)+time.Minute))
		}
		return text.Errorf(hint, "the limit of %v lets %s to %s take at least %s, longer than the %s of %s%s",
			rate, text.Count(all, "request"), node, needs.Round(time.Second), flag, bound, shared)
	}
	atOnce := h.Concurrency * series
	if waits := rate.MinDuration(atOnce); waits > b.Timeout {
		return text.Errorf("a smaller -c waits less, a longer --timeout allows it",
			"the limit of %v lets %s at once to %s wait up to %s, longer than the --timeout of %s%s",
			rate, text.Count(atOnce, "request"), node, waits.Round(time.Second), b.Timeout, shared)
	}
	return nil
}

// CheckBudgets returns an error if the budget of a node does not allow even one request.
func (b *Bench) CheckBudgets(ctx context.Context, nodes []*Endpoint) error {
	checked := map[*Budget]bool{nil: true}
	for _, e := range nodes {
		if checked[e.Budget] {
			continue
		}
		checked[e.Budget] = true
		if err := e.Budget.Check(ctx, Call{Request: b.Request, Timeout: b.Timeout}.To(e)); err != nil {
			return err
		}
	}
	return nil
}
