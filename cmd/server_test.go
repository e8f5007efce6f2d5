package cmd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"

	"ferry/pkg/demo"

	"github.com/rogpeppe/go-internal/testscript"
)

// servers are the servers of all stories, by address: a story finds its own through its environment.
var servers sync.Map

// storyServer counts what it is asked, and keeps the last request.
type storyServer struct {
	mu    sync.Mutex
	count int
	last  []byte
}

func (s *storyServer) saw(request []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.last = request
	return s.count
}

// node NAME starts a demo node on loopback and puts its address into the variable NAME.
func storyNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: node NAME")
	}
	seen := &storyServer{}
	node := demo.New(demo.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen.saw(append([]byte(headLines(r)), body...))
		node.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Defer(func() { _ = node.Close() })
	servers.Store(server.URL, seen)
	ts.Setenv(args[0], server.URL)
}

// secure NAME starts a server whose certificate nobody vouches for.
func storySecure(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: secure NAME")
	}
	server := httptest.NewUnstartedServer(demo.New(demo.Options{}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // each handshake that is refused would be a line
	server.StartTLS()
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// reply NAME FILE… starts a server that answers request k with the bytes of FILE k (the last one from then on), as they
// stand there but for line ends in the header, and closes the connection. The address goes into the variable NAME.
func storyReply(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: reply NAME FILE…")
	}
	var replies [][]byte
	for _, name := range args[1:] {
		head, body, _ := strings.Cut(ts.ReadFile(name), "\n\n")
		replies = append(replies, []byte(strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+strings.TrimSuffix(body, "\n")))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	seen := &storyServer{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerRaw(conn, seen, replies)
		}
	}()
	url := "http://" + listener.Addr().String()
	servers.Store(url, seen)
	ts.Setenv(args[0], url)
}

func answerRaw(conn net.Conn, seen *storyServer, replies [][]byte) {
	defer conn.Close()
	request, body, err := readRequest(conn)
	if err != nil {
		return
	}
	n := seen.saw(append([]byte(headLines(request)), body...))
	_, _ = conn.Write(replies[min(n, len(replies))-1])
}

// requests NAME N holds the server of that variable to exactly so many requests.
func storyRequests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests NAME N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	server := findServer(ts, args[0])
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.count != want {
		ts.Fatalf("%s saw %d requests, want %d", args[0], server.count, want)
	}
}

// sent NAME FILE writes the last request that the server of that variable saw into a file.
func storySent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sent NAME FILE")
	}
	server := findServer(ts, args[0])
	server.mu.Lock()
	defer server.mu.Unlock()
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(bytes.Clone(server.last), '\n'), 0o600))
}

func findServer(ts *testscript.TestScript, name string) *storyServer {
	found, ok := servers.Load(ts.Getenv(name))
	if !ok {
		ts.Fatalf("no server is named %s", name)
	}
	return found.(*storyServer)
}

// headLines is a request's head in a form that a story can compare.
func headLines(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, name := range []string{"X-Api-Key", "Authorization", "Anthropic-Version", "Content-Type", "X-Team", "X-Gate",
		"X-Ferry-Session", "Idempotency-Key", "Proxy-Authorization"} {
		if value := r.Header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), value)
		}
	}
	return b.String() + "\n"
}

func readRequest(conn net.Conn) (*http.Request, []byte, error) {
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(request.Body)
	return request, body, err
}
