package cmd_test

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// TestHeldFaultsHTTP3 meets a holder over HTTP/3 with the demo node's faults: exit codes and requests are those of a
// direct ask. What takes the time of a limit is left out, since these are real processes.
func TestHeldFaultsHTTP3(t *testing.T) {
	long(t, "some forty processes")
	ca := newAuthority(t, "ca", nil)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	var requests atomic.Int64
	node := demoNode(t)
	overHTTP3(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		node.ServeHTTP(w, r)
	}), socket)
	_, port, _ := net.SplitHostPort(socket.LocalAddr().String())
	settings := fmt.Sprintf("http3: only, proxy: none, tls: {ca: %q}", ca.file)
	r := newHoldRig(t, "https://localhost:"+port, settings)
	r.ask("ask", "warm").run().must()
	equal(t, "a second ask is held", heldBy(r.ask("ask", "hello", "-o", "json").run().must()).Attempts[0].Held, true)
	for _, verb := range []string{"ask", "stream"} {
		for _, fault := range wireFaults() {
			if fault.query == "" || fault.name == "101" || fault.flags != nil {
				continue
			}
			r.configure("https://localhost:"+port+"?"+fault.query, settings)
			r.meets(fault, verb, &requests)
		}
	}
}

// TestHeldFaults is the same over HTTP/1.1, with the faults of bytes and of connections.
func TestHeldFaults(t *testing.T) {
	long(t, "some two hundred processes")
	for _, verb := range []string{"ask", "stream"} {
		for _, fault := range wireFaults() {
			if fault.flags != nil || fault.name == "line ends of CR alone" { // an answer of messages; the node speaks complete
				continue
			}
			t.Run(verb+" "+fault.name, func(t *testing.T) {
				server := newFaultServer(fault, verb == "stream", false)
				defer server.stop()
				newHoldRig(t, server.URL, "proxy: none").meets(fault, verb, &server.requests)
			})
		}
	}
}

// meets makes a held call that meets a fault. A connection that is ended before a request has no request of its own.
func (r *holdRig) meets(fault wireFault, verb string, requests *atomic.Int64) {
	r.t.Helper()
	before := requests.Load()
	code, want := cell{fault: fault, stream: verb == "stream"}.wants()
	got := r.ask(verb, "hello", "--retry-delay", "0s", "-v").run()
	what := verb + ", " + fault.name
	errorIf(r.t, got.state.ExitCode() != code, "%s: exit code %d, want %d: %s",
		what, got.state.ExitCode(), code, got.stderr)
	if fault.accept == nil {
		equal(r.t, what+": requests", requests.Load()-before, want)
	}
}
