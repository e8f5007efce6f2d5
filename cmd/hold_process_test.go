//go:build linux

package cmd_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHoldTenInARow counts at the server: ten held calls, one after the other, are one TCP connection and one handshake;
// without --hold they are ten.
func TestHoldTenInARow(t *testing.T) {
	long(t, "forty processes and their holders")
	t.Parallel()
	for name, verbs := range map[string][]string{
		"ask": {"ask"}, "stream": {"stream"}, "both": {"ask", "stream", "stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := secureHoldRig(t)
			r.holder()
			for i := range 10 {
				prompt := fmt.Sprintf("prompt %d", i)
				call := r.call(r.ask(verbs[i%len(verbs)], prompt, "-v"))
				if call.code != 0 || call.stdout != answerTo(prompt)+"\n" {
					t.Errorf("exit code %d, %q: %s", call.code, call.stdout, call.stderr)
				}
				if !strings.Contains(call.stderr, "TLS 1.3, held connection\n") ||
					!strings.Contains(call.stderr, "(DNS 0 ms, connect 0 ms, TLS 0 ms, wait ") {
					t.Errorf("-v says %s", call.stderr)
				}
			}
			if c, h := server.connections.Load(), server.handshakes.Load(); c != 1 || h != 1 {
				t.Errorf("%d connections and %d handshakes, want one", c, h)
			}
		})
	}
	t.Run("the first one makes it", func(t *testing.T) {
		t.Parallel()
		r, server := secureHoldRig(t)
		first := r.must("first")
		phases := first.Attempts[0].Phases
		if !first.held() || phases.TLS == 0 || len(r.holders()) != 1 || server.connections.Load() != 1 {
			t.Errorf("held: %v, its phases are %+v; %d connections, holders %v", first.held(), phases, server.connections.Load(), r.holders())
		}
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		r, server := secureHoldRig(t)
		for i := range 10 {
			call := r.call(r.ferry("ask", "-n", r.node, "--no-stdin", "-o", "json", fmt.Sprint("prompt ", i)))
			if call.code != 0 || call.held() {
				t.Errorf("exit code %d, held: %v; %s", call.code, call.held(), call.stderr)
			}
		}
		if c, h := server.connections.Load(), server.handshakes.Load(); c != 10 || h != 10 || len(r.holders()) > 0 {
			t.Errorf("%d connections, %d handshakes, holders %v", c, h, r.holders())
		}
	})
}

// TestHoldManyAtOnce runs 50 processes at once, streams among them, twice: when there is no holder yet, and when there is
// one. Each gets its own answer, the server gets 50 requests, and one holder is started. A stream's first event is shown
// before the server says more.
func TestHoldManyAtOnce(t *testing.T) {
	long(t, "a hundred processes at once")
	server := newHoldServer(t, true)
	r := newHoldRig(t, server.URL+doGate, "tls: {ca: '"+server.ca+"'}")
	for _, name := range []string{"cold", "warm"} {
		requests := server.requests.Load()
		held := r.wave(name, server)
		if n := server.requests.Load() - requests; n != wavers {
			t.Errorf("%s: %d requests", name, n)
		}
		if all := r.holders(); len(all) != 1 {
			t.Errorf("%s: the holders %v", name, all)
		}
		if held != wavers {
			t.Errorf("%s: %d of %d were held", name, held, wavers)
		}
		t.Logf("%s: %d of %d were held; %d connections so far", name, held, wavers, server.connections.Load())
	}
}

const wavers = 50

// wave asks from so many processes at once, and gives how many of them were held.
func (r *holdRig) wave(name string, server *holdServer) int {
	r.t.Helper()
	var all sync.WaitGroup
	var held atomic.Int64
	for i := range wavers {
		verb, prompt := "ask", fmt.Sprintf("%s %d", name, i)
		if i%2 == 1 {
			verb = "stream"
		}
		c := r.ask(verb, prompt, "-v")
		stdout, err := c.StdoutPipe()
		check(r.t, err)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		check(r.t, c.Start())
		all.Go(func() {
			first := make([]byte, len(answerTo(prompt))/2)
			_, _ = io.ReadFull(stdout, first) // short where it failed
			if verb == "stream" {
				close(server.gate(prompt))
			}
			rest, _ := io.ReadAll(stdout)
			if err := c.Wait(); err != nil || string(first)+string(rest) != answerTo(prompt)+"\n" {
				r.t.Errorf("%s %q: %v, %q%q: %s", verb, prompt, err, first, rest, &stderr)
			}
			if n := server.times(prompt); n != 1 {
				r.t.Errorf("%q came %d times", prompt, n)
			}
			if said := stderr.String(); strings.Contains(said, "held connection") || strings.Contains(said, "held from now on") {
				held.Add(1)
			}
		})
	}
	all.Wait()
	return int(held.Load())
}

// TestHoldFirstEvent holds a stream to showing its first event before the server says more, held and not, and reports how
// long that takes from the start of the process. There is nothing to save on loopback but a handshake.
func TestHoldFirstEvent(t *testing.T) {
	long(t, "times streams from many processes")
	server := newHoldServer(t, true)
	r := newHoldRig(t, server.URL+doGate, "tls: {ca: '"+server.ca+"'}")
	r.holder()
	var took [2][]time.Duration // direct, held
	for i := range 22 {
		prompt := fmt.Sprint("event ", i)
		c := r.ask("stream", prompt)
		if i%2 == 0 {
			c = r.ferry("stream", "-n", r.node, "--no-stdin", prompt)
		}
		stdout, err := c.StdoutPipe()
		check(t, err)
		started := time.Now()
		check(t, c.Start())
		_, err = io.ReadFull(stdout, make([]byte, 1))
		took[i%2] = append(took[i%2], time.Since(started))
		close(server.gate(prompt))
		_, _ = io.Copy(io.Discard, stdout)
		if waited := c.Wait(); err != nil || waited != nil {
			t.Errorf("%v, %v", err, waited)
		}
	}
	var medians [2]time.Duration
	for i, all := range took {
		slices.Sort(all)
		medians[i] = all[len(all)/2]
	}
	t.Logf("first event, median: %v direct, %v held, %.2f times as long", medians[0], medians[1], float64(medians[1])/float64(medians[0]))
}

// TestHoldOtherSettings changes what makes a connection what it is: an old connection is never used for it.
func TestHoldOtherSettings(t *testing.T) {
	long(t, "a holder for each setting")
	r, server := secureHoldRig(t)
	r.holder()
	proxy, connects := connectProxy(t, nil)
	ca := "tls: {ca: '" + server.ca + "'"
	pin := pinned(t, server.TLS.Certificates[0].Certificate[0])
	for i, change := range []struct {
		name string
		do   func()
		more []string
	}{
		{"pins", func() { r.configure(server.URL, ca+"}, pins: '"+pin+"'") }, nil},
		{"floor", func() { r.configure(server.URL, ca+", min: '1.2'}") }, nil},
		{"authority", func() {
			text, err := os.ReadFile(server.ca)
			check(t, err)
			check(t, os.WriteFile(server.ca, append(text, '\n'), 0o600))
		}, nil},
		{"proxy", func() {}, []string{"--proxy", proxy}},
	} {
		change.do()
		connections := server.connections.Load()
		r.must(change.name+" first", change.more...)
		if n := server.connections.Load(); n == connections {
			t.Errorf("%s: over an old connection", change.name)
		}
		eventually(t, change.name+": another holder", func() bool { return len(r.holders()) == i+2 })
	}
	if connects.Load() == 0 {
		t.Error("the proxy was not used")
	}
}
