//go:build linux

package cmd_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestEarlyAnswer has a server answer a long prompt after the header of the request. The answer must be read.
func TestEarlyAnswer(t *testing.T) {
	skipIfShort(t, "prompts of 20 MB")
	closes := func(*rawConn) {}
	for _, tt := range []struct {
		name   string
		status int
		then   func(c *rawConn)
		ways   []string
	}{
		{"closes with unread data", 413, closes, linkWays},
		{"closes with unread data", 401, closes, []string{"ask"}},
		{"closes with unread data", 400, closes, []string{"ask"}},
		{"resets", 413, func(c *rawConn) { _ = c.SetLinger(0) }, []string{"ask", "hold"}},
		{"half-closes", 413, func(c *rawConn) { _ = c.CloseWrite(); <-c.node.over }, []string{"ask", "hold"}},
		{"stops reading", 413, func(c *rawConn) { <-c.node.over }, []string{"ask", "hold"}},
		{"reads on", 413, func(c *rawConn) { _, _ = io.Copy(io.Discard, c.in) }, []string{"ask", "hold"}},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.name), func(t *testing.T) {
			s := newRawNode(t, func(_ int64, c *rawConn) {
				for {
					r, ok := c.readHeader()
					if !ok {
						return
					}
					if r.ContentLength < 1<<20 { // the request that starts the holder
						_, _ = io.Copy(io.Discard, r.Body)
						c.send(rawAnswer("warm"))
						continue
					}
					c.send(rawReply(tt.status, `{"error":{"type":"too_large","message":"no more than 1 MB"}}`))
					tt.then(c)
					return
				}
			})
			r := newLinkRig(t, s.url)
			for _, way := range tt.ways {
				if way == "hold" {
					r.warm()
				}
				before := s.requests.Load()
				r.send(way, longPrompt()).want(1, "", fmt.Sprint("status ", tt.status)).want(1, "", "no more than 1 MB")
				equal(t, way+": requests", s.requests.Load()-before, 1)
				if line := r.lastAudit(); line.Status != tt.status || line.Ambiguous || line.Reconnects != 0 {
					t.Errorf("%s: the audit log says %+v, want status %d, sent once", way, line, tt.status)
				}
			}
		})
	}
}

// longPrompt is a prompt of 20 MB, more than the socket buffers hold.
var longPrompt = sync.OnceValue(func() string { return strings.Repeat("a long prompt of words. ", 20<<20/24) })

// otherAnswer is an answer that no request asked for. It must never be used as the answer to a later prompt.
var otherAnswer = rawAnswer("another prompt")

func TestSecondAnswerBetweenAttempts(t *testing.T) {
	for _, way := range []string{"ask", "stream", "batch"} {
		s := newPromptNode(t, func(n, _ int64, c *rawConn, prompt string) bool {
			if n == 1 {
				return c.send(rawReply(429, "{}") + otherAnswer)
			}
			return c.send(rawAnswer(prompt))
		})
		r := newLinkRig(t, s.url)
		r.send(way, "hello").is(way, 0, answerTo("hello"))
		equal(t, way+": requests", s.requests.Load(), 2)
		equal(t, way+": connections", s.connections.Load(), 2)
		if line := r.lastAudit(); line.Ambiguous || line.Reconnects != 0 || line.Attempts != 2 {
			t.Errorf("%s: the audit log says %+v, want 2 attempts, none ambiguous", way, line)
		}
	}
}

func TestSecondAnswerInABatch(t *testing.T) {
	for _, inFlight := range []string{"1", "4"} {
		s := newPromptNode(t, func(_, _ int64, c *rawConn, prompt string) bool { return c.send(rawAnswer(prompt) + otherAnswer) })
		const items = 20
		var prompts []string
		want := map[string]string{}
		for i := range items {
			prompts = append(prompts, fmt.Sprint("prompt ", i+1))
			want[fmt.Sprint(i+1)] = answerTo(prompts[i])
		}
		got := newLinkRig(t, s.url).batch(prompts, "-c", inFlight)
		got.must()
		equal(t, "answers", got.answers, want)
		equal(t, "requests", s.requests.Load(), items)
		atLeast(t, "connections", s.connections.Load(), items)
	}
}

// TestSecondAnswerInABench checks that a bench never reuses a connection on which a second response has arrived.
func TestSecondAnswerInABench(t *testing.T) {
	s := newPromptNode(t, func(_, k int64, c *rawConn, prompt string) bool {
		errorIf(t, k > 1, "%q came on a used connection, want a new one", prompt)
		return c.send(rawAnswer(prompt) + otherAnswer)
	})
	r := newLinkRig(t, s.url)
	ferry(t, r.env, "bench", "-q", "--connections", "reused", "-r", "10", "--warmup", "0", "-o", "csv", r.name).want(0, "", "")
	equal(t, "requests", s.requests.Load(), 10)
}

// TestKeptConnectionClosed has a server close a kept connection when another request arrives.
func TestKeptConnectionClosed(t *testing.T) {
	const once = "* a kept connection was closed before an answer arrived; the request was sent again on a new one\n"
	for _, tt := range []struct {
		name  string
		kept  func(c *rawConn) // what happens to another request on the first connection
		again bool             // whether the request is resent on a new connection
		sent  int64            // requests of the checked call
		class string
	}{
		{"closed", func(*rawConn) {}, true, 2, ""},
		{"reset", func(c *rawConn) { _ = c.SetLinger(0) }, true, 2, ""},
		{"closed, and the new one too", func(*rawConn) {}, false, 2, "reset"},
		{"closed after a byte", func(c *rawConn) { c.send("H") }, true, 1, "protocol"},
		{"closed after 103", func(c *rawConn) { c.send("HTTP/1.1 103 Early Hints\r\n\r\n") }, true, 1, "reset"},
		{"closed in the answer", func(c *rawConn) { c.send(rawAnswer("hello")[:90]) }, true, 1, "truncated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, way := range linkWays {
				var closed atomic.Bool
				s := newPromptNode(t, func(_, k int64, c *rawConn, prompt string) bool {
					switch {
					case closed.Load() && !tt.again:
						return false
					case k > 1 && strings.HasPrefix(prompt, "hello") && !closed.Load():
						closed.Store(true)
						tt.kept(c)
						return false
					case way != "hold" && way != "batch" && !closed.Load():
						return c.send(rawReply(429, "{}")) // the next attempt reuses the connection
					}
					return c.send(rawAnswer(prompt))
				})
				r := newLinkRig(t, s.url)
				var got linkAnswer
				before, attempts := int64(1), 2
				if way == "batch" {
					attempts = 1
					got = r.batch([]string{"first", "hello"}, "-c", "1").item("2")
				} else {
					if way == "hold" {
						r.warm()
						before, attempts = s.requests.Load(), 1
					}
					got = r.send(way, "hello", "-v")
				}
				want := auditLine{Attempts: attempts, Reconnects: int(tt.sent - 1), Class: tt.class, Ambiguous: true}
				if tt.class == "" || tt.class == "truncated" {
					want.Status = 200
				}
				if tt.class == "" {
					got.is(way, 0, answerTo("hello"))
				} else {
					want.Exit = 1
					got.want(1, "", "")
				}
				equal(t, way+": requests", s.requests.Load()-before, tt.sent)
				if way != "batch" {
					equal(t, way+": -v says that it was sent again", strings.Contains(got.stderr, once), tt.sent == 2)
				}
				equal(t, way+": the audit log", r.lastAudit(), want)
			}
		})
	}
}

// TestNewConnectionClosed checks that a request is never resent after a new connection was closed.
func TestNewConnectionClosed(t *testing.T) {
	for _, way := range []string{"ask", "stream", "batch"} {
		s := newRawNode(t, func(_ int64, c *rawConn) { c.request() })
		r := newLinkRig(t, s.url)
		r.send(way, "hello").want(1, "", "")
		equal(t, way+": requests", s.requests.Load(), 1)
		equal(t, way+": the audit log", r.lastAudit(), auditLine{Attempts: 1, Exit: 1, Class: "reset", Ambiguous: true})
	}
}

// TestNewConnectionAfter5xx expects a new connection after a 5xx, also one in the body, and the kept one after a 429.
func TestNewConnectionAfter5xx(t *testing.T) {
	for _, tt := range []struct {
		first, second string
		connections   int64
	}{
		{rawReply(502, "{}"), rawReply(503, "{}"), 3},
		{rawReply(200, `{"status":503}`), rawReply(200, `{"status":"504"}`), 3},
		{rawReply(503, `{"status":429}`), rawReply(429, "{}"), 2},
		{rawReply(429, "{}"), rawReply(200, `{"status":429}`), 1},
	} {
		for _, way := range linkWays {
			var count atomic.Int64
			s := newPromptNode(t, func(_, _ int64, c *rawConn, prompt string) bool {
				if prompt == "warm" {
					return c.send(rawAnswer(prompt))
				}
				replies := []string{tt.first, tt.second, rawAnswer(prompt)}
				return c.send(replies[min(count.Add(1), 3)-1])
			})
			r := newLinkRig(t, s.url)
			var before int64
			if way == "hold" {
				r.warm()
				before = s.connections.Load() - 1
			}
			r.send(way, "hello").is(way, 0, answerTo("hello"))
			equal(t, way+": requests", count.Load(), 3)
			equal(t, way+": connections", s.connections.Load()-before, tt.connections)
			equal(t, way+": the audit log", r.lastAudit(), auditLine{Status: 200, Attempts: 3})
		}
	}
}

// TestAnswerBeforeThePrompt checks that a 200 that arrives while most of the prompt is unsent is not used as its
// answer.
func TestAnswerBeforeThePrompt(t *testing.T) {
	skipIfShort(t, "prompts of 20 MB")
	for _, way := range []string{"ask", "stream", "batch"} {
		s := newRawNode(t, func(_ int64, c *rawConn) {
			if _, ok := c.readHeader(); ok {
				c.send(rawAnswer("early"))
				<-c.node.over
			}
		})
		r := newLinkRig(t, s.url)
		got := r.send(way, longPrompt())
		got.is(way, 1, "")
		got.want(1, "", "an answer arrived before the server had the request")
		if line := r.lastAudit(); !line.Ambiguous || line.Status != 0 {
			t.Errorf("%s: the audit log says %+v, want an ambiguous attempt without a status", way, line)
		}
	}
}
