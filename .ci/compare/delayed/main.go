// Command delayed is the node that load generators are measured against: every message is answered a known time after it
// was read. It is a process of its own, so that its work is not in a client's figures, and it does as little as it can:
// no routes and one write an answer. It keeps count of what arrived.
//
//	delayed [-delay D] [-stall-after D -stall D] BODY     the key comes from GATEWAY_KEY
//
// It prints its address, and ends when its standard input does. GET /seen says what arrived.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const (
	messages = "/v1/messages"
	// bodyLimit bounds what is read of a request.
	bodyLimit = 1 << 20
)

func main() {
	n := &node{key: os.Getenv("GATEWAY_KEY"), seen: map[string]*tally{}}
	flag.DurationVar(&n.delay, "delay", 0, "how long after a request its answer is written")
	flag.DurationVar(&n.stallAfter, "stall-after", 0, "when all answers stop, counted from the first request")
	flag.DurationVar(&n.stall, "stall", 0, "for how long")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	n.answer = response("200 OK", flag.Arg(0))
	if err := n.run(); err != nil {
		fmt.Fprintln(os.Stderr, "delayed:", err)
		os.Exit(1)
	}
}

// node answers on every connection. A path may have anything before /v1/messages: by that its clients are told apart.
type node struct {
	key, answer              string
	delay, stallAfter, stall time.Duration

	mu    sync.Mutex
	first time.Time // when the first request was read
	seen  map[string]*tally
}

// tally is what arrived at one path.
type tally struct {
	Answered    int    `json:"answered"`
	Connections int    `json:"connections"`
	Refused     int    `json:"refused"`
	Why         string `json:"why,omitempty"` // of the first that was refused
}

func (n *node) run() error {
	// A collection would be a delay that nobody asked for.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		listener.Close()
	}()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go n.serve(conn)
	}
}

// serve answers the requests of one connection until it ends or one is refused.
func (n *node) serve(conn net.Conn) {
	defer conn.Close()
	alarm, err := newAlarm()
	if err != nil {
		fmt.Fprintln(os.Stderr, "delayed:", err)
		return
	}
	defer alarm.close()
	in := bufio.NewReader(conn)
	for fresh := true; ; fresh = false {
		request, err := http.ReadRequest(in)
		if err != nil {
			return // the client is done
		}
		body, err := io.ReadAll(io.LimitReader(request.Body, bodyLimit))
		read := time.Now()
		if request.URL.Path == "/seen" {
			io.WriteString(conn, response("200 OK", n.report()))
			continue
		}
		if err == nil {
			err = n.check(request, body)
		}
		if err != nil {
			n.count(request.URL.Path, fresh, err)
			io.WriteString(conn, response("400 Bad Request", `{"type":"error","error":{"type":"invalid_request_error","message":"no"}}`))
			return
		}
		alarm.wait(n.due(read))
		// Counted before it is written: whoever has the answer may ask for the count at once.
		n.count(request.URL.Path, fresh, nil)
		if _, err := io.WriteString(conn, n.answer); err != nil || request.Close {
			return
		}
	}
}

// check refuses what is not the request that a model API would answer.
func (n *node) check(request *http.Request, body []byte) error {
	key := request.Header.Get("X-Api-Key")
	if key == "" {
		key = strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
	}
	if request.Method != http.MethodPost || !strings.HasSuffix(request.URL.Path, messages) || key != n.key {
		return fmt.Errorf("%s %s with key %q", request.Method, request.URL.Path, key)
	}
	if !json.Valid(body) {
		return fmt.Errorf("a body that is no JSON: %.80q", body)
	}
	return nil
}

// due says when a request read at that time is to be answered.
func (n *node) due(read time.Time) time.Time {
	n.mu.Lock()
	if n.first.IsZero() {
		n.first = read
	}
	stalls := n.first.Add(n.stallAfter)
	n.mu.Unlock()
	due := read.Add(n.delay)
	if ends := stalls.Add(n.stall); !due.Before(stalls) && due.Before(ends) {
		return ends
	}
	return due
}

func (n *node) count(path string, fresh bool, refused error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.seen[path]
	if t == nil {
		t = &tally{}
		n.seen[path] = t
	}
	if fresh {
		t.Connections++
	}
	if refused == nil {
		t.Answered++
		return
	}
	if t.Refused == 0 {
		t.Why = refused.Error()
	}
	t.Refused++
}

// report is what was seen, as JSON.
func (n *node) report() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, err := json.Marshal(n.seen)
	if err != nil {
		panic(err) // counts and strings always encode
	}
	return string(text)
}

func response(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}
