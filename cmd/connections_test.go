package cmd_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// countedNode is the demo node at an address of this machine. It counts connections and requests.
func countedNode(t *testing.T, at string) (port string, connections, requests *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(at, "0"))
	check(t, err)
	connections, requests = new(atomic.Int64), new(atomic.Int64)
	node := demo.New(demo.Options{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		node.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(func() { server.Close(); _ = node.Close() })
	_, port, err = net.SplitHostPort(listener.Addr().String())
	check(t, err)
	return port, connections, requests
}

// TestAttemptsShareAConnection holds a later attempt to the connection of the one before, but for one after a 5xx.
func TestAttemptsShareAConnection(t *testing.T) {
	for _, verb := range []string{"ask", "stream"} {
		port, connections, requests := countedNode(t, "127.0.0.1")
		var out, errs bytes.Buffer
		code := cmd.Run(t.Context(), []string{verb, "--no-stdin", "-n", "http://127.0.0.1:" + port + "?status=429,503,200", "hi"},
			testEnv(map[string]string{"FERRY_KEY": "any"}, &out, &errs))
		if code != 0 || requests.Load() != 3 || connections.Load() != 2 {
			t.Errorf("%s: exit code %d, %d requests on %d connections, want 3 on 2; %s",
				verb, code, requests.Load(), connections.Load(), &errs)
		}
	}
}

// TestNameOfTwoAddresses listens on one address of localhost at a time: where the name has more of them, the ones that
// refuse are passed over.
func TestNameOfTwoAddresses(t *testing.T) {
	all, err := net.LookupHost("localhost")
	check(t, err)
	t.Logf("localhost is %s", all)
	for _, at := range all {
		port, _, requests := countedNode(t, at)
		var out, errs bytes.Buffer
		code := cmd.Run(t.Context(), []string{"ask", "--no-stdin", "-n", "http://localhost:" + port, "hi"},
			testEnv(map[string]string{"FERRY_KEY": "any"}, &out, &errs))
		if code != 0 || requests.Load() != 1 {
			t.Errorf("%s alone: exit code %d, %d requests, want 0 and 1; %s", at, code, requests.Load(), &errs)
		}
	}
}
