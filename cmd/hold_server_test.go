//go:build linux

package cmd_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// holdServer is a node that counts its connections, its handshakes and how often each prompt came, and answers with the
// prompt. The do= of a request's address has it stop on the way.
type holdServer struct {
	*httptest.Server
	ca string

	connections, handshakes, requests atomic.Int64
	// came gets the name of each request that has come to where it stops, or to its end.
	came chan string
	over chan struct{} // closed when the test is over
	mute atomic.Bool   // what connects is accepted and gets no word

	mu      sync.Mutex
	prompts map[string]int
	gates   map[string]chan struct{}
	trap    func() // called at each step of a request
}

// newHoldServer speaks TLS 1.3, or plain http.
func newHoldServer(t *testing.T, secure bool) *holdServer {
	t.Helper()
	s := &holdServer{
		came: make(chan string, 1000), over: make(chan struct{}), prompts: map[string]int{}, gates: map[string]chan struct{}{},
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.Config.ErrorLog = quietLog()
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Listener = &muteListener{s.Listener, s}
	if secure {
		root := newAuthority(t, "root", nil)
		s.ca = root.file
		s.TLS = &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{root.issue(t, nil)},
			VerifyConnection: func(tls.ConnectionState) error { s.handshakes.Add(1); return nil },
		}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		close(s.over)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// The ways of an answer, as do= in the address.
const (
	doStall  = "?do=stall"  // the request is read and never answered
	doUnread = "?do=unread" // the body is not read
	doHalf   = "?do=half"   // half of an answer
	doGate   = "?do=gate"   // of a stream a first event; the others when the gate opens
)

func (s *holdServer) answer(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	way := r.URL.RawQuery
	if way != "" {
		way = "?" + way
	}
	if way == doUnread {
		s.came <- way
		<-s.over
		return
	}
	s.step()
	var asked struct {
		Prompt string
		Stream bool
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if err := json.Unmarshal(text, &asked); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.prompts[asked.Prompt]++
	s.mu.Unlock()
	s.step()
	defer func() { s.came <- asked.Prompt }()
	if way == doStall {
		s.came <- asked.Prompt
		<-s.over
		return
	}
	answer := answerTo(asked.Prompt)
	first, rest := answer[:len(answer)/2], answer[len(answer)/2:]
	if asked.Stream {
		w.Header().Set("Content-Type", "text/event-stream")
		first, rest = completion(first, ""), completion(rest, "stop_sequence")
	} else {
		body, _ := json.Marshal(map[string]any{"completion": answer, "stop_reason": "stop_sequence"})
		first, rest = string(body[:len(body)/2]), string(body[len(body)/2:])
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	_, _ = io.WriteString(w, first)
	_ = http.NewResponseController(w).Flush()
	s.step()
	switch {
	case way == doHalf:
		s.came <- asked.Prompt
		<-s.over
		return
	case way == doGate && asked.Stream:
		select {
		case <-s.gate(asked.Prompt):
		case <-s.over:
			return
		}
	}
	_, _ = io.WriteString(w, rest)
	s.step()
}

func answerTo(prompt string) string { return "the answer to " + prompt + ", whole" }

func completion(text, stop string) string {
	data, _ := json.Marshal(map[string]any{"type": "completion", "completion": text, "stop_reason": stop})
	if stop == "" {
		data, _ = json.Marshal(map[string]any{"type": "completion", "completion": text, "stop_reason": nil})
	}
	return "event: completion\ndata: " + string(data) + "\n\n"
}

// gate is closed to let a prompt's answer go on.
func (s *holdServer) gate(prompt string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gates[prompt] == nil {
		s.gates[prompt] = make(chan struct{})
	}
	return s.gates[prompt]
}

func (s *holdServer) step() {
	s.mu.Lock()
	trap := s.trap
	s.mu.Unlock()
	if trap != nil {
		trap()
	}
}

func (s *holdServer) setTrap(trap func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trap = trap
}

// times is how often a prompt came.
func (s *holdServer) times(prompt string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompts[prompt]
}

// cameMute is what came gets of a connection that gets no word.
const cameMute = "a connection"

type muteListener struct {
	net.Listener
	server *holdServer
}

func (l *muteListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.server.mute.Load() {
			return conn, err
		}
		go func() {
			<-l.server.over
			conn.Close()
		}()
		l.server.came <- cameMute
	}
}
