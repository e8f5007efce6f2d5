package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/transport"
)

// TestStall checks that the timeout, the idle timeout of a stream and a cancellation end a stalled call at the exact
// time, before the header and within the body, whatever the status is; that the call is not retried; and that it leaves
// no goroutine, which would fail the test in the bubble.
func TestStall(t *testing.T) {
	const (
		part      = `{"completion":"hel`
		cut       = head + "Content-Length: 99\r\n\r\n" + part
		rejected  = "HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n{"
		streamed  = streamHead + piece
		over      = "*client.DeadlineError: no whole answer within the timeout of 10m0s"
		cancelled = "*errors.errorString: interrupted"
		idle      = "*client.IdleError: no data arrived for 1m30s"
	)
	for name, test := range map[string]struct {
		said   string
		policy retry.Policy
		sink   Sink
		class  Class
		err    string
		took   time.Duration
		body   string
	}{
		"a timeout before the header":      {"", retry.RetryAfter, nil, Timeout, over, 10 * time.Minute, ""},
		"a timeout in the body":            {cut, retry.RetryAfter, nil, Timeout, over, 10 * time.Minute, part},
		"cancelled before the header":      {"", retry.Backoff, nil, Cancelled, cancelled, 4 * time.Second, ""},
		"cancelled in the body":            {cut, retry.Backoff, nil, Cancelled, cancelled, 4 * time.Second, part},
		"cancelled in the body of a 401":   {rejected, retry.Backoff, nil, Cancelled, cancelled, 4 * time.Second, "{"},
		"an idle stream before its header": {"", retry.Script, &listener{}, Timeout, idle, 90 * time.Second, ""},
		"an idle stream after text":        {streamed, retry.Script, &listener{}, Timeout, idle, 90 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				tr := newStalled(t, test.said)
				tr.Timeout, tr.IdleTimeout, tr.Rule.Policy = 10*time.Minute, 90*time.Second, test.policy
				if test.class == Cancelled {
					time.AfterFunc(test.took, func() { cancel(errors.New("interrupted")) })
				}
				result, err := tr.do(ctx, test.sink, AsAnswer)
				failed, ok := err.(*Error)
				if !ok || failed.Class != test.class || failed.GaveUp {
					t.Fatalf("got %v, want class %s", err, test.class)
				}
				got := fmt.Sprintf("%T: %v", failed.Err, failed.Err)
				errorIf(t, got != test.err, "got %s, want %s", got, test.err)
				errorIf(t, failed.Error() != "n: "+failed.Err.Error(), "%v", failed)
				if len(result.Attempts) != 1 || result.Latency != test.took || result.Attempts[0].Latency != test.took {
					t.Errorf("%s, %d attempts, want one of %s", result.Latency, len(result.Attempts), test.took)
				}
				if !result.last().Ambiguous && test.said != rejected {
					t.Error("the request may have been carried out, and the record does not say so")
				}
				errorIf(t, string(result.Body) != test.body, "%q was kept, want %q", result.Body, test.body)
			})
		})
	}
}

// TestStallBehindAnError checks that a body with an error status that stays open is waited for only 5 s, that its text
// is kept, and that the policy uses the status.
func TestStallBehindAnError(t *testing.T) {
	const words = `{"error":{"message":"slowly"}}`
	for _, test := range []struct {
		head, message string
		attempts      int
	}{
		{"429 Too Many", "n: gave up after 2 attempts: status 429: slowly", 2},
		{"401 No", "n: status 401: slowly", 1},
		{"302 Found\r\nLocation: https://elsewhere.test/", "n: status 302: a redirect to https://elsewhere.test/, not followed", 1},
	} {
		for _, sink := range []Sink{nil, &listener{}} {
			synctest.Test(t, func(t *testing.T) {
				tr := newStalled(t, "HTTP/1.1 "+test.head+"\r\n\r\n"+words)
				tr.IdleTimeout, tr.Rule.Policy, tr.Rule.Attempts = 90*time.Second, retry.RetryAfter, 2
				result, err := tr.do(t.Context(), sink, AsAnswer)
				if err == nil || err.Error() != test.message || len(result.Attempts) != test.attempts {
					t.Errorf("%s, streams %t: got %v after %d attempts, want %s after %d", test.head, sink != nil, err, len(result.Attempts), test.message, test.attempts)
				}
				for _, attempt := range result.Attempts {
					if attempt.Latency != rejectedWait {
						t.Errorf("%s, streams %t: an attempt took %s, want %s", test.head, sink != nil, attempt.Latency, rejectedWait)
					}
				}
			})
		}
	}
}

// TestTimeoutIsShared checks that attempts and waits share one timeout, which limits the next attempt.
func TestTimeoutIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(t, mustURL(t, "http://node.test"))
		tr.Timeout = time.Minute
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

// newStalled returns a trial in a synctest bubble. Its server sends some bytes and then stalls.
func newStalled(t *testing.T, said string) *trial {
	t.Helper()
	tr := newTrial(t, mustURL(t, "http://node.test"))
	tr.Transport = pipe(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, said)
		_, _ = io.Copy(io.Discard, conn)
	})
	return tr
}

// pipe returns a transport to a server on net.Pipe, for a synctest bubble. The server reads one request per connection
// and then calls serve.
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
