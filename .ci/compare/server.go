package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"
)

const (
	key        = "loopback-key"
	answerText = "A short answer, long enough to be one."
	// requestBody is what every contestant but the SDK posts.
	requestBody = `{"prompt":"hi","max_tokens":100}`
	// completeBody carries a status of its own, because that is where a curl + jq loop reads it.
	completeBody = `{"status":200,"completion":"` + answerText + `","stop_reason":"end_turn","model":"claude-haiku-5-5"}`
	messagesBody = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"text","text":"` +
		answerText + `"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":8,"output_tokens":9}}`
	// streamBody is what every contestant but ferry posts for a stream.
	streamBody = `{"model":"claude-haiku-5-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}`

	completePath = "/api/v1/complete"
	messagesPath = "/v1/messages"
)

// crossing is one request as it arrived.
type crossing struct {
	method, path, key string
	body              []byte
}

// server is the node that all contestants talk to: plain HTTP on a loopback port, in this process. It keeps what
// arrived, so that a run that sent nothing, or sent twice, is not counted as a fast one.
type server struct {
	url     string
	http    *http.Server
	scripts map[string]*script // by path

	mu      sync.Mutex
	run     int // counts the resets
	seen    []crossing
	written []time.Time // when each piece of a script was, in this run
}

func startServer(scripts ...*script) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + listener.Addr().String(), scripts: map[string]*script{}}
	for _, script := range scripts {
		s.scripts[script.path()] = script
	}
	s.http = &http.Server{Handler: s}
	go s.http.Serve(listener)
	return s, nil
}

func (s *server) close() { s.http.Close() }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	sent := r.Header.Get("X-Api-Key")
	if sent == "" {
		sent = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	s.mu.Lock()
	s.seen = append(s.seen, crossing{r.Method, r.URL.Path, sent, body})
	run := s.run
	s.mu.Unlock()

	if script := s.scripts[r.URL.Path]; script != nil {
		script.play(w, func(at time.Time) { s.wrote(run, at) })
		return
	}
	answer := map[string]string{completePath: completeBody, messagesPath: messagesBody}[r.URL.Path]
	if answer == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, answer)
}

// wrote keeps the time of a write, unless the run that it belongs to is over: that one was broken off.
func (s *server) wrote(run int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run == s.run {
		s.written = append(s.written, at)
	}
}

// reset forgets what arrived before.
func (s *server) reset() {
	s.mu.Lock()
	s.run++
	s.seen, s.written = nil, nil
	s.mu.Unlock()
}

// verify says whether exactly one request has arrived since reset, and whether it was the one expected at path.
func (s *server) verify(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) != 1 {
		return fmt.Errorf("%d requests crossed, want exactly 1", len(s.seen))
	}
	got := s.seen[0]
	if got.method != http.MethodPost || got.path != path || got.key != key {
		return fmt.Errorf("got %s %s with key %q, want POST %s with key %q", got.method, got.path, got.key, path, key)
	}
	if path == completePath && !sameJSON(got.body, []byte(requestBody)) {
		return fmt.Errorf("body %q, want %q", got.body, requestBody)
	}
	var asked struct{ Stream bool }
	if s.scripts[path] != nil && (json.Unmarshal(got.body, &asked) != nil || !asked.Stream) {
		return fmt.Errorf("body %q does not ask for a stream", got.body)
	}
	return nil
}

// sameJSON compares by value: the order of keys is a contestant's own affair.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
