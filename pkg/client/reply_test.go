package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

// TestNoWholeAnswer holds what each way of not getting a whole answer is called, whether it may have been paid for
// (Ambiguous), how much of it is kept, and whether the retry-after policy tries it again. A cut that the server made
// cleanly is a 200 that is no answer and is; a reset in the middle of an answer never is (FACTS.md section 2).
func TestNoWholeAnswer(t *testing.T) {
	const part = `{"status":200,"completion":"hel`
	tests := []struct {
		name      string
		reply     reply
		class     Class
		status    int
		message   string
		body      string
		ambiguous bool
		again     bool
	}{
		{
			"shorter than its Content-Length", reply{raw: head + "Content-Length: 100\r\n\r\n" + part},
			Truncated, 200, "the answer was cut after 31 bytes", part, true, true,
		},
		{
			"a chunk cut", reply{raw: head + "Transfer-Encoding: chunked\r\n\r\n1f\r\n" + part + "\r\n"},
			Truncated, 200, "the answer was cut after 31 bytes", part, true, true,
		},
		{
			"a cut that looks like an end", reply{raw: head + "Connection: close\r\n\r\n" + part},
			Truncated, 200, "status 200 with a JSON body that was cut short", part, true, true,
		},
		{
			"a cut by a proxy, well-formed", reply{raw: head + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n" + part + "\r\n0\r\n\r\n"},
			Truncated, 200, "status 200 with a JSON body that was cut short", part, true, true,
		},
		{
			"a reset in the middle", reply{raw: head + "Content-Length: 100\r\n\r\n" + part, reset: true},
			Truncated, 200, "the connection was reset after 31 bytes of the answer", part, true, false,
		},
		{"a reset before an answer", reply{reset: true}, Reset, 0, "the connection was closed before an answer came", "", true, true},
		{"closed before an answer", reply{hangup: true}, Reset, 0, "the connection was closed before an answer came", "", true, true},
		{
			"closed within the header", reply{raw: head},
			Reset, 0, "the connection was closed before an answer came", "", true, true,
		},
		{"no HTTP", reply{raw: "SSH-2.0-x\r\n\r\n"}, Protocol, 0, "no usable reply: ", "", true, true},
		{
			"the header of a 429, and then nothing whole", reply{raw: "HTTP/1.1 429 Too Many\r\nContent-Length: 100\r\n\r\n" + part},
			RateLimited, 429, "status 429", part, false, true,
		},
		{
			"the header of a 401, and then nothing whole", reply{raw: "HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n{"},
			Status4xx, 401, "status 401", "{", false, false,
		},
		{"101", reply{raw: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", stall: true}, StatusOther, 101, "status 101", "", false, false},
		{"204", reply{status: 204}, StatusOther, 204, "status 204", "", false, false},
		{"an empty 200", text(""), NotAnAnswer, 200, "status 200 with an empty body", "", false, true},
		{"HTML", text("<html>hi</html>"), NotAnAnswer, 200, "status 200 with an HTML page", "<html>hi</html>", false, true},
		{
			"bad gzip", reply{status: 200, header: http.Header{"Content-Encoding": {"gzip"}}, body: "this is no gzip"},
			Protocol, 200, "no usable reply: gzip: invalid header", "", true, false,
		},
		{"a body over the cap", text(strings.Repeat("x", 2000)), TooLarge, 200, "a reply over the limit of 1000 bytes", strings.Repeat("x", 1000), true, false},
		{
			"a header over the cap", reply{status: 200, header: http.Header{"X-Big": {strings.Repeat("x", 70<<10)}}, body: "{}"},
			Protocol, 0, "no usable reply: ", "", true, true,
		},
		{
			"a redirect", reply{status: 302, header: http.Header{"Location": {"https://elsewhere.test/\u009b2Jx"}}},
			Redirect, 302, `status 302: a redirect to https://elsewhere.test/\u009b2Jx, not followed`, "", false, false,
		},
		{"a redirect to nowhere", reply{status: 304}, StatusOther, 304, "status 304", "", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ask := func(attempts int) (*server, *Result, *Error) {
				server := serve(t, test.reply, answer)
				tr := newTrial(t, server.URL)
				tr.Transport = carrier(t, transport.Options{Target: server.URL, MaxBody: 1000, ConnectTimeout: time.Minute})
				if test.reply.raw != "" && test.reply.reset {
					tr.Transport = telling{tr.Transport, server.got}
				}
				tr.Rule.Policy, tr.Rule.Attempts = retry.RetryAfter, attempts
				result, failed := tr.ask(t)
				return server, result, failed
			}
			server, result, failed := ask(2)
			at := result.Attempts[0]
			if at.Class != test.class || at.Status != test.status || at.Ambiguous != test.ambiguous {
				t.Errorf("%s, status %d, ambiguous %t: %v", at.Class, at.Status, at.Ambiguous, at.Err)
			}
			if at.Err == nil || !strings.HasPrefix(at.Err.Error(), test.message) {
				t.Errorf("%v, want %s", at.Err, test.message)
			}
			if again := server.count() == 2; again != test.again || (failed == nil) != test.again {
				t.Errorf("%d requests; %v", server.count(), failed)
			}
			_, result, failed = ask(1)
			if failed == nil || string(result.Body) != test.body || failed.Ambiguous != test.ambiguous || failed.GaveUp != test.again {
				t.Errorf("%q kept; %+v", result.Body, failed)
			}
		})
	}
}

// TestNoConnection holds what came of an attempt that never reached a server: nothing was sent, so nothing is ambiguous.
func TestNoConnection(t *testing.T) {
	dial := func(err error) http.RoundTripper {
		return carrier(t, transport.Options{
			Target: mustURL(t, "http://node.test"),
			Dial:   func(context.Context, string, string) (net.Conn, error) { return nil, err },
		})
	}
	nobody := unused(t)
	tests := []struct {
		name    string
		through http.RoundTripper
		class   Class
		message string
		again   bool
	}{
		{
			"refused", carrier(t, transport.Options{Target: nobody}), Connect,
			"cannot connect to " + nobody.Host + ": connection refused", true,
		},
		{
			"no such name", dial(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "node.test"}}), DNS,
			"no address for node.test: no such host", true,
		},
		{
			"no proxy", carrier(t, transport.Options{Target: nobody, Proxy: unused(t)}), Connect,
			"cannot connect through the proxy: connection refused", true,
		},
		{
			"connect timeout", dial(&transport.ConnectTimeoutError{Host: "node.test", Timeout: time.Second}), Timeout,
			"no connection to node.test within 1s", true,
		},
		{"timed out by the system", dial(os.ErrDeadlineExceeded), Timeout, "the connection timed out: i/o timeout", true},
		{
			"no trust", dial(&guard.TrustError{Host: "node.test", Reason: "its certificate expired on 2026-01-02"}), Trust,
			"no trust in node.test: its certificate expired on 2026-01-02", false,
		},
		{"plain http", dial(&guard.PlainHTTPError{Host: "node.test"}), PlainHTTP, "plain http to node.test", false},
		{"something else", dial(errors.New("strange")), Protocol, "no usable reply: strange", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, policy := range retry.Policies() {
				tr := newTrial(t, nobody)
				tr.Transport, tr.Rule.Policy = test.through, policy
				result, failed := tr.ask(t)
				if failed == nil || failed.Class != test.class || failed.Status != 0 || failed.Ambiguous || len(result.Body) != 0 {
					t.Fatalf("%s: %+v", policy, failed)
				}
				if at := result.last(); !strings.HasPrefix(at.Err.Error(), test.message) || at.Reason() != string(test.class) {
					t.Errorf("%s: %v, want %s", policy, at.Err, test.message)
				}
				again := test.again && policy != retry.Script
				if (len(result.Attempts) == 3) != again || failed.GaveUp != again {
					t.Errorf("%s: %d attempts, gave up %t", policy, len(result.Attempts), failed.GaveUp)
				}
			}
		})
	}
}

// pipe is a server on net.Pipe that lives in a synctest bubble: it reads one request a connection and then serves.
func pipe(t *testing.T, serve func(net.Conn)) http.RoundTripper {
	t.Helper()
	return carrier(t, transport.Options{
		Target:         mustURL(t, "http://node.test"),
		ConnectTimeout: 15 * time.Second,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				if r, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					serve(far)
				}
			}()
			return near, nil
		},
	})
}

// TestStall holds that the total timeout ends a server that says no more, before its header and within its body, at the
// exact time; that it is not retried; and that nothing goes on behind it: a goroutine left in the bubble fails the test.
func TestStall(t *testing.T) {
	const part = `{"completion":"hel`
	for name, said := range map[string]string{"before the header": "", "in the body": head + "Content-Length: 99\r\n\r\n" + part} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTrial(t, mustURL(t, "http://node.test"))
				tr.Clock, tr.Timeout, tr.Rule.Policy = realClock{}, 10*time.Minute, retry.RetryAfter
				tr.Transport = pipe(t, func(conn net.Conn) {
					_, _ = io.WriteString(conn, said)
					_, _ = io.Copy(io.Discard, conn)
				})
				result, failed := tr.ask(t)
				var over *DeadlineError
				if failed == nil || failed.Class != Timeout || !failed.Ambiguous || failed.GaveUp || !errors.As(failed, &over) || over.Timeout != 10*time.Minute {
					t.Fatalf("%v", failed)
				}
				if failed.Error() != "n: no whole answer within the timeout of 10m0s" {
					t.Error(failed)
				}
				if result.Latency != 10*time.Minute || len(result.Attempts) != 1 || result.Attempts[0].Latency != 10*time.Minute {
					t.Errorf("%s, %d attempts", result.Latency, len(result.Attempts))
				}
				if said != "" && string(result.Body) != part {
					t.Errorf("%q was kept", result.Body)
				}
			})
		})
	}
}

// TestCancelledInAnAttempt holds that a cancelled call ends at once and is not retried, whatever the status was.
func TestCancelledInAnAttempt(t *testing.T) {
	cause := errors.New("interrupted")
	for name, said := range map[string]string{
		"before the header": "", "in the body": head + "Content-Length: 99\r\n\r\n{",
		"in the body of a 401": "HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				tr := newTrial(t, mustURL(t, "http://node.test"))
				tr.Clock, tr.Timeout, tr.Rule.Policy = realClock{}, 10*time.Minute, retry.Backoff
				tr.Transport = pipe(t, func(conn net.Conn) {
					_, _ = io.WriteString(conn, said)
					_, _ = io.Copy(io.Discard, conn)
				})
				go func() {
					time.Sleep(42 * time.Second) // fake time
					cancel(cause)
				}()
				result, failed := tr.askIn(t, ctx, AsAnswer)
				if failed == nil || failed.Class != Cancelled || !errors.Is(failed, cause) || failed.GaveUp {
					t.Errorf("%v", failed)
				}
				if result.Latency != 42*time.Second || len(result.Attempts) != 1 {
					t.Errorf("%s, %d attempts", result.Latency, len(result.Attempts))
				}
			})
		})
	}
}

// TestTimeoutIsShared holds that attempts and waits share one timeout: what is left of it bounds the next attempt.
func TestTimeoutIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(t, mustURL(t, "http://node.test"))
		tr.Clock, tr.Timeout = realClock{}, time.Minute
		n := 0
		tr.Transport = pipe(t, func(conn net.Conn) {
			n++
			if n == 1 {
				time.Sleep(30 * time.Second)
				_, _ = io.WriteString(conn, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			_, _ = io.Copy(io.Discard, conn)
		})
		result, failed := tr.ask(t)
		if failed == nil || failed.Class != Timeout || result.Latency != time.Minute || len(result.Attempts) != 2 {
			t.Fatalf("%s, %v", result.Latency, failed)
		}
		if got := result.Attempts[1].Latency; got != 29*time.Second {
			t.Errorf("the second attempt had %s", got)
		}
	})
}

// TestNothingKeepsTheKey has a server that echoes the key in every place that it has, and looks through all that is
// kept of the call.
func TestNothingKeepsTheKey(t *testing.T) {
	q := func(format string) string { return fmt.Sprintf(strings.ReplaceAll(format, "KEY", "%[1]s"), canary) }
	echo := http.Header{
		"Request-Id": {canary}, "X-Echo": {"a " + canary}, "Set-Cookie": {"session=" + canary}, "Retry-After": {canary},
	}
	tests := []struct {
		name  string
		api   wire.API
		reply reply
	}{
		{"an answer", wire.Complete, reply{status: 200, header: echo, body: q(`{"completion":"KEY","id":"KEY","model":"KEY","stop_reason":"KEY"}`)}},
		{"an answer in blocks", wire.Messages, reply{status: 200, header: echo, body: q(`{"id":"KEY","content":[{"type":"text","text":"KEY"}],"stop_reason":"KEY"}`)}},
		{"a chat", wire.Chat, reply{status: 200, header: echo, body: q(`{"id":"KEY","choices":[{"message":{"content":"KEY"},"finish_reason":"KEY"}]}`)}},
		{"an error", wire.Messages, reply{status: 401, header: echo, body: q(`{"error":{"type":"KEY","code":"KEY","message":"bad key KEY"},"request_id":"KEY"}`)}},
		{"an error's request id", wire.Messages, reply{status: 401, body: q(`{"error":{"message":"m"},"request_id":"KEY"}`)}},
		{"an error without a message", wire.Complete, reply{status: 500, header: echo, body: q(`<p>KEY</p>`)}},
		{"an envelope", wire.Complete, reply{status: 200, header: echo, body: q(`{"status":401,"error":"KEY"}`)}},
		{"no answer", wire.Complete, reply{status: 200, header: echo, body: q(`<html>KEY</html>`)}},
		{"another shape", wire.Complete, reply{status: 200, header: echo, body: q(`{"text":"KEY"}`)}},
		{"cut", wire.Complete, reply{raw: head + "Content-Length: 1000\r\n\r\n" + canary}},
		{"a redirect", wire.Complete, reply{status: 302, header: http.Header{"Location": {"/?k=" + canary}, "X-Request-Id": {canary}}}},
		{"a malformed reply", wire.Complete, reply{raw: canary + "\r\n\r\n"}},
		{"a malformed header", wire.Complete, reply{raw: "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n"}},
		{"a malformed length", wire.Complete, reply{raw: "HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n"}},
		{"over the timeout", wire.Complete, reply{status: 429, header: echo, body: q(`{"error":{"message":"KEY"}}`)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := serve(t, test.reply)
			for _, reading := range []Reading{AsAnswer, AsBody} {
				tr := newTrial(t, server.URL)
				tr.node.API, tr.request.Model = test.api, "m"
				tr.Rule.Attempts = 2
				if test.name == "over the timeout" {
					tr.Timeout = time.Second
				}
				result, failed := tr.askIn(t, t.Context(), reading)
				if found := leaks(result, failed); len(found) > 0 {
					t.Errorf("%q", found)
				}
				if !strings.Contains(fmt.Sprint(stringsIn(result), failed), "***") {
					t.Errorf("nothing was masked: %q, %v", stringsIn(result), failed)
				}
				if failed != nil && strings.Contains(failed.Error()+failed.Hint(), canary) {
					t.Error(failed)
				}
			}
		})
	}
}

// TestRecord holds what an attempt says of its reply and of its connection.
func TestRecord(t *testing.T) {
	reply := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Set-Cookie"] = []string{"a=session", "b=session"}
			w.Header()["X-Two"] = []string{"2", "1"}
			w.Header().Set("X-Escape", "a\x9b31mb")
			w.Header().Set("Request-Id", "req_1")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	turns := []http.HandlerFunc{reply(503, "busy"), reply(200, `{"completion":"hello"}`)}
	hs := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := turns[0]
		turns = turns[1:]
		now(w, r)
	}))
	hs.Config.ErrorLog = log.New(io.Discard, "", 0)
	hs.StartTLS()
	defer hs.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hs.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	target := mustURL(t, hs.URL)
	tr := newTrial(t, target)
	tr.Transport = carrier(t, transport.Options{Target: target, TLS: transport.TLS{CA: ca}, ConnectTimeout: time.Minute})
	result, failed := tr.ask(t)
	if failed != nil || len(result.Attempts) != 2 {
		t.Fatalf("%d attempts, %v", len(result.Attempts), failed)
	}
	cold, warm := result.Attempts[0], result.Attempts[1]
	for _, at := range result.Attempts {
		if at.Remote != target.Host || at.TLS != "TLS 1.3" || at.RequestID != "req_1" || at.Phases.Wait <= 0 || at.Phases.Transfer <= 0 || at.Phases.DNS != 0 {
			t.Errorf("%+v", at)
		}
		parts := at.Phases.Connect + at.Phases.TLS + at.Phases.Wait + at.Phases.Transfer
		if at.Latency <= 0 || parts > at.Latency {
			t.Errorf("phases of %s in a latency of %s", parts, at.Latency)
		}
		var lines []string
		for _, f := range at.Header() {
			if f.Name != "date" && f.Name != "content-length" && f.Name != "content-type" {
				lines = append(lines, f.Name+": "+f.Public())
			}
		}
		want := `request-id: req_1|set-cookie: ***|set-cookie: ***|x-escape: a\x9b31mb|x-two: 2|x-two: 1`
		if got := strings.Join(lines, "|"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if cold.Reused || cold.Phases.Connect <= 0 || cold.Phases.TLS <= 0 || cold.HTTPStatus != 503 {
		t.Errorf("cold: %+v", cold)
	}
	if !warm.Reused || warm.Phases.Connect != 0 || warm.Phases.TLS != 0 || warm.HTTPStatus != 200 {
		t.Errorf("warm: %+v", warm)
	}
	if result.Latency < cold.Latency+time.Second+warm.Latency {
		t.Errorf("%s in all, with a wait of 1 s", result.Latency)
	}
	if !warm.Started.After(cold.Started.Add(time.Second)) {
		t.Errorf("started at %s and %s", cold.Started, warm.Started)
	}
}

// TestDNSPhase looks up localhost, which is in every hosts file.
func TestDNSPhase(t *testing.T) {
	server := serve(t, answer)
	target := mustURL(t, "http://localhost:"+server.URL.Port())
	tr := newTrial(t, target)
	result, failed := tr.ask(t)
	if failed != nil || result.last().Phases.DNS <= 0 {
		t.Errorf("%+v, %v", result.last().Phases, failed)
	}
}

// TestClientCertificateIsNotAmbiguous holds that a server that drops a request for want of a client certificate, which
// TLS 1.3 lets it say only after the request may have left, has not carried it out.
func TestClientCertificateIsNotAmbiguous(t *testing.T) {
	hs := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }))
	hs.Config.ErrorLog = log.New(io.Discard, "", 0)
	hs.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	hs.StartTLS()
	defer hs.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hs.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	target := mustURL(t, hs.URL)
	tr := newTrial(t, target)
	tr.Transport = carrier(t, transport.Options{Target: target, TLS: transport.TLS{CA: ca}, ConnectTimeout: time.Minute})
	tr.Rule.Policy = retry.Backoff
	result, failed := tr.ask(t)
	var trust *guard.TrustError
	if failed == nil || failed.Class != Trust || failed.Ambiguous || len(result.Attempts) != 1 || !errors.As(failed, &trust) {
		t.Errorf("%+v", failed)
	}
}

// TestNoGoroutineIsLeft looks for those of net/http after calls that ended in every way.
func TestNoGoroutineIsLeft(t *testing.T) {
	server := serve(t, answer, text("<html>"), status(500), reply{raw: head + "Content-Length: 100\r\n\r\n{"}, reply{reset: true},
		reply{raw: "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", stall: true})
	rt, err := transport.New(transport.Options{Target: server.URL, ConnectTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for range server.replies {
		tr := newTrial(t, server.URL)
		tr.Transport = rt
		tr.ask(t)
	}
	rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(stacks, []byte("net/http.(*persistConn)")) && !bytes.Contains(stacks, []byte("net/http.(*Transport)")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("net/http goes on:\n%s", stacks)
		}
	}
}
