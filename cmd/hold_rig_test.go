//go:build linux

package cmd_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// holdRig is a user of ferry with a folder for sockets and one node. The node's name is in the arguments of its
// holders.
type holdRig struct {
	t *testing.T
	// program is the ferry to run, the test binary if it is empty.
	program   string
	node      string
	home, run string
	env       []string
}

// holdRigs numbers the rigs, so that each can find its own holders among all processes.
var holdRigs atomic.Int64

// newHoldRig returns a user. settings are more settings of the node. When the test ends, all its holders are stopped.
func newHoldRig(t *testing.T, url, settings string) *holdRig {
	r := &holdRig{t: t, node: fmt.Sprintf("held-%d-%d", os.Getpid(), holdRigs.Add(1)), home: t.TempDir(), run: shortDir(t)}
	r.configure(url, settings)
	r.env = []string{
		"HOME=" + r.home, "XDG_RUNTIME_DIR=" + r.run, "FERRY_CONFIG=" + filepath.Join(r.home, "config.yaml"),
		"NODE_KEY=some-key", "FERRY_KEY=", "FERRY_HOLD=",
	}
	t.Cleanup(r.stopHolders)
	return r
}

// secureHoldRig returns a rig whose node is a server with TLS 1.3, with query appended to its address.
func secureHoldRig(t *testing.T, query ...string) (*holdRig, *holdServer) {
	s := newHoldServer(t, true)
	return newHoldRig(t, s.URL+strings.Join(query, ""), s.settings()), s
}

func (r *holdRig) configure(url, settings string) {
	write(r.t, filepath.Join(r.home, "config.yaml"),
		fmt.Sprintf("nodes:\n  %s: {url: '%s', api: complete, key: \"env:NODE_KEY\", %s}\n", r.node, url, settings))
}

// ferry returns a process of this user.
func (r *holdRig) ferry(args ...string) *process {
	r.t.Helper()
	p := realFerry(r.t, args...).with(r.env...)
	if r.program != "" {
		p.Path, p.Args[0] = r.program, "ferry"
	}
	return p
}

// ask returns a held call to the rig's node.
func (r *holdRig) ask(verb, prompt string, more ...string) *process {
	r.t.Helper()
	args := append([]string{verb, "--hold", "5m", "-n", r.node, "--no-stdin"}, more...)
	return r.ferry(append(args, prompt)...)
}

// must runs a held ask that must get the complete answer, and returns its -o json output.
func (r *holdRig) must(prompt string, more ...string) heldCall {
	r.t.Helper()
	call := heldBy(r.ask("ask", prompt, append(more, "-o", "json")...).run().must())
	fatalIf(r.t, call.Text != answerTo(prompt), "%q: got %q, want the answer", prompt, call.Text)
	return call
}

// heldCall is the JSON output of an ask.
type heldCall struct {
	Text     string
	Attempts []struct {
		Class           string
		Ambiguous, Held bool
	}
	Error *struct{ Class, Message string }
	result
}

// held reports whether the answer arrived over a connection that outlives the call.
func (h heldCall) held() bool { return len(h.Attempts) == 1 && h.Attempts[0].Held }

// heldBy decodes the -o json output of a call, or the lines of a stream.
func heldBy(r result) heldCall {
	r.t.Helper()
	call := heldCall{result: r}
	var text string
	for line := range strings.Lines(r.stdout) {
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			r.errorf("%v, want lines of JSON", err)
		}
		text += call.Text
	}
	call.Text = text
	return call
}

// holders returns the processes that hold connections to the rig's node.
func (r *holdRig) holders() []int {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	check(r.t, err)
	want := []byte("\x00config\x00hold\x00run\x00" + r.node + "\x00")
	var all []int
	for _, path := range lines {
		if text, err := os.ReadFile(path); err == nil && bytes.HasSuffix(text, want) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			check(r.t, err)
			all = append(all, pid)
		}
	}
	return all
}

// holder makes an ask start a holder if there is none, and returns the holder's process.
func (r *holdRig) holder(more ...string) int {
	r.t.Helper()
	held := r.must("warm", more...).held()
	for tries := 0; !held && r.program != "" && tries < 100; tries++ {
		held = r.must("warm", more...).held()
	}
	fatalIf(r.t, !held, "it was not held, want it held")
	return r.oneHolder()
}

// oneHolder returns the process of the holder and fails the test unless there is exactly one.
func (r *holdRig) oneHolder() int {
	r.t.Helper()
	all := r.holders()
	fatalIf(r.t, len(all) != 1, "holders %v, want one", all)
	return all[0]
}

// stopHolders stops the rig's holders with ferry's own command.
func (r *holdRig) stopHolders() {
	if len(r.holders()) == 0 {
		return
	}
	p := r.ferry("config", "hold", "stop")
	stop := exec.Command(p.Path, p.Args[1:]...) // the test's context is cancelled
	stop.Args, stop.Env = p.Args, p.Env
	out, err := stop.CombinedOutput()
	equal(r.t, "what ends config hold stop: "+string(out), err, nil)
	if !pollUntil(testTimeout, func() bool { return len(r.holders()) == 0 }) {
		for _, pid := range r.holders() {
			r.t.Errorf("holder %d outlives the test", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// kill ends a holder as a crash would.
func (r *holdRig) kill(pid int) {
	r.t.Helper()
	r.signal(pid, syscall.SIGKILL)
}

// holdServer is a node that counts its connections and how often each prompt arrived, and answers with
// the prompt. The do= in a request's address makes it stop at some point.
type holdServer struct {
	*server
	ca string

	requests atomic.Int64
	// arrived receives the name of each request that has reached the point where it stops, or its end.
	arrived chan string
	over    <-chan struct{} // closed when the test ends
	mute    atomic.Bool     // connections are accepted and get no data

	mu      sync.Mutex
	prompts map[string]int
	gates   map[string]chan struct{}
	trap    func() // called at each step of a request
}

// newHoldServer starts a server with TLS 1.3 or plain http.
func newHoldServer(t *testing.T, secure bool) *holdServer {
	s := &holdServer{
		arrived: make(chan string, 1000), over: t.Context().Done(), prompts: map[string]int{}, gates: map[string]chan struct{}{},
	}
	how := []func(*server){func(one *server) { one.Listener = sieve{one.Listener, s.takes} }}
	if secure {
		root := newAuthority(t, "root", nil)
		s.ca = root.file
		how = append(how, withTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{root.issue(t, nil)},
		}))
	}
	s.server = serveUnread(t, s.answer, how...)
	t.Cleanup(s.CloseClientConnections)
	return s
}

// settings returns the settings of a node that trusts the server.
func (s *holdServer) settings() string {
	if s.ca == "" {
		return ""
	}
	return "tls: {ca: '" + s.ca + "'}"
}

// Where an answer stops, as do= in the address.
const (
	stopStall  = "?do=stall"  // the request is read and never answered
	stopUnread = "?do=unread" // the body is never read
	stopHalf   = "?do=half"   // half of an answer is sent
	stopGate   = "?do=gate"   // the first event of a stream is sent; the others when the gate opens
)

func (s *holdServer) answer(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	way := r.URL.RawQuery
	if way != "" {
		way = "?" + way
	}
	if way == stopUnread {
		s.arrived <- way
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
	defer func() { s.arrived <- asked.Prompt }()
	if way == stopStall {
		s.arrived <- asked.Prompt
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
	case way == stopHalf:
		s.arrived <- asked.Prompt
		<-s.over
		return
	case way == stopGate && asked.Stream:
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
	event := map[string]any{"type": "completion", "completion": text, "stop_reason": stop}
	if stop == "" {
		event["stop_reason"] = nil
	}
	data, _ := json.Marshal(event)
	return "event: completion\ndata: " + string(data) + "\n\n"
}

// gate returns the channel that is closed to continue a prompt's answer.
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

// times returns how often a prompt arrived.
func (s *holdServer) times(prompt string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompts[prompt]
}

// muteConnection is the name that arrived receives for a connection that gets no data.
const muteConnection = "a connection"

// takes keeps a new connection without data while the server is mute.
func (s *holdServer) takes(conn net.Conn) bool {
	if !s.mute.Load() {
		return false
	}
	go func() {
		<-s.over
		conn.Close()
	}()
	s.arrived <- muteConnection
	return true
}
