package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/transport"
)

const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

// partial is an answer that was cut.
const partial = `{"status":200,"completion":"hel`

// unanswered is one way not to get a complete answer, with the expected outcome.
type unanswered struct {
	name      string
	reply     reply
	class     Class
	status    int
	message   string
	body      string
	ambiguous bool
	again     bool
}

// TestCutAnswer checks each way to lose an answer during transfer: the class of the failure, whether it may be billed
// (Ambiguous), how much of it is kept, and whether the retry-after policy retries it. A clean cut by the server is a
// 200 without an answer and is retried. A reset in the middle of an answer never is (FACTS.md section 2).
func TestCutAnswer(t *testing.T) {
	checkUnanswered(t, []unanswered{
		{
			"shorter than its Content-Length", reply{raw: head + "Content-Length: 100\r\n\r\n" + partial},
			Truncated, 200, "the answer was cut after 31 bytes", partial, true, true,
		},
		{
			"a chunk cut", reply{raw: head + "Transfer-Encoding: chunked\r\n\r\n1f\r\n" + partial + "\r\n"},
			Truncated, 200, "the answer was cut after 31 bytes", partial, true, true,
		},
		{
			"a cut that looks like an end", reply{raw: head + "Connection: close\r\n\r\n" + partial},
			Truncated, 200, "status 200 with a JSON body that was cut short", partial, true, true,
		},
		{
			"a cut by a proxy, well-formed", reply{raw: head + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n" + partial + "\r\n0\r\n\r\n"},
			Truncated, 200, "status 200 with a JSON body that was cut short", partial, true, true,
		},
		{
			"a reset in the middle", reply{raw: head + "Content-Length: 100\r\n\r\n" + partial, reset: true},
			Truncated, 200, "the connection was reset after 31 bytes of the answer", partial, true, false,
		},
		{"a reset before an answer", reply{reset: true}, Reset, 0, "the connection was closed before an answer arrived", "", true, true},
		{"closed before an answer", reply{hangup: true}, Reset, 0, "the connection was closed before an answer arrived", "", true, true},
		{
			"closed within the header", reply{raw: head},
			Reset, 0, "the connection was closed before an answer arrived", "", true, true,
		},
		{"no HTTP", reply{raw: "SSH-2.0-x\r\n\r\n"}, Protocol, 0, "no usable reply: ", "", true, true},
	})
}

// TestNoAnswer checks the same for replies that arrive completely but are no answer, and for incomplete errors.
func TestNoAnswer(t *testing.T) {
	checkUnanswered(t, []unanswered{
		{
			"the header of a 429, and then nothing whole", reply{raw: "HTTP/1.1 429 Too Many\r\nContent-Length: 100\r\n\r\n" + partial},
			RateLimited, 429, "status 429", partial, false, true,
		},
		{
			"the header of a 401, and then nothing whole", reply{raw: "HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n{"},
			Status4xx, 401, "status 401", "{", false, false,
		},
		{"101", reply{raw: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", stall: true}, StatusOther, 101, "status 101", "", false, false},
		{"204", reply{status: 204}, StatusOther, 204, "status 204", "", false, false},
		{"an empty 200", body(""), NotAnAnswer, 200, "status 200 with an empty body", "", false, true},
		{"HTML", body("<html>hi</html>"), NotAnAnswer, 200, "status 200 with an HTML page", "<html>hi</html>", false, true},
		{
			"bad gzip", reply{status: 200, header: http.Header{"Content-Encoding": {"gzip"}}, body: "this is no gzip"},
			NotAnAnswer, 200, "the reply has Content-Encoding gzip but is not gzip: gzip: invalid header", "", true, false,
		},
		{
			"brotli", reply{status: 200, header: http.Header{"Content-Encoding": {"br"}}, body: "\x0b\x02\x80hello\x03"},
			NotAnAnswer, 200, "status 200 with a body in the encoding br", "\x0b\x02\x80hello\x03", true, false,
		},
		{
			"gzip twice", reply{status: 200, header: http.Header{"Content-Encoding": {"gzip, gzip"}}, body: "\x1f\x8b\x08"},
			NotAnAnswer, 200, "status 200 with a body in the encoding gzip, gzip", "\x1f\x8b\x08", true, false,
		},
		{"gzip that no header names", body("\x1f\x8b\x08"), NotAnAnswer, 200, "status 200 with a body in the encoding gzip", "\x1f\x8b\x08", true, false},
		{"a body over the cap", body(strings.Repeat("x", 2000)), TooLarge, 200, "a reply is over 1000 bytes", strings.Repeat("x", 1000), true, false},
		{
			"a header over the cap", reply{status: 200, header: http.Header{"X-Big": {strings.Repeat("x", 70<<10)}}, body: "{}"},
			TooLarge, 0, "a reply's header is over 64 KiB", "", true, true,
		},
		{
			"a redirect", reply{status: 302, header: http.Header{"Location": {"https://elsewhere.test/\u009b2Jx"}}},
			Redirect, 302, `status 302: a redirect to https://elsewhere.test/\u009b2Jx, not followed`, "", false, false,
		},
		{"a redirect to nowhere", reply{status: 304}, StatusOther, 304, "status 304", "", false, false},
	})
}

func checkUnanswered(t *testing.T, tests []unanswered) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ask := func(attempts int) (*server, *Result, *Error) {
				tr, server := newServed(t, test.reply, answer)
				tr.Transport = carrier(t, transport.Options{Target: server.URL, MaxBody: 1000, ConnectTimeout: time.Minute})
				if test.reply.raw != "" && test.reply.reset {
					tr.Transport = notifyingTransport{tr.Transport, server.got}
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
			if failed == nil || string(result.Body) != test.body || result.last().Ambiguous != test.ambiguous || failed.GaveUp != test.again {
				t.Errorf("%q kept; %+v", result.Body, failed)
			}
		})
	}
}

// TestNoConnection checks attempts that never reach a server: nothing was sent, so nothing is ambiguous.
func TestNoConnection(t *testing.T) {
	dial := func(err error) http.RoundTripper {
		return carrier(t, transport.Options{
			Target: mustURL(t, "http://node.test"),
			Dial:   func(context.Context, string, string) (net.Conn, error) { return nil, err },
		})
	}
	nobody := unused(t)
	for _, test := range []struct {
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
			"cannot connect through the proxy http://127.0.0.1:", true,
		},
		{
			"connect timeout", dial(&transport.ConnectTimeoutError{Host: "node.test", Timeout: time.Second}), Timeout,
			"no connection to node.test within 1s", true,
		},
		{
			"no such proxy", dial(&transport.ProxyError{
				Text: "no address for the proxy http://p.test:1: no such host", Err: &net.DNSError{Err: "no such host", Name: "p.test"},
			}), DNS, "no address for the proxy http://p.test:1: no such host", true,
		},
		{"timed out by the system", dial(os.ErrDeadlineExceeded), Timeout, "the connection timed out: i/o timeout", true},
		{
			"no trust", dial(&guard.TrustError{Host: "node.test", Reason: "its certificate expired on 2026-01-02"}), Trust,
			"TLS certificate of node.test rejected: its certificate expired on 2026-01-02", false,
		},
		{"plain http", dial(&guard.PlainHTTPError{Host: "node.test"}), PlainHTTP, "plain http to node.test", false},
		{"something else", dial(errors.New("strange")), Protocol, "no usable reply: strange", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, policy := range retry.Policies() {
				tr := newTrial(t, nobody)
				tr.Transport, tr.Rule.Policy = test.through, policy
				result, failed := tr.ask(t)
				if failed == nil || failed.Class != test.class || failed.Status != 0 || result.last().Ambiguous || len(result.Body) != 0 {
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

// TestClientCertificateIsNotAmbiguous checks that a request is not ambiguous if the server rejects it because a client
// certificate is missing. With TLS 1.3 the server can report that only after the request may have been sent.
func TestClientCertificateIsNotAmbiguous(t *testing.T) {
	hs := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }))
	hs.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	tr := newTLSTrial(t, hs)
	tr.Rule.Policy = retry.Backoff
	result, failed := tr.ask(t)
	if failed == nil || failed.Class != Trust || result.last().Ambiguous || len(result.Attempts) != 1 || !errors.As(failed, new(*guard.TrustError)) {
		t.Errorf("%+v", failed)
	}
}
