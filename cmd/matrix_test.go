package cmd_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// hit is a request that gets a fault.
type hit struct {
	conn   net.Conn
	key    string // key of the request; replies repeat it, to check that it is masked
	stream bool
	gone   <-chan struct{} // closed when the cell ends
}

// wireFault is what a server does to a request, and how ferry must react.
type wireFault struct {
	name string
	// Exactly one is set: a reply on the bare connection, a query for the demo node, or an action on a newly accepted
	// connection.
	reply  func(h hit)
	query  string
	accept func(conn net.Conn)
	// ask and stream are the exit codes. again means that an attempt with this fault is repeated; shows means that the
	// stream prints text before it fails.
	ask, stream  int
	again, shows bool
	// lossy means that a reset may discard bytes that were not read yet.
	lossy bool
	flags []string
}

func (h hit) send(text string) { _, _ = io.WriteString(h.conn, text) }
func (h hit) head(lines ...string) {
	h.send("HTTP/1.1 200 OK\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")
}
func (h hit) reset()               { drop(h.conn) }
func (h hit) wait()                { <-h.gone }
func drop(conn net.Conn)           { _ = conn.(*net.TCPConn).SetLinger(0) }
func raw(text string) func(hit)    { return func(h hit) { h.send(text) } }
func (h hit) typed(more ...string) { h.head(append([]string{"Content-Type: " + h.mime()}, more...)...) }
func (h hit) mime() string {
	if h.stream {
		return "text/event-stream"
	}
	return "application/json"
}

// answerText is the text of a complete answer.
const answerText = "Hello, this is the whole answer."

// body returns a complete answer: an object, or the events of a stream with end after each line.
func (h hit) body(end string) string {
	if !h.stream {
		return `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"` + answerText +
			`"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`
	}
	var b strings.Builder
	event := func(name, data string) { b.WriteString("event: " + name + end + "data: " + data + end + end) }
	event("message_start", `{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}`)
	event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for _, word := range strings.SplitAfter(answerText, " ") {
		event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`+word+`"}}`)
	}
	event("content_block_stop", `{"type":"content_block_stop","index":0}`)
	event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`)
	event("message_stop", `{"type":"message_stop"}`)
	return b.String()
}

// half returns the first part of an answer, with some text in it.
func (h hit) half() string {
	whole := h.body("\n")
	if h.stream {
		return whole[:strings.Index(whole, "answer.")-20]
	}
	return whole[:len(whole)/2]
}

func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

func lengthOf(text string) string { return fmt.Sprintf("Content-Length: %d", len(text)) }

// gzipBomb returns a line that has 70 MiB when decompressed.
func gzipBomb() []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, "data: ")
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	for range 70 {
		_, _ = w.Write(spaces)
	}
	_ = w.Close()
	return packed.Bytes()
}

// wireFaults returns the faults of connections, of HTTP, of its statuses and of its contents.
func wireFaults() []wireFault {
	short := []string{"--timeout", "10s"} // a busy machine may need part of it for what arrives first
	bomb := sync.OnceValue(gzipBomb)
	honour := []string{"--retry-policy", "retry-after"}
	return []wireFault{
		{name: "reset when connected", accept: drop, ask: 1, stream: 1},
		{name: "closed when connected", accept: func(net.Conn) {}, ask: 1, stream: 1},
		{name: "reset after the request", reply: hit.reset, ask: 1, stream: 1},
		{name: "closed after the request", reply: func(hit) {}, ask: 1, stream: 1},
		{name: "reset in the status line", reply: func(h hit) { h.send("HTTP/1."); h.reset() }, ask: 1, stream: 1},
		{name: "cut in the head", reply: func(h hit) { h.send("HTTP/1.1 200 OK\r\nX-Echo: " + h.key) }, ask: 1, stream: 1},
		{name: "reset in the body", reply: func(h hit) { h.typed("Content-Length: 9999"); h.send(h.half()); h.reset() }, ask: 1, stream: 1, shows: true, lossy: true},
		{name: "cut in the body", reply: func(h hit) { h.typed("Content-Length: 9999"); h.send(h.half()) }, ask: 1, stream: 1, shows: true},
		{name: "cut between chunks", reply: func(h hit) { h.typed("Transfer-Encoding: chunked"); h.send(chunk(h.half())) }, ask: 1, stream: 1, shows: true},
		{name: "a chunk of no size", reply: func(h hit) { h.typed("Transfer-Encoding: chunked"); h.send(chunk(h.half()) + "zz " + h.key + "\r\n") }, ask: 1, stream: 1, shows: true},
		{name: "a length that is too short", reply: func(h hit) { h.typed(lengthOf(h.half())); h.send(h.body("\n")) }, ask: 1, stream: 1, shows: true},
		{name: "a length that is no number", reply: func(h hit) { h.typed("Content-Length: " + h.key); h.send(h.body("\n")) }, ask: 1, stream: 1},
		{name: "two lengths", reply: func(h hit) { h.typed("Content-Length: 5", "Content-Length: 6"); h.send(h.body("\n")) }, ask: 1, stream: 1},
		{name: "a clean end in the middle", reply: func(h hit) { h.typed("Transfer-Encoding: chunked"); h.send(chunk(h.half()) + "0\r\n\r\n") }, ask: 1, stream: 1, shows: true},
		{name: "a head of 70 kB", query: "big-header=70000&echo-key", ask: 1, stream: 1},
		{name: "a flood of 103", reply: raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 20000)), ask: 1, stream: 1},
		{name: "another protocol", reply: func(h hit) { h.send("SSH-2.0-" + h.key + "\r\n") }, ask: 1, stream: 1},
		{name: "101", query: "status=101", ask: 1, stream: 1},
		{name: "gzip bomb", reply: func(h hit) { h.typed("Content-Encoding: gzip"); _, _ = h.conn.Write(bomb()) }, ask: 1, stream: 1},
		{name: "gzip that is none", reply: func(h hit) { h.typed("Content-Encoding: gzip"); h.send(h.body("\n")) }, ask: 1, stream: 1},
		{name: "gzip that nobody asked for", query: "gzip", ask: 0, stream: 0},
		{name: "a page of HTML", query: "html", ask: 1, stream: 1},
		{name: "nothing in a 200", query: "empty", ask: 1, stream: 1},
		{name: "204", query: "status=204", ask: 1, stream: 1},
		{name: "null", reply: func(h hit) { h.head("Connection: close"); h.send("null") }, ask: 1, stream: 1},
		{name: "bytes of no text", reply: func(h hit) { h.typed(); h.send("\x00\xff\xfe" + h.key + "\x1b]52;c;x\a") }, ask: 1, stream: 1},
		{name: "302", query: "redirect", ask: 1, stream: 1},
		{name: "307 with the key", reply: func(h hit) {
			h.send("HTTP/1.1 307 X\r\nLocation: http://elsewhere.invalid/?k=" + h.key + "\r\nContent-Length: 0\r\n\r\n")
		}, ask: 1, stream: 1},
		{name: "304", query: "status=304", ask: 1, stream: 1},
		{name: "400", query: "status=400&echo-key", ask: 1, stream: 1},
		{name: "401", query: "status=401&echo-key", ask: 1, stream: 1},
		{name: "403", query: "status=403&echo-key", ask: 1, stream: 1},
		{name: "404", query: "status=404", ask: 1, stream: 1},
		{name: "413", query: "status=413", ask: 1, stream: 1},
		{name: "429", query: "status=429&echo-key", ask: 3, stream: 3, again: true},
		{name: "500", query: "status=500", ask: 1, stream: 1},
		{name: "502", query: "status=502", ask: 3, stream: 3, again: true},
		{name: "503", query: "status=503", ask: 3, stream: 3, again: true},
		{name: "504", query: "status=504", ask: 3, stream: 3, again: true},
		{name: "529", query: "status=529", ask: 1, stream: 1},
		{name: "599", query: "status=599", ask: 1, stream: 1},
		{name: "503 in an envelope", query: "envelope&status=503", ask: 3, stream: 3, again: true},
		{name: "401 in an envelope", query: "envelope&status=401&echo-key", ask: 1, stream: 1},
		{name: "429, Retry-After 0", query: "status=429&retry-after=0", flags: honour, ask: 3, stream: 3, again: true},
		{name: "429, Retry-After -5", query: "status=429&retry-after=-5", flags: honour, ask: 3, stream: 3, again: true},
		{name: "429, Retry-After soon", query: "status=429&retry-after=soon", flags: honour, ask: 3, stream: 3, again: true},
		{name: "429, Retry-After in 1999", query: "status=429&retry-after=Fri,+31+Dec+1999+23:59:59+GMT", flags: honour, ask: 3, stream: 3, again: true},
		{name: "429, Retry-After 61", query: "status=429&retry-after=61", flags: honour, ask: 3, stream: 3},
		{name: "429, Retry-After 10^30", query: "status=429&retry-after=1" + strings.Repeat("0", 30), flags: honour, ask: 3, stream: 3},
		{name: "429 of a spend cap", query: "spend-cap", flags: honour, ask: 1, stream: 1},
		{name: "an error after the 200", query: "error-event&echo-key", ask: 1, stream: 1, shows: true},
		{name: "JSON that breaks off", reply: func(h hit) {
			h.typed("Connection: close")
			h.send(h.half() + "\n\ndata: {\"type\": " + h.key + "\n\n")
		}, ask: 1, stream: 1, shows: true},
		{name: "line ends of CR alone", reply: func(h hit) { h.typed("Connection: close"); h.send(h.body("\r")) }, ask: 0, stream: 0},
		{name: "a line of 9 MB", reply: func(h hit) { h.typed("Connection: close"); h.send("data: " + strings.Repeat("x", 9<<20)) }, ask: 1, stream: 1},
		{name: "silence", reply: hit.wait, flags: short, ask: 1, stream: 1},
		{name: "silence in the head", reply: func(h hit) { h.send("HTTP/1.1 200 OK\r\nX-Echo: " + h.key); h.wait() }, flags: short, ask: 1, stream: 1},
		{name: "silence in the body", reply: func(h hit) { h.typed("Content-Length: 9999"); h.send(h.half()); h.wait() }, flags: short, ask: 1, stream: 1, shows: true},
		{name: "silence after a 500", reply: func(h hit) { h.send("HTTP/1.1 500 X\r\nContent-Length: 99\r\n\r\n{"); h.wait() }, flags: short, ask: 1, stream: 1},
		{name: "pings for ever", query: "drip", flags: short, ask: 0, stream: 1, shows: true},
	}
}

// faultServer applies one fault to its requests, from the first or the second one on.
type faultServer struct {
	*httptest.Server
	fault  wireFault
	late   bool
	stream bool
	node   *demo.Node
	over   chan struct{}

	requests, accepted atomic.Int64
}

func newFaultServer(fault wireFault, stream, late bool) *faultServer {
	s := &faultServer{fault: fault, stream: stream, late: late, over: make(chan struct{}), node: demo.New(demo.Options{})}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = quietLog()
	s.Listener = sieve{s.Listener, s.takes}
	s.Start()
	return s
}

func (s *faultServer) stop() {
	close(s.over)
	_ = s.node.Close()
	s.Close()
}

func (s *faultServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	first := s.requests.Add(1) == 1
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // each attempt dials, so that connections can get a fault too
	}
	if s.late && first {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if s.fault.reply == nil {
		r.URL.RawQuery = s.fault.query
		s.node.ServeHTTP(w, r)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	s.fault.reply(hit{conn, r.Header.Get("X-Api-Key"), s.stream, s.over})
}

// takes applies a fault to a new connection.
func (s *faultServer) takes(conn net.Conn) bool {
	spared := s.accepted.Add(1) == 1 && s.late
	if s.fault.accept == nil || spared {
		return false
	}
	s.fault.accept(conn)
	conn.Close()
	return true
}

// cell is one call of the matrix: a fault, a command, and whether only a later attempt gets the fault.
type cell struct {
	fault        wireFault
	stream, late bool
	// ca is the authority of a server that uses only HTTP/3; nil means HTTP/1.1 without TLS.
	ca *authority
}

func (c cell) verb() string { return map[bool]string{false: "ask", true: "stream"}[c.stream] }

// expected returns the expected result of the call.
func (c cell) expected() (code int, requests int64) {
	code, requests = c.fault.ask, 1
	if c.stream {
		code = c.fault.stream
	}
	switch {
	case c.fault.again:
		requests = 3 // in total: the first 429 uses one of the attempts
	case c.late:
		requests = 2
	}
	return code, requests
}

// run makes the call, checks everything that it printed and sent, and describes it.
func (c cell) run(t *testing.T) (row string) {
	server := newFaultServer(c.fault, c.stream, c.late)
	defer server.stop()
	verb := c.verb()
	env, node := map[string]string{"FERRY_KEY": canaryKey}, server.URL
	if c.ca != nil {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		check(t, err)
		env, node = overHTTP3(t, c.ca, server, socket), "far"
	}
	args := append([]string{verb, "-v", "--no-stdin", "-m", "some", "--retry-delay", "0s", "-n", node}, c.fault.flags...)
	if c.ca != nil {
		args = append(args, "--http3-only")
	}
	started := time.Now()
	r := ferry(t, env, append(args, "hello")...)
	took := time.Since(started).Round(time.Millisecond)
	what := fmt.Sprintf("%-28s %-6s late %-5t", c.fault.name, verb, c.late)
	code, requests := c.expected()
	r.want(code, "", map[bool]string{false: "Error: "}[code == 0])
	if c.fault.accept != nil {
		equal(t, what+": connections", server.accepted.Load(), requests)
		requests--
	}
	equal(t, what+": requests", server.requests.Load(), requests)
	atMost(t, what+": time, on a machine that may be busy", took, 2*time.Minute)
	text := strings.TrimSuffix(r.stdout, "\n")
	switch ours := c.fault.reply != nil; {
	case r.code == 0 && (text == "" || ours && text != answerText):
		r.errorf("%s: want the answer", what)
	case r.code == 0:
	case !c.stream || !c.fault.shows:
		equal(t, what+": printed of what is no whole answer", r.stdout, "")
	case text == "" && !c.fault.lossy || ours && !strings.HasPrefix(answerText, text):
		r.errorf("%s: want the beginning of the answer that came", what)
	}
	errorIf(t, strings.ContainsAny(r.stderr, "\x1b\a\x00"), "%s: got %q, want nothing that a terminal obeys", what, r.stderr)
	checkNoKey(t, what, r.stdout+r.stderr)
	return fmt.Sprintf("%s exit %d, %d requests, %d bytes of output in %s\n", what, r.code, server.requests.Load(), len(r.stdout), took)
}

// cellsOf returns the calls for the selected faults: an ask and a stream, with the fault on the first or on a later
// attempt.
func cellsOf(ca *authority, belongs func(wireFault) bool) (cells []cell) {
	for _, fault := range wireFaults() {
		for i := range 4 {
			if belongs(fault) {
				cells = append(cells, cell{fault, i%2 == 1, i >= 2, ca})
			}
		}
	}
	return cells
}

// TestFaultMatrix runs ferry against every fault, on the first attempt and on a later one.
func TestFaultMatrix(t *testing.T) {
	skipIfShort(t, "every fault, four times")
	before := runtime.NumGoroutine()
	cells := cellsOf(nil, func(fault wireFault) bool {
		return !raceEnabled || fault.name != "gzip bomb" // decompressing it takes half a minute under the race detector
	})
	atLeast(t, "cells", len(cells), 160)
	rows := make([]string, len(cells))
	// The cells that wait for a timeout run last, all at once; other cells would use up part of that time.
	for _, waits := range []bool{false, true} {
		var all sync.WaitGroup
		room := make(chan struct{}, map[bool]int{false: 16, true: len(cells)}[waits])
		for i, c := range cells {
			if slices.Contains(c.fault.flags, "--timeout") == waits {
				all.Go(func() {
					room <- struct{}{}
					rows[i] = c.run(t)
					<-room
				})
			}
		}
		all.Wait()
	}
	t.Logf("%d cells\n%s", len(cells), strings.Join(rows, ""))
	awaitGoroutines(t, before)
}

// awaitGoroutines waits until no more goroutines run than before. Those of a closed connection end soon.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	if !pollUntil(testTimeout, func() bool { return runtime.NumGoroutine() <= before }) {
		stacks := make([]byte, 1<<20)
		t.Fatalf("got %d goroutines, want %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	}
}

// TestRefused calls an address where nothing listens, from the first attempt or from the second one on.
func TestRefused(t *testing.T) {
	for _, verb := range []string{"ask", "stream"} {
		for _, late := range []bool{false, true} {
			before := runtime.NumGoroutine()
			server := newFaultServer(wireFault{query: "status=429"}, false, false)
			if !late {
				server.stop()
			}
			ferryIn(t, map[string]string{"FERRY_KEY": canaryKey}, func(e *cmd.Env) {
				if late {
					e.Clock = &closingClock{storyClock{waits: os.DevNull}, sync.OnceFunc(server.stop)}
				}
			}, verb, "--no-stdin", "-n", server.URL, "hello").fails(1, "cannot connect to 127.0.0.1:")
			equal(t, fmt.Sprintf("requests of %s, late %t", verb, late), server.requests.Load(), map[bool]int64{true: 1}[late])
			awaitGoroutines(t, before)
		}
	}
}

// closingClock closes a server during the first wait.
type closingClock struct {
	storyClock
	close func()
}

func (c *closingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.close()
	return c.storyClock.Sleep(ctx, d)
}
