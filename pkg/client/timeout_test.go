package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/transport"
)

// TestStall checks that the timeout ends a stalled call at the exact time, before the header and within the body; that
// the call is not retried; and that it leaves no goroutine, which would fail the test in the bubble.
func TestStall(t *testing.T) {
	const part = `{"completion":"hel`
	for name, said := range map[string]string{"before the header": "", "in the body": head + "Content-Length: 99\r\n\r\n" + part} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newStalled(t, said)
				tr.Timeout, tr.Rule.Policy = 10*time.Minute, retry.RetryAfter
				result, failed := tr.ask(t)
				var over *DeadlineError
				if failed == nil || failed.Class != Timeout || !result.last().Ambiguous || failed.GaveUp || !errors.As(failed, &over) || over.Timeout != 10*time.Minute {
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

// TestCancelledInAnAttempt checks that a cancelled call ends at once and is not retried, whatever the status is.
func TestCancelledInAnAttempt(t *testing.T) {
	cause := errors.New("interrupted")
	for name, said := range map[string]string{
		"before the header": "", "in the body": head + "Content-Length: 99\r\n\r\n{",
		"in the body of a 401": "HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				tr := newStalled(t, said)
				tr.Timeout, tr.Rule.Policy = 10*time.Minute, retry.Backoff
				go func() {
					time.Sleep(4 * time.Second) // fake time
					cancel(cause)
				}()
				result, failed := tr.askIn(t, ctx, AsAnswer)
				if failed == nil || failed.Class != Cancelled || !errors.Is(failed, cause) || failed.GaveUp {
					t.Errorf("%v", failed)
				}
				if result.Latency != 4*time.Second || len(result.Attempts) != 1 {
					t.Errorf("%s, %d attempts", result.Latency, len(result.Attempts))
				}
			})
		})
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
