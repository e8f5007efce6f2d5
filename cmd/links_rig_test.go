//go:build linux

package cmd_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// rawNode is a node of the script's dialect, written byte by byte: what it does with a connection is the test's.
type rawNode struct {
	url                   string
	connections, requests atomic.Int64
	over                  chan struct{} // closed when the test is over

	mu      sync.Mutex
	prompts []string // as they came
}

// newRawNode serves each connection with serve, which is told the connection's number, from 1.
func newRawNode(t *testing.T, serve func(n int64, c *rawConn)) *rawNode {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s := &rawNode{url: "http://" + listener.Addr().String(), over: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n := s.connections.Add(1)
			all.Go(func() {
				defer conn.Close()
				ended := make(chan struct{})
				defer close(ended)
				go func() {
					select {
					case <-s.over:
						conn.Close()
					case <-ended:
					}
				}()
				serve(n, &rawConn{conn.(*net.TCPConn), bufio.NewReader(conn), s})
			})
		}
	})
	t.Cleanup(func() {
		close(s.over)
		listener.Close()
		all.Wait()
	})
	return s
}

// asked are the prompts that came whole, sorted.
func (s *rawNode) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.prompts))
}

type rawConn struct {
	*net.TCPConn
	in   *bufio.Reader
	node *rawNode
}

// begun reads the head of a request and none of its body.
func (c *rawConn) begun() (r *http.Request, ok bool) {
	r, err := http.ReadRequest(c.in)
	if err != nil {
		return nil, false
	}
	c.node.requests.Add(1)
	return r, true
}

// request reads a whole request and gives its prompt.
func (c *rawConn) request() (prompt string, ok bool) {
	r, ok := c.begun()
	if !ok {
		return "", false
	}
	var asked struct{ Prompt string }
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		return "", false
	}
	_, _ = io.Copy(io.Discard, r.Body)
	c.node.mu.Lock()
	defer c.node.mu.Unlock()
	c.node.prompts = append(c.node.prompts, asked.Prompt)
	return asked.Prompt, true
}

func (c *rawConn) say(text string) { _, _ = io.WriteString(c, text) }

// rawReply is a whole reply of HTTP/1.1 that leaves the connection open.
func rawReply(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
}

func rawAnswer(prompt string) string {
	body, _ := json.Marshal(map[string]any{"completion": answerTo(prompt), "stop_reason": "stop_sequence"})
	return rawReply(200, string(body))
}

// linkRig is a user of ferry whose calls run in this process, with a clock that does not wait.
type linkRig struct {
	t         *testing.T
	env       map[string]string
	dir, name string
}

// The ways a prompt goes. Held calls go over a connection that one was made on before.
var linkWays = []string{"ask", "stream", "hold", "batch"}

func newLinkRig(t *testing.T, url string) *linkRig {
	t.Helper()
	sockets, err := os.MkdirTemp("", "run") // a test's own folder can have too long a name for a socket
	check(t, err)
	r := &linkRig{t: t, dir: t.TempDir(), name: fmt.Sprintf("link-%d-%d", os.Getpid(), holdRigs.Add(1))}
	r.env = map[string]string{
		"HOME": r.dir, "XDG_RUNTIME_DIR": sockets, "FERRY_CONFIG": filepath.Join(r.dir, "config.yaml"), "NODE_KEY": "some-key",
	}
	text := fmt.Sprintf("node: %s\naudit: {file: audit.jsonl}\nnodes:\n  %s: {url: '%s', api: complete, key: \"env:NODE_KEY\"}\n", r.name, r.name, url)
	write(t, r.env["FERRY_CONFIG"], text)
	t.Cleanup(func() {
		if code, _, stderr := run(t, r.env, "config", "hold", "stop"); code != 0 {
			t.Errorf("config hold stop: exit code %d: %s", code, stderr)
		}
		os.RemoveAll(sockets)
	})
	return r
}

// warm asks until a call goes over a holder. A busy machine can start one too late for its call.
func (r *linkRig) warm() {
	r.t.Helper()
	eventually(r.t, "a holder lends", func() bool {
		code, stdout, stderr := run(r.t, r.env, "ask", "--no-stdin", "--hold", "5m", "-o", "json", "warm")
		var call heldCall
		if err := json.Unmarshal([]byte(stdout), &call); err != nil || code != 0 {
			r.t.Fatalf("exit code %d, %q: %s", code, stdout, stderr)
		}
		return call.held()
	})
}

// send sends one prompt the way, and gives the exit code, the answer and what was said. The prompt is in a file, for it can
// be long.
func (r *linkRig) send(way, prompt string, more ...string) (code int, answer, said string) {
	r.t.Helper()
	if way == "batch" {
		code, answers, said := r.batch([]string{prompt}, more...)
		return code, answers["1"], said
	}
	file := filepath.Join(r.dir, "prompt.txt")
	write(r.t, file, prompt)
	args := append([]string{way, "--no-stdin", "-f", file}, more...)
	if way == "hold" {
		args = append([]string{"ask", "--no-stdin", "-f", file, "--hold", "5m"}, more...)
	}
	code, stdout, stderr := run(r.t, r.env, args...)
	return code, strings.TrimSuffix(stdout, "\n"), stderr
}

// batch sends the prompts as a batch, and gives the answers by their ids.
func (r *linkRig) batch(prompts []string, more ...string) (code int, answers map[string]string, said string) {
	r.t.Helper()
	dir, err := os.MkdirTemp(r.dir, "batch")
	check(r.t, err)
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.jsonl")
	write(r.t, in, strings.Join(prompts, "\n")+"\n")
	code, _, said = run(r.t, r.env, append([]string{"ask", "--batch", in, "--out", out}, more...)...)
	answers = map[string]string{}
	text, _ := os.ReadFile(out) // none where nothing was answered
	for line := range bytes.Lines(text) {
		var result struct{ ID, Text string }
		if err := json.Unmarshal(line, &result); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		answers[result.ID] = result.Text
	}
	if failed, err := os.ReadFile(out + ".failed"); err == nil {
		said += string(failed)
	}
	return code, answers, said
}

// lastAudit is the newest line of the audit log.
func (r *linkRig) lastAudit() auditLine {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "audit.jsonl"))
	check(r.t, err)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var line auditLine
	check(r.t, json.Unmarshal(lines[len(lines)-1], &line))
	return line
}

// auditLine is what the tests of connections look at.
type auditLine struct {
	Status, Attempts, Exit, Reconnects int
	Class                              string
	Ambiguous                          bool
}
