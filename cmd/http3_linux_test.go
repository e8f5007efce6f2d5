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
	for _, fault := range wireFaults() {
		if fault.query == "" || fault.name == "101" || fault.flags != nil {
			continue
		}
		r.configure("https://localhost:"+port+"?"+fault.query, settings)
		before := requests.Load()
		code, want := cell{fault: fault}.wants()
		got := r.ask("ask", "hello", "--retry-delay", "0s", "-v").run()
		errorIf(t, got.state.ExitCode() != code, "%s: exit code %d, want %d: %s", fault.name, got.state.ExitCode(), code, got.stderr)
		equal(t, fault.name+": requests", requests.Load()-before, want)
	}
}
