package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/limit"
	"ferry/pkg/wire"
)

// newBench returns a Bench with a trial's request. An attempt without reported usage counts 1000 tokens.
func newBench(tr *trial) *Bench {
	return &Bench{
		Env: tr.Env, Request: tr.request, Timeout: time.Minute, RequestTimeout: time.Minute, Tokens: 1000, Memory: NewMemory(),
		Redact:  strings.ToUpper,
		Crashed: func(any) error { return errors.New("a crash") },
	}
}

// TestBenchTimeout checks that Bench's own timeout ends a stalled request, with and without a rate limit.
func TestBenchTimeout(t *testing.T) {
	for _, limited := range []bool{false, true} {
		tr, _ := newServed(t, reply{stall: true})
		tr.Endpoint.API = wire.Messages
		if limited {
			tr.Limiter = roomy{}
		}
		b := newBench(tr)
		b.RequestTimeout = 20 * time.Millisecond
		got := b.Target(&tr.Endpoint, true)(t.Context(), bench.Request{Nonce: "0001"})
		if want := "NO WHOLE ANSWER WITHIN THE TIMEOUT OF 20MS"; got.Class != "timeout" || !strings.Contains(got.Detail, want) {
			t.Errorf("limited %v: got %q, %q, want a timeout: %s", limited, got.Class, got.Detail, want)
		}
	}
}

func TestBenchOutcome(t *testing.T) {
	used := func(text, reason string) reply {
		return body(`{"content":[{"type":"text","text":"` + text + `"}],"stop_reason":"` + reason + `","usage":{"input_tokens":7,"output_tokens":3}}`)
	}
	streamed := func(texts ...string) reply {
		var events strings.Builder
		for _, text := range texts {
			fmt.Fprintf(&events, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", text)
		}
		return body(events.String() + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	}
	stream := func(tr *trial) { tr.Endpoint.API, tr.request.Stream = wire.Chat, true }
	for _, tt := range []struct {
		name    string
		replies []reply
		change  func(*trial)
		want    bench.Outcome // times are not compared
	}{
		{"an answer", []reply{used("pong", "end_turn")}, nil, bench.Outcome{Attempts: 1, Billed: 10, OutputTokens: 3}},
		{"no usage", []reply{body(`{"content":[{"type":"text","text":"pong"}],"stop_reason":"end_turn"}`)}, nil,
			bench.Outcome{Attempts: 1, Billed: 1000}},
		{"a refusal", []reply{used("no", "refusal")}, nil, bench.Outcome{Class: bench.Refused, Attempts: 1, Billed: 10, OutputTokens: 3,
			Detail: "THE MODEL DECLINED TO ANSWER (REFUSAL)"}},
		{"no text", []reply{used("", "end_turn")}, nil, bench.Outcome{Class: bench.Empty, Attempts: 1, Billed: 10, OutputTokens: 3,
			Detail: "THE ANSWER IS COMPLETE BUT EMPTY"}},
		{"a line end alone", []reply{used(`\n`, "end_turn")}, nil, bench.Outcome{Class: bench.Empty, Attempts: 1, Billed: 10, OutputTokens: 3}},
		{"reasoning alone", []reply{body(`{"content":[{"type":"thinking","thinking":"hm"}],"stop_reason":"max_tokens"}`)}, nil,
			bench.Outcome{Class: bench.Thinking, Attempts: 1, Billed: 1000,
				Detail: "THE ANSWER HAS REASONING AND NO TEXT; --MAX-TOKENS ALLOWS MORE"}},
		{"a stream", []reply{streamed(`hi`, `\n`)}, stream, bench.Outcome{Attempts: 1, Billed: 1000}},
		{"a stream of spaces", []reply{streamed(` `, `\n`)}, stream, bench.Outcome{Class: bench.Empty, Attempts: 1, Billed: 1000}},
		{"a retry", []reply{status(429), used("pong", "end_turn")}, nil, bench.Outcome{Attempts: 2, Billed: 10, OutputTokens: 3,
			Earlier: []bench.Attempt{{Class: "429"}}}},
		{"the wrong key", []reply{status(401)}, nil, bench.Outcome{Class: "4xx", Attempts: 1, Final: true, Detail: "STATUS 401: M401"}},
		{"no connection", nil, func(tr *trial) { tr.URL = unused(t); tr.Transport = newTrial(t, tr.URL).Transport },
			bench.Outcome{Class: "connect", Attempts: 1}},
		{"what cannot be encoded", nil, func(tr *trial) { tr.API = wire.Complete; tr.request.System = "s" },
			bench.Outcome{Class: "usage", Attempts: 1, Final: true}},
		{"a rate limit", nil, func(tr *trial) { tr.Limiter = crowded{} },
			bench.Outcome{Class: "limited", Attempts: 1, Final: true, Cancelled: true}},
		{"a crash", nil, func(tr *trial) { tr.Limiter = panicking{} },
			bench.Outcome{Class: "crashed", Detail: "a crash", Attempts: 1, Billed: 1000, Final: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr, server := newServed(t, append(tt.replies, status(500))...)
			tr.Endpoint.API = wire.Messages
			if tt.change != nil {
				tt.change(tr)
			}
			got := newBench(tr).Target(&tr.Endpoint, true)(t.Context(), bench.Request{Nonce: "0001"})
			if len(tt.replies) > 0 && !strings.Contains(server.bodies[0], `"0001 hi"`) {
				t.Errorf("sent %s, want the number before the prompt", server.bodies[0])
			}
			if tt.want.Detail != "" && got.Detail != tt.want.Detail {
				t.Errorf("got detail %q, want %q", got.Detail, tt.want.Detail)
			}
			same := got.Class == tt.want.Class && got.Attempts == tt.want.Attempts && got.Billed == tt.want.Billed &&
				got.OutputTokens == tt.want.OutputTokens && got.Final == tt.want.Final && got.Cancelled == tt.want.Cancelled &&
				len(got.Earlier) == len(tt.want.Earlier)
			errorIf(t, !same, "got  %+v\nwant %+v", got, tt.want)
		})
	}
}

// TestBenchStreamTokens checks the number of text tokens of a stream, if it is known, and the number of events with
// text.
func TestBenchStreamTokens(t *testing.T) {
	const text = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n"
	const thought = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
	const end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":%s}}\n\ndata: [DONE]\n\n"
	for _, tt := range []struct {
		name, body, usage    string
		tokens, text, chunks int
	}{
		{"text", text + text + text, "40", 40, 40, 3},
		{"reasoning that is counted", thought + text + text, `90,"completion_tokens_details":{"reasoning_tokens":50}`, 90, 40, 2},
		{"reasoning that is not shown", text + text, `90,"completion_tokens_details":{"reasoning_tokens":50}`, 90, 40, 2},
		{"reasoning that is not counted", thought + text + text, "90", 90, 0, 2},
		{"no numbers", text, "null", 0, 0, 1},
	} {
		tr, _ := newServed(t, reply{status: 200, body: tt.body + fmt.Sprintf(end, tt.usage)})
		tr.Endpoint.API, tr.request.Stream = wire.Chat, true
		o := newBench(tr).Target(&tr.Endpoint, false)(t.Context(), bench.Request{})
		if o.Class != "" || o.OutputTokens != int64(tt.tokens) || o.TextTokens != int64(tt.text) || o.Chunks != int64(tt.chunks) {
			t.Errorf("%s: got %+v, want %d tokens, %d of the text, in %d events", tt.name, o, tt.tokens, tt.text, tt.chunks)
		}
		if o.TTFT <= 0 || o.TTFT > o.Latency || !o.Fresh {
			t.Errorf("%s: got %+v, want the time to its first token, on a new connection", tt.name, o)
		}
	}
}

// crowded is a limiter whose next reservation is too late, panicking one that panics, and roomy one without a wait.
type (
	crowded   struct{}
	panicking struct{ crowded }
	roomy     struct{ crowded }
)

func (crowded) Rate() limit.Rate { return limit.Rate{Events: 60, Per: time.Minute, Burst: 1} }
func (crowded) Reserve(context.Context, time.Duration) (*limit.Reservation, error) {
	return nil, &limit.TooLongError{}
}
func (roomy) Reserve(context.Context, time.Duration) (*limit.Reservation, error) {
	return &limit.Reservation{}, nil
}
func (panicking) Reserve(context.Context, time.Duration) (*limit.Reservation, error) {
	panic("a fault")
}

// TestBenchUnreached checks that a request without a connection is not reported as one on a new connection.
func TestBenchUnreached(t *testing.T) {
	tr := newTrial(t, unused(t))
	got := newBench(tr).Target(&tr.Endpoint, false)(t.Context(), bench.Request{Nonce: "0001"})
	if got.Fresh || got.Class != "connect" {
		t.Errorf("fresh %v, class %q, want no connection and connect", got.Fresh, got.Class)
	}
}

// TestBenchUncounted checks that a node is used no more after an answer whose tokens cannot be counted, and why.
func TestBenchUncounted(t *testing.T) {
	tr, _ := newServed(t, answer)
	folder := t.TempDir()
	tr.Budget = &Budget{Ledger: limit.NewLedger(folder, "https://h.test", "n", 5000, limit.NewClock()), OnError: func(error) {}}
	b := newBench(tr)
	b.OnAttempt = func(*Attempt, int) {
		for _, lock := range must(filepath.Glob(filepath.Join(folder, "*.lock")))(t) {
			check(t, os.WriteFile(strings.TrimSuffix(lock, ".lock"), []byte("damaged"), 0o600))
		}
	}
	got := b.Target(&tr.Endpoint, true)(t.Context(), bench.Request{Nonce: "0001"})
	if want := "NOT A COMPLETE LIST OF USED TOKENS"; !got.Final || got.Class != "" || !strings.Contains(got.Detail, want) {
		t.Errorf("final %v, class %q, %q; want a final success: %s", got.Final, got.Class, got.Detail, want)
	}
}

// TestBenchLimits checks plans against a limit of one request per second that both series share.
func TestBenchLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    bench.Header
		want string // "" if the plan fits
	}{
		{"few", bench.Header{Requests: 20, Concurrency: 1}, ""},
		{"many", bench.Header{Requests: 60, Concurrency: 1}, "lets 120 requests to a take at least 1m59s, longer than the --timeout of 1m0s"},
		{"many, with the time", bench.Header{Requests: 60, Duration: 5 * time.Minute, Concurrency: 1}, ""},
		{"at once", bench.Header{Duration: time.Hour, Concurrency: 40}, "lets 80 requests at once to a wait up to 1m19s"},
		{"a rate", bench.Header{Rate: 0.5, Requests: 1000, Concurrency: 100}, ""},
		{"a rate above it", bench.Header{Rate: 1}, "--rate asks a for 120 requests a minute, more than the limit of 60/min"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.h.Nodes = []bench.Node{{Name: "a"}, {Name: "b"}, {Name: "free"}}
			err := newBench(newTrial(t, unused(t))).CheckLimits(tt.h, []*Endpoint{{Limiter: crowded{}}, {Limiter: crowded{}}, {}})
			if (err == nil) != (tt.want == "") {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.HasSuffix(err.Error(), "(2 rows of the report have its address)")) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
