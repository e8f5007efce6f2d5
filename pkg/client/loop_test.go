package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// story has the replies of a server, the waits between them and the end.
type story struct {
	name    string
	policy  retry.Policy
	replies []reply
	waits   []time.Duration
	end     end
}

type end struct {
	class  Class // "" for an answer
	status int
	gaveUp bool
}

// TestLoopOfTheScript checks the cases of DESIGN.md section 2 under the script policy.
func TestLoopOfTheScript(t *testing.T) {
	const s = time.Second
	ok := end{}
	for _, told := range []story{
		{"answer", retry.Script, []reply{answer}, nil, ok},
		{"429, 503, answer", retry.Script, []reply{status(429), status(503), answer}, []time.Duration{2 * s, 2 * s}, ok},
		{"503, 429, answer", retry.Script, []reply{status(503), status(429), answer}, []time.Duration{1 * s, 4 * s}, ok},
		{"503, 504, answer", retry.Script, []reply{status(503), status(504), answer}, []time.Duration{1 * s, 2 * s}, ok},
		{"502, answer", retry.Script, []reply{status(502), answer}, []time.Duration{1 * s}, ok},
		{"429 three times", retry.Script, []reply{status(429)}, []time.Duration{2 * s, 4 * s}, end{RateLimited, 429, true}},
		{"503 three times", retry.Script, []reply{status(503)}, []time.Duration{1 * s, 2 * s}, end{Status5xx, 503, true}},
		{
			"Retry-After is not the script's", retry.Script, []reply{status(429, "Retry-After", "30"), answer},
			[]time.Duration{2 * s}, ok,
		},
		{"500", retry.Script, []reply{status(500), answer}, nil, end{Status5xx, 500, false}},
		{"529", retry.Script, []reply{status(529), answer}, nil, end{Status5xx, 529, false}},
		{"401", retry.Script, []reply{status(401), answer}, nil, end{Status4xx, 401, false}},
		{"201", retry.Script, []reply{{status: 201, body: `{}`}, answer}, nil, end{StatusOther, 201, false}},
		{"429, then 401", retry.Script, []reply{status(429), status(401)}, []time.Duration{2 * s}, end{Status4xx, 401, false}},
		{"429 in a 200", retry.Script, []reply{body(`{"status":429}`), answer}, []time.Duration{2 * s}, ok},
		{"429 in a 200, always", retry.Script, []reply{body(`{"status":"429"}`)}, []time.Duration{2 * s, 4 * s}, end{RateLimited, 429, true}},
		{"200 in a 500", retry.Script, []reply{{status: 500, body: `{"status":"200","completion":"hello"}`}}, nil, ok},
		{"a .status that is none", retry.Script, []reply{body(`{"status":"ok"}`), answer}, nil, end{StatusOther, 0, false}},
		{"HTML", retry.Script, []reply{body(`<html>`), answer}, nil, end{NotAnAnswer, 200, false}},
		{"empty", retry.Script, []reply{body(``), answer}, nil, end{NotAnAnswer, 200, false}},
		{"204", retry.Script, []reply{{status: 204}, answer}, nil, end{StatusOther, 204, false}},
		{"cut", retry.Script, []reply{body(`{"status":200,"comple`), answer}, nil, end{Truncated, 200, false}},
		{"reset", retry.Script, []reply{{reset: true}, answer}, nil, end{Reset, 0, false}},
	} {
		t.Run(told.name, told.check)
	}
}

// TestLoopOfOtherPolicies checks them under the other two policies.
func TestLoopOfOtherPolicies(t *testing.T) {
	const s = time.Second
	ok := end{}
	for _, told := range []story{
		{
			"retry-after: as asked, 5 s without", retry.RetryAfter,
			[]reply{status(429, "Retry-After", "7"), status(429), answer}, []time.Duration{7 * s, 5 * s}, ok,
		},
		{"retry-after: 500, 529", retry.RetryAfter, []reply{status(500), status(529), answer}, []time.Duration{1 * s, 2 * s}, ok},
		{"retry-after: reset, HTML", retry.RetryAfter, []reply{{reset: true}, body(`<html>`), answer}, []time.Duration{1 * s, 2 * s}, ok},
		{"retry-after: reset for ever", retry.RetryAfter, []reply{{reset: true}}, []time.Duration{1 * s, 2 * s}, end{Reset, 0, true}},
		{"retry-after: too long", retry.RetryAfter, []reply{status(429, "Retry-After", "61"), answer}, nil, end{RateLimited, 429, true}},
		{"retry-after: 403", retry.RetryAfter, []reply{status(403), answer}, nil, end{Status4xx, 403, false}},
		{
			"retry-after: a spend cap", retry.RetryAfter,
			[]reply{{status: 429, body: `{"error":{"type":"rate_limit_error","message":"you reached your usage limits"}}`}, answer},
			nil, end{RateLimited, 429, false},
		},
		{
			"retry-after: a completion of another shape stays one", retry.RetryAfter, []reply{body(`{"status":200,"text":"x"}`), answer},
			nil, end{NotAnAnswer, 200, false},
		},
		{
			"retry-after: a redirect", retry.RetryAfter, []reply{status(307, "Location", "http://127.0.0.1:1/elsewhere"), answer},
			nil, end{Redirect, 307, false},
		},
		{
			"backoff: half of 0.5 s and of 1 s", retry.Backoff, []reply{status(500), status(409), answer},
			[]time.Duration{s / 4, s / 2}, ok,
		},
	} {
		t.Run(told.name, told.check)
	}
}

func (told story) check(t *testing.T) {
	tr, server := newServed(t, told.replies...)
	tr.Rule.Policy = told.policy
	result, failed := tr.ask(t)
	errorIf(t, !slices.Equal(tr.clock.waits, told.waits), "waited %v, want %v", tr.clock.waits, told.waits)
	if got, want := server.count(), len(told.waits)+1; got != want || len(result.Attempts) != want {
		t.Errorf("%d requests, %d attempts, want %d", got, len(result.Attempts), want)
	}
	for i, at := range result.Attempts {
		wait := time.Duration(0)
		if i < len(told.waits) {
			wait = told.waits[i]
		}
		if at.Number != i+1 || at.Wait != wait || at.Limited != 0 { // there is no rate limit
			t.Errorf("attempt %d says that it is %d and waited %s, %s of it for a limit", i+1, at.Number, at.Wait, at.Limited)
		}
	}
	last := result.last()
	if told.end == (end{}) {
		if failed != nil || result.Answer.Text != "hello" || last.Err != nil || last.Status != 200 || last.Reason() != "ok" {
			t.Errorf("%+v, %v", result.Answer, failed)
		}
		return
	}
	if failed == nil {
		t.Fatalf("an answer: %+v", result.Answer)
	}
	if got := (end{failed.Class, failed.Status, failed.GaveUp}); got != told.end {
		t.Errorf("ended with %+v, want %+v: %v", got, told.end, failed)
	}
	errorIf(t, failed.Attempts != len(told.waits)+1 || failed.Node != "n", "%+v", failed)
	errorIf(t, result.Answer != (wire.Answer{}), "an answer beside the error: %+v", result.Answer)
}

// TestRequest checks the request, and that every attempt sends the same one.
func TestRequest(t *testing.T) {
	server := serve(t, status(429), answer)
	tr := newTrial(t, mustURL(t, server.URL.String()+"/api?team=a%20b"))
	tr.Endpoint.Header = []Field{{Name: "X-Team", Value: "core"}, {Name: "X-Gate", Secret: secret(t, "gate-0123456789")}}
	tr.request.Prompt = " 你好 "
	tr.answered(t)
	for i, r := range server.requests {
		if r.Method != "POST" || r.RequestURI != "/api/v1/complete?team=a%20b" || server.bodies[i] != `{"prompt":" 你好 ","max_tokens":100}` {
			t.Errorf("%s %s %s", r.Method, r.RequestURI, server.bodies[i])
		}
		want := map[string]string{
			"X-Api-Key": canary, "Content-Type": "application/json", "User-Agent": "ferry/test", "X-Team": "core",
			"X-Gate": "gate-0123456789", "Content-Length": fmt.Sprint(len(server.bodies[i])),
		}
		for name, value := range want {
			errorIf(t, r.Header.Get(name) != value, "%s: %q, want %q", name, r.Header.Get(name), value)
		}
		errorIf(t, len(r.Header) != len(want), "more was sent: %v", r.Header)
	}
}

func TestUsageIsRefusedUnsent(t *testing.T) {
	tr, server := newServed(t, answer)
	tr.request.System = "be brief"
	result, failed := tr.ask(t)
	if failed == nil || failed.Class != Usage || !strings.Contains(failed.Error(), "no system prompt") || failed.Hint() == "" {
		t.Errorf("%v", failed)
	}
	errorIf(t, server.count() != 0 || len(result.Attempts) != 0, "something was sent")
}

// TestAsBody checks that AsBody needs of a 200 only what the script needed: one JSON object with that status.
func TestAsBody(t *testing.T) {
	for _, test := range []struct {
		body string
		ok   bool
		text string
	}{
		{`{"status":200,"completion":"hello"}`, true, "hello"},
		{`{"status":200,"something":"else"}`, true, ""},
		{`{"choices":[]}`, true, ""},
		{" {} \n", true, ""},
		{`{"status":429}`, false, ""},
		{`[]`, false, ""},
		{`<html>`, false, ""},
		{``, false, ""},
		{`{"completion":"hel`, false, "hel"}, // the part that arrived
	} {
		tr, _ := newServed(t, body(test.body))
		tr.Rule.Attempts = 1
		result, failed := tr.askIn(t, t.Context(), AsBody)
		if (failed == nil) != test.ok || result.Answer.Text != test.text || string(result.Body) != test.body {
			t.Errorf("%s: %q, %+v, %v", test.body, result.Body, result.Answer, failed)
		}
	}
}

// TestTimeoutForbidsAWait checks that a call fails at once if a wait would exceed its timeout, and sends nothing more.
func TestTimeoutForbidsAWait(t *testing.T) {
	server := serve(t, status(429), answer)
	for _, timeout := range []time.Duration{time.Minute, time.Hour} {
		tr := newTrial(t, server.URL)
		tr.Timeout, tr.Rule.Delay = timeout, time.Hour
		var seen []time.Duration
		tr.OnAttempt = func(a *Attempt, _ int) { seen = append(seen, a.Wait) }
		server.requests = nil
		result, failed := tr.ask(t)
		var over *DeadlineError
		if failed == nil || failed.Class != Timeout || failed.Status != 429 || failed.GaveUp || !errors.As(failed, &over) || over.Wait != time.Hour {
			t.Fatalf("%s: %v", timeout, failed)
		}
		want := fmt.Sprintf("n: a wait of 1h0m0s would exceed the timeout of %s, after status 429: m429", timeout)
		if failed.Error() != want || failed.Hint() != "--timeout allows more time" {
			t.Errorf("%v, hint %s; want %s", failed, failed.Hint(), want)
		}
		if len(tr.clock.waits) != 0 || server.count() != 1 || result.Attempts[0].Wait != 0 || seen[0] != 0 {
			t.Errorf("waited %v (the record: %v), sent %d", tr.clock.waits, seen, server.count())
		}
	}
	tr := newTrial(t, server.URL)
	tr.Timeout = time.Minute
	server.requests = nil
	if _, failed := tr.ask(t); failed != nil || len(tr.clock.waits) != 1 {
		t.Errorf("a wait that fits: %v", failed)
	}
	// Time before the call counts too, for example a wait for standard input.
	tr = newTrial(t, server.URL)
	tr.Timeout, tr.Since = time.Minute, tr.clock.Now().Add(-59*time.Second)
	server.requests = nil
	if _, failed := tr.ask(t); failed == nil || failed.Class != Timeout {
		t.Errorf("a minute that began 59 seconds ago: %v", failed)
	}
}

func TestCancelledInAWait(t *testing.T) {
	tr, server := newServed(t, status(429), answer)
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	tr.clock.during = func() { cancel(cause) }
	_, failed := tr.askIn(t, ctx, AsAnswer)
	errorIf(t, failed == nil || failed.Class != Cancelled || !errors.Is(failed, cause) || failed.GaveUp, "%v", failed)
	errorIf(t, server.count() != 1, "%d requests", server.count())
	// A deadline of the caller that ends a wait is a timeout, not a cancellation.
	tr = newTrial(t, server.URL)
	ctx, cancel = context.WithCancelCause(t.Context())
	tr.clock.during = func() { cancel(&DeadlineError{Timeout: time.Second}) }
	server.requests = nil
	if _, failed = tr.askIn(t, ctx, AsAnswer); failed == nil || failed.Class != Timeout {
		t.Errorf("%v", failed)
	}
}

// TestOnWait checks that Env.Wait replaces the clock's wait and gets the right Pause, and that its error ends the call.
func TestOnWait(t *testing.T) {
	tr, _ := newServed(t, status(429), body(`<html>`), answer)
	tr.Rule.Policy, tr.Rule.Attempts = retry.RetryAfter, 4
	var pauses []Pause
	tr.Wait = func(_ context.Context, p Pause) error { pauses = append(pauses, p); return nil }
	var seen []string
	tr.OnAttempt = func(a *Attempt, _ int) { seen = append(seen, fmt.Sprintf("%d %s %s", a.Number, a.Reason(), a.Wait)) }
	tr.answered(t)
	want := []Pause{{5 * time.Second, "n", 1, 4, "429", "", nil}, {2 * time.Second, "n", 2, 4, "not_an_answer", "", nil}}
	if !slices.Equal(pauses, want) || len(tr.clock.waits) != 0 {
		t.Errorf("%+v; the clock waited %v", pauses, tr.clock.waits)
	}
	if got := strings.Join(seen, ", "); got != "1 429 5s, 2 not_an_answer 2s, 3 ok 0s" {
		t.Error(got)
	}

	tr, server := newServed(t, status(429))
	broken := errors.New("the terminal is gone")
	tr.Wait = func(context.Context, Pause) error { return broken }
	if _, failed := tr.ask(t); failed == nil || !errors.Is(failed, broken) || server.count() != 1 {
		t.Errorf("%v after %d requests", failed, server.count())
	}
}
