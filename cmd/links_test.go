//go:build linux

package cmd_test

import (
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestEarlyAnswer has a server that answers a long prompt when it has read the head of the request. The answer is read,
// whatever the server does to the connection then.
func TestEarlyAnswer(t *testing.T) {
	long(t, "prompts of 20 MB")
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
					r, ok := c.begun()
					if !ok {
						return
					}
					if r.ContentLength < 1<<20 { // that of warm
						_, _ = io.Copy(io.Discard, r.Body)
						c.say(rawAnswer("warm"))
						continue
					}
					c.say(rawReply(tt.status, `{"error":{"type":"too_large","message":"no more than 1 MB"}}`))
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
				code, _, said := r.send(way, longPrompt())
				if code != 1 || !strings.Contains(said, fmt.Sprint("status ", tt.status)) || !strings.Contains(said, "no more than 1 MB") {
					t.Errorf("%s: exit code %d, want 1 and the words of the %d; %s", way, code, tt.status, said)
				}
				if n := s.requests.Load() - before; n != 1 {
					t.Errorf("%s: %d requests, want 1", way, n)
				}
				if line := r.lastAudit(); line.Status != tt.status || line.Ambiguous || line.Reconnects != 0 {
					t.Errorf("%s: the audit log says %+v", way, line)
				}
			}
		})
	}
}

// longPrompt is one of 20 MB, more than the sockets between take.
var longPrompt = sync.OnceValue(func() string { return strings.Repeat("a long prompt of words. ", 20<<20/24) })

// quietHTTP takes the log away in which net/http notes what no request asked for, as ferry's own main does.
func quietHTTP(t *testing.T) {
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
}

// otherAnswer is what a server sends that no request asked for. It ends the connection, and is never the answer to a later
// prompt.
var otherAnswer = rawAnswer("another prompt")

func TestSecondAnswerBetweenAttempts(t *testing.T) {
	quietHTTP(t)
	for _, way := range []string{"ask", "stream", "batch"} {
		s := newRawNode(t, func(n int64, c *rawConn) {
			for {
				prompt, ok := c.request()
				switch {
				case !ok:
					return
				case n == 1:
					c.say(rawReply(429, "{}") + otherAnswer)
				default:
					c.say(rawAnswer(prompt))
				}
			}
		})
		r := newLinkRig(t, s.url)
		code, answer, said := r.send(way, "hello")
		if code != 0 || answer != answerTo("hello") || s.connections.Load() != 2 || s.requests.Load() != 2 {
			t.Errorf("%s: exit code %d, %q, %d requests on %d connections, want the answer after 2 on 2; %s",
				way, code, answer, s.requests.Load(), s.connections.Load(), said)
		}
		if line := r.lastAudit(); line.Ambiguous || line.Reconnects != 0 || line.Attempts != 2 {
			t.Errorf("%s: the audit log says %+v", way, line)
		}
	}
}

func TestSecondAnswerInABatch(t *testing.T) {
	quietHTTP(t)
	for _, inFlight := range []string{"1", "4"} {
		s := newRawNode(t, func(_ int64, c *rawConn) {
			for {
				prompt, ok := c.request()
				if !ok {
					return
				}
				c.say(rawAnswer(prompt) + otherAnswer)
			}
		})
		const items = 20
		var prompts []string
		for i := range items {
			prompts = append(prompts, fmt.Sprint("prompt ", i+1))
		}
		code, answers, said := newLinkRig(t, s.url).batch(prompts, "-c", inFlight)
		if code != 0 || len(answers) != items || s.requests.Load() != items || s.connections.Load() < items {
			t.Errorf("exit code %d, %d answers to %d requests on %d connections, want %d of each, or more connections; %s",
				code, len(answers), s.requests.Load(), s.connections.Load(), items, said)
		}
		for i, prompt := range prompts {
			if got := answers[fmt.Sprint(i+1)]; got != answerTo(prompt) {
				t.Errorf("item %d has %q", i+1, got)
			}
		}
	}
}

// TestSecondAnswerInABench holds that no request of a bench goes over a connection that has a second response on it.
func TestSecondAnswerInABench(t *testing.T) {
	quietHTTP(t)
	s := newRawNode(t, func(_ int64, c *rawConn) {
		for used := false; ; used = true {
			prompt, ok := c.request()
			if !ok {
				return
			}
			if used {
				t.Errorf("%q came on a used connection", prompt)
			}
			c.say(rawAnswer(prompt) + otherAnswer)
		}
	})
	r := newLinkRig(t, s.url)
	code, stdout, said := run(t, r.env, "bench", "-q", "--connections", "reused", "-r", "10", "--warmup", "0", "-o", "csv", r.name)
	if code != 0 || s.requests.Load() != 10 {
		t.Errorf("exit code %d after %d requests, want 0 after 10; %s%s", code, s.requests.Load(), stdout, said)
	}
}

// TestSecondAnswerOnAnIdleConnection has two items asked at once. The first is answered, then the second response comes on its
// connection, and the second item is told to come again.
func TestSecondAnswerOnAnIdleConnection(t *testing.T) {
	quietHTTP(t)
	var both sync.WaitGroup
	both.Add(2)
	sent := make(chan struct{})
	s := newRawNode(t, func(n int64, c *rawConn) {
		for k := 1; ; k++ {
			prompt, ok := c.request()
			if !ok {
				return
			}
			if n > 2 || k > 1 {
				c.say(rawAnswer(prompt))
				continue
			}
			both.Done()
			both.Wait()
			if n == 1 {
				c.say(rawAnswer(prompt))
				c.say(otherAnswer)
				close(sent)
				continue
			}
			<-sent
			c.say("HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
			return
		}
	})
	code, answers, said := newLinkRig(t, s.url).batch([]string{"one", "two"}, "-c", "2")
	if code != 0 || answers["1"] != answerTo("one") || answers["2"] != answerTo("two") || s.connections.Load() < 3 {
		t.Errorf("exit code %d, %q, %d connections, want 3 at least; %s", code, answers, s.connections.Load(), said)
	}
}

func TestSecondAnswerHeld(t *testing.T) {
	quietHTTP(t)
	for name, second := range map[string]func(c *rawConn, prompt string, answered <-chan struct{}){
		"in one write": func(c *rawConn, prompt string, answered <-chan struct{}) {
			c.say(rawAnswer(prompt) + otherAnswer)
			<-answered
		},
		"in two writes": func(c *rawConn, prompt string, answered <-chan struct{}) {
			c.say(rawAnswer(prompt))
			c.say(otherAnswer)
			<-answered
		},
		"on an idle connection": func(c *rawConn, prompt string, answered <-chan struct{}) {
			c.say(rawAnswer(prompt))
			<-answered
			c.say(otherAnswer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			answered, sent := make(chan struct{}), make(chan struct{})
			s := newRawNode(t, func(_ int64, c *rawConn) {
				for {
					prompt, ok := c.request()
					switch {
					case !ok:
						return
					case strings.HasPrefix(prompt, "twice"):
						second(c, prompt, answered)
						sent <- struct{}{}
					default:
						c.say(rawAnswer(prompt))
					}
				}
			})
			r := newLinkRig(t, s.url)
			r.warm()
			for i := range 5 {
				for k, prompt := range []string{fmt.Sprint("twice ", i), fmt.Sprint("once ", i)} {
					code, answer, said := r.send("hold", prompt)
					if code != 0 || answer != answerTo(prompt) {
						t.Errorf("exit code %d, %q, want the answer to %q; %s", code, answer, prompt, said)
					}
					if n := r.lastAudit(); n.Ambiguous || n.Reconnects != 0 {
						t.Errorf("the audit log says %+v", n)
					}
					if k == 0 {
						answered <- struct{}{}
						<-sent
					}
				}
			}
			if n := int64(len(s.asked())); n != s.requests.Load() {
				t.Errorf("%d requests, %d prompts", s.requests.Load(), n)
			}
		})
	}
}

// TestKeptConnectionClosed has a server that closes a kept connection when a further request comes. Where no byte of an
// answer came, the request is sent once more on a new connection, and that is said.
func TestKeptConnectionClosed(t *testing.T) {
	const once = "* a kept connection was closed before an answer came; asked once more on a new one\n"
	for _, tt := range []struct {
		name  string
		kept  func(c *rawConn) // what becomes of a further request on the first connection
		again bool             // whether it is answered on a new one
		sent  int64            // requests of the call that is looked at
		class string
	}{
		{"closed", func(*rawConn) {}, true, 2, ""},
		{"reset", func(c *rawConn) { _ = c.SetLinger(0) }, true, 2, ""},
		{"closed, and the new one too", func(*rawConn) {}, false, 2, "reset"},
		{"closed after a byte", func(c *rawConn) { c.say("H") }, true, 1, "protocol"},
		{"closed after 103", func(c *rawConn) { c.say("HTTP/1.1 103 Early Hints\r\n\r\n") }, true, 1, "reset"},
		{"closed in the answer", func(c *rawConn) { c.say(rawAnswer("hello")[:90]) }, true, 1, "truncated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, way := range linkWays {
				var closed atomic.Bool
				s := newRawNode(t, func(_ int64, c *rawConn) {
					for k := 1; ; k++ {
						prompt, ok := c.request()
						switch {
						case !ok:
							return
						case closed.Load() && !tt.again:
							return
						case k > 1 && strings.HasPrefix(prompt, "hello") && !closed.Load():
							closed.Store(true)
							tt.kept(c)
							return
						case way != "hold" && way != "batch" && !closed.Load():
							c.say(rawReply(429, "{}")) // the next attempt finds the connection kept
						default:
							c.say(rawAnswer(prompt))
						}
					}
				})
				r := newLinkRig(t, s.url)
				var code int
				var answer, said string
				before, attempts := int64(1), 2
				switch way {
				case "hold":
					r.warm()
					before, attempts = s.requests.Load(), 1
					code, answer, said = r.send(way, "hello", "-v")
				case "batch":
					var answers map[string]string
					attempts = 1
					code, answers, said = r.batch([]string{"first", "hello"}, "-c", "1")
					answer = answers["2"]
				default:
					code, answer, said = r.send(way, "hello", "-v")
				}
				good := tt.class == ""
				if want := map[bool]int{true: 0, false: 1}[good]; code != want || good && answer != answerTo("hello") {
					t.Errorf("%s: exit code %d, %q, want %d; %s", way, code, answer, want, said)
				}
				if n := s.requests.Load() - before; n != tt.sent {
					t.Errorf("%s: %d requests, want %d", way, n, tt.sent)
				}
				if way != "batch" && strings.Contains(said, once) != (tt.sent == 2) {
					t.Errorf("%s: -v says %s", way, said)
				}
				want := auditLine{Attempts: attempts, Exit: code, Reconnects: int(tt.sent - 1), Class: tt.class, Ambiguous: true}
				if good || tt.class == "truncated" {
					want.Status = 200
				}
				if line := r.lastAudit(); line != want {
					t.Errorf("%s: the audit log says %+v, want %+v", way, line, want)
				}
			}
		})
	}
}

// TestNewConnectionClosed holds that a request is never sent again after a new connection was closed.
func TestNewConnectionClosed(t *testing.T) {
	for _, way := range []string{"ask", "stream", "batch"} {
		s := newRawNode(t, func(_ int64, c *rawConn) { c.request() })
		r := newLinkRig(t, s.url)
		code, _, said := r.send(way, "hello")
		if code != 1 || s.requests.Load() != 1 {
			t.Errorf("%s: exit code %d after %d requests, want 1 after 1; %s", way, code, s.requests.Load(), said)
		}
		if line := r.lastAudit(); line != (auditLine{Attempts: 1, Exit: 1, Class: "reset", Ambiguous: true}) {
			t.Errorf("%s: the audit log says %+v", way, line)
		}
	}
}

// TestNewConnectionAfter5xx has an answer after two failures. After a 5xx, in the body too, the next attempt takes a new
// connection; after a 429 it takes the one that is kept.
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
			s := newRawNode(t, func(_ int64, c *rawConn) {
				for {
					prompt, ok := c.request()
					switch {
					case !ok:
						return
					case prompt == "warm":
						c.say(rawAnswer(prompt))
						continue
					}
					switch count.Add(1) {
					case 1:
						c.say(tt.first)
					case 2:
						c.say(tt.second)
					default:
						c.say(rawAnswer(prompt))
					}
				}
			})
			r := newLinkRig(t, s.url)
			var before int64
			if way == "hold" {
				r.warm()
				before = s.connections.Load() - 1
			}
			code, answer, said := r.send(way, "hello")
			if code != 0 || answer != answerTo("hello") || count.Load() != 3 || s.connections.Load()-before != tt.connections {
				t.Errorf("%s: exit code %d, %q, %d requests on %d connections, want 3 on %d; %s",
					way, code, answer, count.Load(), s.connections.Load()-before, tt.connections, said)
			}
			if line := r.lastAudit(); line != (auditLine{Status: 200, Attempts: 3}) {
				t.Errorf("%s: the audit log says %+v", way, line)
			}
		}
	}
}
