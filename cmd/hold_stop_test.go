//go:build linux

package cmd_test

import (
	"syscall"
	"testing"
	"time"
)

// TestHoldStopped stops a holder, as a machine that is short of memory does: an ask goes directly and does not wait long,
// and what the holder finds when it goes on is sent to nobody.
func TestHoldStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("long: waits for a holder that is stopped")
	}
	t.Parallel()
	r, server := secureHoldRig(t)
	pid := r.holder()
	r.signal(pid, syscall.SIGSTOP)
	started := time.Now()
	call := r.must("direct")
	if took := time.Since(started); call.held() || took > patience/2 || call.stderr != "" {
		t.Errorf("held: %v, after %v: %s", call.held(), took, call.stderr)
	} else {
		t.Logf("an ask takes %v past a holder that is stopped", took)
	}
	r.signal(pid, syscall.SIGCONT)
	if r.holder() != pid {
		t.Error("another holder")
	}
	if n := server.times("direct"); n != 1 {
		t.Errorf("%d times at the server", n)
	}
	t.Run("with a request", func(t *testing.T) {
		c, stdout := r.stopped(server, doStall, "ask", "hello", "1s")
		r.signal(pid, syscall.SIGSTOP)
		r.fails(c, readAll(stdout), []string{"timeout"})
		r.signal(pid, syscall.SIGCONT)
		r.configure(server.URL, "tls: {ca: '"+server.ca+"'}")
		if r.holder() != pid || server.times("hello") != 1 {
			t.Errorf("another holder, or %d times at the server", server.times("hello"))
		}
	})
}
