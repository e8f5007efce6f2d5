package cmd_test

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// TestHeldFaultsHTTP3 runs a holder over HTTP/3 against the demo node's faults. Exit codes and requests are the same
// as for a direct ask, on the first attempt and on a later one. Faults that take as long as a time limit are left out,
// since these are real processes.
func TestHeldFaultsHTTP3(t *testing.T) {
	skipIfShort(t, "some eighty processes")
	ca := newAuthority(t, "ca", nil)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	var requests atomic.Int64
	var limited atomic.Bool
	node := demoNode(t)
	overHTTP3(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if limited.Swap(false) {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		node.ServeHTTP(w, r)
	}), socket)
	_, port, _ := net.SplitHostPort(socket.LocalAddr().String())
	settings := fmt.Sprintf("http3: only, proxy: none, tls: {ca: %q}", ca.file)
	r := newHoldRig(t, "https://localhost:"+port, settings)
	r.ask("ask", "warm").run().must()
	equal(t, "a second ask is held", heldBy(r.ask("ask", "hello", "-o", "json").run().must()).Attempts[0].Held, true)
	for _, c := range cellsOf(nil, func(fault wireFault) bool { return fault.query != "" && fault.name != "101" && fault.flags == nil }) {
		limited.Store(c.late)
		r.configure("https://localhost:"+port+"?"+c.fault.query, settings)
		r.runFault(c, &requests)
	}
}

// TestHeldFaults does the same over HTTP/1.1, with faults of bytes and of connections, on the first attempt and on a
// later one.
func TestHeldFaults(t *testing.T) {
	skipIfShort(t, "some four hundred processes")
	for _, c := range cellsOf(nil, func(fault wireFault) bool {
		return fault.flags == nil && fault.name != "line ends of CR alone" // an answer of the messages dialect; the node uses complete
	}) {
		t.Run(fmt.Sprintf("%s %s late %t", c.verb(), c.fault.name, c.late), func(t *testing.T) {
			server := newFaultServer(c.fault, c.stream, c.late)
			defer server.stop()
			newHoldRig(t, server.URL, "proxy: none").runFault(c, &server.requests)
		})
	}
}

// runFault makes a held call that gets a fault. If a connection is closed before a request, no request is counted.
func (r *holdRig) runFault(c cell, requests *atomic.Int64) {
	r.t.Helper()
	before := requests.Load()
	code, want := c.expected()
	got := r.ask(c.verb(), "hello", "--retry-delay", "0s", "-v").run()
	what := fmt.Sprintf("%s, %s, late %t", c.verb(), c.fault.name, c.late)
	errorIf(r.t, got.state.ExitCode() != code, "%s: exit code %d, want %d: %s",
		what, got.state.ExitCode(), code, got.stderr)
	if c.fault.accept == nil {
		equal(r.t, what+": requests", requests.Load()-before, want)
	}
}
