package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// untrusted is a transport that rejects every certificate.
type untrusted struct{}

func (untrusted) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &guard.TrustError{Host: "h", Reason: "none of its public keys is pinned"}
}

// order is a failover over trials. It records what was reported and which nodes were used.
type order struct {
	Failover
	trials []*trial
	asked  []string
	told   []string
}

// newOrder returns trials without a zone; each server has one reply.
func newOrder(t *testing.T, replies ...reply) *order {
	t.Helper()
	o := &order{}
	o.OnFailover = func(failed *Error, next Candidate) {
		o.told = append(o.told, failed.Node+" "+failed.Summary()+", "+next.Name)
	}
	o.OnSkip = func(skipped Candidate, err error) { o.told = append(o.told, skipped.Name+" "+err.Error()) }
	for _, r := range replies {
		o.add(newTrial(t, serve(t, r).URL), "")
	}
	return o
}

// add adds a trial. Its name is its position, from 1.
func (o *order) add(tr *trial, zone string) {
	o.trials = append(o.trials, tr)
	tr.Endpoint.Name = fmt.Sprint(len(o.trials))
	o.Candidates = append(o.Candidates, Candidate{Name: tr.Endpoint.Name, Zone: zone, Endpoint: func(context.Context) (*Endpoint, error) {
		o.asked = append(o.asked, tr.Endpoint.Name)
		return &tr.Endpoint, nil
	}})
}

// do makes the first trial's call.
func (o *order) do(ctx context.Context, sink Sink) (*Result, error) {
	first := o.trials[0]
	return Chain(Stages{Env: first.Env, Failover: &o.Failover}).Do(ctx, first.call(sink, AsAnswer))
}

// TestHandsOver checks after which failures of the first node the second one is tried.
func TestHandsOver(t *testing.T) {
	capped := reply{status: 429, body: `{"error":{"type":"rate_limit_error","message":"you reached your usage limits"}}`}
	for _, test := range []struct {
		name   string
		policy retry.Policy
		reply  reply
		over   bool
		ending string
	}{
		{"503", retry.Script, status(503), true, "gave up after 3 attempts (503)"},
		{"429", retry.Script, status(429), true, "gave up after 3 attempts (429)"},
		{"500", retry.Script, status(500), true, "failed (500)"},
		{"529", retry.Script, status(529), true, "failed (529)"},
		{"a spend cap", retry.RetryAfter, capped, true, "failed (429)"},
		{"402", retry.Script, status(402), true, "failed (402)"},
		{"an empty balance", retry.Script, reply{status: 400, body: `{"error":{"message":"Insufficient Balance"}}`}, true, "failed (400)"},
		{"budgets in flight", retry.Script, reply{status: 402, body: `{"error":{"code":"in_flight_budget_exhausted"}}`}, false, "failed (402)"},
		{"budgets in flight, waited for", retry.Backoff, reply{status: 402, body: `{"error":{"code":"in_flight_budget_exhausted"}}`}, true, "gave up after 3 attempts (402)"},
		{"too long a wait", retry.RetryAfter, status(429, "Retry-After", "3600"), true, "gave up (429, asked to wait 1h0m0s)"},
		{"reset", retry.Script, reply{reset: true}, true, "failed (reset)"},
		{"a page", retry.Script, body("<html>"), true, "failed (not_an_answer)"},
		{"a page, again and again", retry.RetryAfter, body("<html>"), true, "gave up after 3 attempts (not_an_answer)"},
		{"409, again and again", retry.Backoff, status(409), true, "gave up after 3 attempts (409)"},
		{"cut, again and again", retry.RetryAfter, body(`{"status":200,"comple`), true, "gave up after 3 attempts (truncated)"},
		{"cut", retry.Script, body(`{"status":200,"comple`), false, "failed (truncated)"},
		{"another shape", retry.RetryAfter, body(`{"status":200,"text":"x"}`), false, "failed (not_an_answer)"},
		{"400", retry.Script, status(400), false, "failed (400)"},
		{"401", retry.Backoff, status(401), false, "failed (401)"},
		{"201", retry.Script, reply{status: 201, body: "{}"}, false, "failed (201)"},
		{"a redirect", retry.Backoff, status(302, "Location", "http://127.0.0.1:1/"), false, "failed (302)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrder(t, test.reply, answer)
			o.trials[0].Rule.Policy = test.policy
			result, err := o.do(t.Context(), nil)
			var failed *Error
			switch {
			case test.over && (err != nil || result.Answer.Text != "hello"):
				t.Errorf("no answer of the second: %v", err)
			case test.over && !slices.Equal(o.told, []string{"1 " + test.ending + ", 2"}):
				t.Errorf("told %q", o.told)
			case !test.over && (!errors.As(err, &failed) || failed.Node != "1" || len(o.asked) != 1 || len(o.told) != 0):
				t.Errorf("asked %v, told %q: %v", o.asked, o.told, err)
			case !test.over && failed.Summary() != test.ending:
				t.Errorf("%q", failed.Summary())
			}
			if last := result.last(); test.over && (last.Node != "2" || last.Number != 1 || result.Attempts[0].Node != "1") {
				t.Errorf("the attempts: %+v", last)
			}
		})
	}
}

// TestUsedUpHandsOver checks that an error of a used-up account leads to the next node, with each status and policy,
// complete and streamed. It happens at once, except for 429 under the script policy. TestSpendCap of pkg/wire has all
// such errors.
func TestUsedUpHandsOver(t *testing.T) {
	chatAnswer := body(`{"model":"m","choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}`)
	for name, r := range map[string]reply{
		"OpenRouter":        {status: 402, body: `{"error":{"code":402,"message":"This request requires more credits"}}`},
		"one-api":           {status: 401, body: `{"error":{"message":"该令牌额度已用尽 (request id: 1)","type":"one_api_error"}}`},
		"new-api":           {status: 403, body: `{"error":{"message":"user quota is not enough","type":"new_api_error"}}`},
		"OpenAI":            {status: 429, body: `{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}`},
		"Zhipu 1310":        {status: 429, body: `{"error":{"code":"1310","message":"m"}}`},
		"MiniMax in a 200":  {status: 200, body: `{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}`},
		"DashScope":         {status: 400, body: `{"error":{"code":"Arrearage","type":"Arrearage","message":"Access denied"}}`},
		"an error in a 200": {status: 200, body: `{"error":{"code":402,"message":"Insufficient Balance"}}`},
	} {
		for _, policy := range retry.Policies() {
			for _, sink := range []Sink{nil, &discard{}} {
				o := newOrder(t, r, chatAnswer)
				o.trials[0].Endpoint.API, o.trials[1].Endpoint.API = wire.Chat, wire.Chat
				o.trials[0].Rule.Policy = policy
				result, err := o.do(t.Context(), sink)
				attempts := 2
				if policy == retry.Script && r.status == 429 {
					attempts = 4 // the script policy makes three attempts
				}
				if err != nil || len(o.asked) != 2 || len(result.Attempts) != attempts {
					t.Errorf("%s, %s, stream %t: got %v, asked %v, %d attempts, want an answer of the second after %d",
						name, policy, sink != nil, err, o.asked, len(result.Attempts), attempts)
				}
			}
		}
	}
}

func TestHandsOverWithoutTrust(t *testing.T) {
	o := newOrder(t, answer, answer)
	o.trials[0].Transport, o.trials[0].Rule.Policy = untrusted{}, retry.Backoff
	_, err := o.do(t.Context(), nil)
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Class != Trust || failed.Attempts != 1 || len(o.asked) != 1 {
		t.Errorf("asked %v: %v", o.asked, err)
	}
}

// TestHandsOverInTime checks that all nodes share one timeout: a stalled node uses only its share, a wait that does not
// fit leads to the next node at once, and no node is tried after the end.
func TestHandsOverInTime(t *testing.T) {
	const stalled, waiting = "", "HTTP/1.1 429 Busy\r\nRetry-After: 40\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	begun := head + "Content-Length: 500\r\n\r\n" + `{"status":200,"completion":"half an ans`
	good := fmt.Sprintf("%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(answer.body), answer.body)
	for _, test := range []struct {
		name    string
		say     []string // one per node
		timeout time.Duration
		took    time.Duration
		told    []string
		end     string // "" for an answer
	}{
		{"a stall", []string{stalled, good}, 10 * time.Second, 5 * time.Second, []string{"1 failed (timeout), 2"}, ""},
		{
			"all stall", []string{stalled, stalled, stalled}, 6 * time.Second, 6 * time.Second,
			[]string{"1 failed (timeout), 2", "2 failed (timeout), 3"},
			"3: no whole answer within the timeout of 6s; before it 1 failed (timeout), 2 failed (timeout)",
		},
		{
			"a stall after a part of the answer", []string{begun, good}, 10 * time.Second, 5 * time.Second, nil,
			"1: no whole answer within 5s, its share of the timeout of 10s",
		},
		{"a wait", []string{waiting, good}, 30 * time.Second, 0, []string{"1 failed (429), 2"}, ""},
		{"a wait that fits", []string{waiting, good}, 10 * time.Minute, 80 * time.Second, []string{"1 gave up after 3 attempts (429), 2"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrder(t)
				for _, said := range test.say {
					tr := newStalled(t, said)
					tr.Timeout, tr.Rule.Policy = test.timeout, retry.RetryAfter
					o.add(tr, "")
				}
				result, err := o.do(t.Context(), nil)
				if test.end == "" && (err != nil || result.Answer.Text != "hello") || test.end != "" && (err == nil || err.Error() != test.end) {
					t.Errorf("ended with %v", err)
				}
				if !slices.Equal(o.told, test.told) || result.Latency != test.took {
					t.Errorf("told %q after %s, want %q after %s", o.told, result.Latency, test.told, test.took)
				}
			})
		})
	}
}

// TestStreamHandsOver checks that the next node is tried only if no text of the stream has been shown.
func TestStreamHandsOver(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
	broken := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"later\"}}\n\n"
	piece := "event: completion\ndata: {\"completion\":\"one\",\"stop_reason\":null}\n\n"
	for _, test := range []struct {
		first string
		over  bool
	}{{head + broken, true}, {head + piece + broken, false}, {head + piece, false}, {head, true}} {
		o := newOrder(t, reply{raw: test.first}, answer)
		_, err := o.do(t.Context(), &discard{})
		if (len(o.asked) == 2) != test.over || (err == nil) != test.over {
			t.Errorf("%q: asked %v, %v", test.first[len(head):], o.asked, err)
		}
	}
}

// TestStalledStreamStays checks that the next node is not tried if a stream stalls after its first text, but is if it
// stalls before that. It uses fake time: in real time the text could arrive after the idle timeout.
func TestStalledStreamStays(t *testing.T) {
	for said, asks := range map[string]int{streamHead + piece: 1, streamHead: 2, "": 2} {
		synctest.Test(t, func(t *testing.T) {
			sink := &discard{}
			o := newOrder(t)
			for _, words := range []string{said, streamHead + piece + rest} {
				tr := newStalled(t, words)
				tr.IdleTimeout = 90 * time.Second
				o.add(tr, "")
			}
			_, err := o.do(t.Context(), sink)
			if len(o.asked) != asks || (err == nil) != (asks == 2) || !sink.shown {
				t.Errorf("%q: %d asked, %v", said, len(o.asked), err)
			}
		})
	}
}

// slowSink accepts each piece only after five minutes, like a pager that waits for a key.
type slowSink struct{ discard }

func (s *slowSink) Flush() error {
	time.Sleep(5 * time.Minute)
	return nil
}

// TestSlowReader checks that the time in which the sink accepts nothing does not count as silence of the server.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(t, mustURL(t, "http://node.test"))
		tr.IdleTimeout, tr.Timeout = 90*time.Second, time.Hour
		tr.Transport = pipe(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, streamHead+piece)
			_, _ = io.WriteString(conn, rest)
		})
		if _, err := tr.do(t.Context(), &slowSink{}, AsAnswer); err != nil {
			t.Errorf("got %v, want a complete answer", err)
		}
	})
}

// TestZones checks that a prompt stays in the zone of the first node.
func TestZones(t *testing.T) {
	for _, test := range []struct {
		zones  string // of the nodes; only the last one answers; - is no zone
		across bool
		asked  int
		end    string
	}{
		{"- -", false, 2, ""},
		{"cn cn cn", false, 3, ""},
		{"cn sg", true, 2, ""},
		{"cn -", true, 2, ""},
		{"cn sg cn", false, 1, "; 2 was not tried: it has zone sg, 1 has zone cn"},
		{"cn -", false, 1, "; 2 was not tried: it has no zone, 1 has zone cn"},
		{"- sg", false, 1, "; 2 was not tried: it has zone sg, 1 has no zone"},
		{"cn cn sg", false, 2, "; before it 1 failed (500); 3 was not tried: it has zone sg, 2 has zone cn"},
	} {
		o := newOrder(t)
		o.Across = test.across
		zones := strings.Fields(strings.ReplaceAll(test.zones, "-", "\"\""))
		for i, zone := range zones {
			r := status(500)
			if i == len(zones)-1 {
				r = answer
			}
			o.add(newTrial(t, serve(t, r).URL), strings.Trim(zone, "\""))
		}
		_, err := o.do(t.Context(), nil)
		if len(o.asked) != test.asked || (err == nil) != (test.end == "") {
			t.Errorf("%s: asked %v: %v", test.zones, o.asked, err)
		}
		if over, ok := errors.AsType[*FailoverError](err); test.end != "" && (!ok || !strings.HasSuffix(err.Error(), test.end) || !strings.HasPrefix(over.Hint(), "--across")) {
			t.Errorf("%s: %v", test.zones, err)
		}
	}
}

// TestSkips checks that a later node that cannot be used is skipped, and that the call fails at once if it is the
// first.
func TestSkips(t *testing.T) {
	keyless := Candidate{Name: "keyless", Endpoint: func(context.Context) (*Endpoint, error) { return nil, errors.New("has no key") }}
	o := newOrder(t, status(503), answer)
	first, last := o.Candidates[0], o.Candidates[1]
	o.Candidates = []Candidate{first, keyless, last}
	result, err := o.do(t.Context(), nil)
	want := []string{"1 gave up after 3 attempts (503), keyless", "keyless has no key", "1 gave up after 3 attempts (503), 2"}
	errorIf(t, err != nil || result.Answer.Text != "hello" || !slices.Equal(o.told, want), "told %q: %v", o.told, err)
	o.Candidates = []Candidate{first, keyless}
	_, err = o.do(t.Context(), nil)
	var over *FailoverError
	if !errors.As(err, &over) || !over.GaveUp() || !strings.HasSuffix(err.Error(), "; keyless could not be used: has no key") {
		t.Errorf("%v", err)
	}
	o.Candidates = []Candidate{keyless, last}
	if result, err = o.do(t.Context(), nil); len(result.Attempts) > 0 || err == nil || err.Error() != "has no key" {
		t.Errorf("the first: %v", err)
	}
}

// TestLimitedNodes checks that the next node is tried if a node's rate limit allows no request in time, and that a call
// whose last node is limited keeps the time of the attempts at the others.
func TestLimitedNodes(t *testing.T) {
	o := newOrder(t, answer, answer)
	o.trials[0].Limiter = crowded{}
	result, err := o.do(t.Context(), nil)
	if err != nil || result.Node != "2" || len(result.Attempts) != 1 {
		t.Errorf("the first node limited: %d attempts, %v; want the answer of the second", len(result.Attempts), err)
	}
	o = newOrder(t, status(503), answer)
	o.trials[1].Limiter = crowded{}
	result, err = o.do(t.Context(), nil)
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Class != Limited || len(result.Attempts) != 3 || result.Latency < 3*time.Second {
		t.Errorf("%d attempts in %s: %v; want the 3 of the first node, with its waits of 3 s, and a refusal", len(result.Attempts), result.Latency, err)
	}
}

// TestGaveUpAnywhere checks the exit code over several nodes: if one of them gave up, the call gave up.
func TestGaveUpAnywhere(t *testing.T) {
	for _, test := range []struct {
		replies []reply
		gaveUp  bool
	}{
		{[]reply{status(503), status(401)}, true},
		{[]reply{status(500), status(503)}, true},
		{[]reply{status(500), status(500)}, false},
	} {
		o := newOrder(t, test.replies...)
		_, err := o.do(t.Context(), nil)
		if over, ok := errors.AsType[*FailoverError](err); !ok || over.GaveUp() != test.gaveUp {
			t.Errorf("%v", err)
		}
	}
}
