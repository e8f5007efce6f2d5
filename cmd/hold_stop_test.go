//go:build linux

package cmd_test

import (
	"bytes"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHoldStopped stops a holder, as a machine that is short of memory does: an ask goes directly and does not wait long,
// and what the holder finds when it goes on is sent to nobody.
func TestHoldStopped(t *testing.T) {
	long(t, "waits for a holder that is stopped")
	t.Parallel()
	r, server := secureHoldRig(t)
	pid := r.holder()
	r.signal(pid, syscall.SIGSTOP)
	ask := r.ask("ask", "direct", "-o", "json")
	ask.Env = append(ask.Env, usualWaits+"=yes")
	started := time.Now()
	call := r.call(ask)
	if call.code != 0 || call.Text != answerTo("direct") || call.held() || call.stderr != "" {
		t.Errorf("exit code %d, %q, held: %v: %s", call.code, call.Text, call.held(), call.stderr)
	}
	t.Logf("an ask takes %v past a holder that is stopped", time.Since(started))
	r.signal(pid, syscall.SIGCONT)
	if r.holder() != pid {
		t.Error("another holder")
	}
	if n := server.times("direct"); n != 1 {
		t.Errorf("%d times at the server", n)
	}
	t.Run("with a request, for ever", func(t *testing.T) {
		usual := *r
		usual.env = append(slices.Clone(r.env), usualWaits+"=yes")
		c, stdout := usual.stopped(server, doStall, "ask", "hello, hello", "1m")
		r.signal(pid, syscall.SIGSTOP)
		r.fails(c, readAll(stdout), []string{"reset"})
		if said := c.Stderr.(*bytes.Buffer).String(); !strings.Contains(said, "the process that holds it does not answer") {
			t.Errorf("it says %s", said)
		}
		r.signal(pid, syscall.SIGCONT)
		r.configure(server.URL, "tls: {ca: '"+server.ca+"'}")
		if r.holder() != pid || server.times("hello, hello") != 1 {
			t.Errorf("another holder, or %d times at the server", server.times("hello, hello"))
		}
	})
	t.Run("with a request", func(t *testing.T) {
		c, stdout := r.stopped(server, doStall, "ask", "hello", "10s") // of which a busy machine may need some to send it
		r.signal(pid, syscall.SIGSTOP)
		r.fails(c, readAll(stdout), []string{"timeout"})
		r.signal(pid, syscall.SIGCONT)
		r.configure(server.URL, "tls: {ca: '"+server.ca+"'}")
		if r.holder() != pid || server.times("hello") != 1 {
			t.Errorf("another holder, or %d times at the server", server.times("hello"))
		}
	})
}
