package cmd_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"ferry/pkg/bench"

	"github.com/quic-go/quic-go/http3"
)

// overHTTP3 serves a handler over HTTP/3. The configuration file in env has the server as node far.
func overHTTP3(t *testing.T, ca *authority, handler http.Handler, socket net.PacketConn) (env map[string]string) {
	config := &tls.Config{Certificates: []tls.Certificate{ca.issueFor(t, "localhost")}}
	over := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(config)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = over.Serve(socket) }() // until the socket is closed
	t.Cleanup(func() { over.Close(); socket.Close(); <-ended })
	_, port, _ := net.SplitHostPort(socket.LocalAddr().String())
	env = withConfig(t, fmt.Sprintf("nodes: {far: {url: \"https://localhost:%s\", key: \"env:K\", http3: true, proxy: none, tls: {ca: %q}}}\n",
		port, ca.file), nil)
	env["K"] = canaryKey
	return env
}

// TestFaultMatrixHTTP3 runs ferry against the faults over HTTP/3, with the same exit codes, requests and output as
// over TCP. Faults in the bytes of HTTP/1.1 or in a TCP connection are left out, because HTTP/3 cannot have them. So
// is status 101 (RFC 9114 section 4.5).
func TestFaultMatrixHTTP3(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cells := cellsOf(ca, func(fault wireFault) bool {
		return fault.query != "" && fault.name != "101" && (!testing.Short() || fault.flags == nil)
	})
	atLeast(t, "cells", len(cells), 80)
	var all sync.WaitGroup
	for _, c := range cells {
		if slices.Contains(c.fault.flags, "--timeout") {
			all.Go(func() { t.Log(c.run(t)) })
		} else {
			t.Log(c.run(t))
		}
	}
	all.Wait()
}

// TestBenchHTTP3 compares a node with the same node over HTTP/3.
func TestBenchHTTP3(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	var s *server
	var socket net.PacketConn
	for socket == nil { // another process may use the port over UDP
		s = serve(t, nil, withTLS(&tls.Config{Certificates: []tls.Certificate{ca.issueFor(t, "localhost")}}))
		socket, _ = net.ListenPacket("udp", s.Listener.Addr().String())
	}
	env := overHTTP3(t, ca, s.Config.Handler, socket)
	saved := filepath.Join(t.TempDir(), "run.jsonl")
	r := ferry(t, env, "bench", "-r", "3", "--save", saved, "-o", "json", "--threshold", "far+http3:success>=100%", "far", "far+http3").must()
	for _, name := range []string{`"far"`, `"far+http3"`} {
		contains(t, "the report", r.stdout, name)
	}
	count := map[string]int{}
	for _, asked := range s.newRequests() {
		count[asked.Proto]++
	}
	equal(t, "requests by protocol", count, map[string]int{"HTTP/1.1": 4, "HTTP/3.0": 4})
	runs, err := bench.ReadFiles([]string{saved}, nil)
	check(t, err)
	equal(t, "nodes of the saved run", len(runs[0].Header.Nodes), 2)
	for i, want := range []bench.Node{{Name: "far"}, {Name: "far+http3", HTTP3: "only"}} {
		n, row := runs[0].Header.Nodes[i], bench.Summarise(runs).Rows[i]
		equal(t, "name and protocol", n.Name+" "+n.HTTP3, want.Name+" "+want.HTTP3)
		equal(t, n.Name+": successes", row.OK, 3)
		// Over QUIC the connection and TLS have one common handshake.
		equal(t, n.Name+": has a time of TCP", row.Phases.Connect > 0, want.HTTP3 == "")
		errorIf(t, row.Phases.TLS <= 0, "%s: phases %+v, want a handshake", n.Name, row.Phases)
	}
	equal(t, "race of the saved run", runs[0].Header.Race, false)
	ferry(t, env, "bench", "-r", "2", "--race", "far").want(0, "new connection per request, handshakes raced,", "")
	ferry(t, env, "bench", "-r", "2", "nowhere+http3").want(2, "", "unknown node nowhere")
	ferry(t, env, "bench", "-r", "2", "far+http4").want(2, "", "use a node's name")
	ferry(t, env, "bench", "-o", "best", "far", "far+http3").want(2, "", "far+http3 is not one")
	ferry(t, env, "bench", "--dry-run", "far+http3").want(0, "far+http3  https://localhost", "")
}
