//go:build linux

package cmd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// rawNode is a node of the complete dialect that is written byte by byte. The test decides what happens to each
// connection.
type rawNode struct {
	url                   string
	connections, requests atomic.Int64
	over                  <-chan struct{} // closed when the test ends
}

// newRawNode handles each connection with serve, which gets its number, from 1. at is another address to listen at.
func newRawNode(t *testing.T, serve func(n int64, c *rawConn), at ...string) *rawNode {
	listener, err := net.Listen("tcp", append(at, "127.0.0.1:0")[0])
	check(t, err)
	s := &rawNode{url: "http://" + listener.Addr().String(), over: t.Context().Done()}
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
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				serve(n, &rawConn{conn.(*net.TCPConn), bufio.NewReader(conn), s})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return s
}

// newPromptNode calls serve for each prompt: number k on connection n, both from 1. The connection stays open if serve
// returns true.
func newPromptNode(t *testing.T, serve func(n, k int64, c *rawConn, prompt string) (open bool), at ...string) *rawNode {
	return newRawNode(t, func(n int64, c *rawConn) {
		for k := int64(1); ; k++ {
			if prompt, ok := c.request(); !ok || !serve(n, k, c, prompt) {
				return
			}
		}
	}, at...)
}

type rawConn struct {
	*net.TCPConn
	in   *bufio.Reader
	node *rawNode
}

// readHeader reads the header of a request and none of its body.
func (c *rawConn) readHeader() (r *http.Request, ok bool) {
	r, err := http.ReadRequest(c.in)
	if err != nil {
		return nil, false
	}
	c.node.requests.Add(1)
	return r, true
}

// request reads a complete request and returns its prompt.
func (c *rawConn) request() (prompt string, ok bool) {
	r, ok := c.readHeader()
	if !ok {
		return "", false
	}
	var asked struct{ Prompt string }
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		return "", false
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return asked.Prompt, true
}

// send writes text and returns true: the connection stays open.
func (c *rawConn) send(text string) bool { _, _ = io.WriteString(c, text); return true }

// rawReply returns a complete HTTP/1.1 response that leaves the connection open.
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

// The ways to send a prompt. Held calls use a connection that an earlier call has used.
var linkWays = []string{"ask", "stream", "hold", "batch"}

func newLinkRig(t *testing.T, url string) *linkRig {
	r := &linkRig{t: t, name: fmt.Sprintf("link-%d-%d", os.Getpid(), holdRigs.Add(1))}
	r.env = withConfig(t, fmt.Sprintf("node: %s\naudit: {file: audit.jsonl}\n"+
		"nodes:\n  %s: {url: '%s', api: complete, key: \"env:NODE_KEY\"}\n", r.name, r.name, url), nil)
	r.dir = filepath.Dir(r.env["FERRY_CONFIG"])
	r.env["XDG_RUNTIME_DIR"] = shortDir(t)
	t.Cleanup(func() { ferry(t, r.env, "config", "hold", "stop").want(0, "", "") })
	return r
}

// shortDir returns a folder for sockets: the path of a test's own folder can be too long.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "run")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// warm repeats a call until it uses a holder. On a busy machine a holder can start too late for the call that started
// it.
func (r *linkRig) warm() {
	r.t.Helper()
	eventually(r.t, "a holder lends", func() bool {
		var call heldCall
		check(r.t, json.Unmarshal([]byte(ferry(r.t, r.env, "ask", "--no-stdin", "--hold", "5m", "-o", "json", "warm").must().stdout), &call))
		return call.held()
	})
}

// linkAnswer is the result of a prompt. The failures of a batch are on its standard error.
type linkAnswer struct {
	result
	text    string
	answers map[string]string // answers of a batch, by item
}

func (a linkAnswer) item(id string) linkAnswer { a.text = a.answers[id]; return a }

// is checks the exit code and the answer.
func (a linkAnswer) is(way string, code int, answer string) {
	a.t.Helper()
	if a.code != code || a.text != answer {
		a.errorf("%s: answer %q, want exit code %d and the answer %q", way, a.text, code, answer)
	}
}

// send sends one prompt in the given way. The prompt is in a file, because it can be long.
func (r *linkRig) send(way, prompt string, more ...string) linkAnswer {
	r.t.Helper()
	if way == "batch" {
		return r.batch([]string{prompt}, more...).item("1")
	}
	file := filepath.Join(r.dir, "prompt.txt")
	write(r.t, file, prompt)
	args := append([]string{way, "--no-stdin", "-f", file}, more...)
	if way == "hold" {
		args = append([]string{"ask", "--no-stdin", "-f", file, "--hold", "5m"}, more...)
	}
	got := ferry(r.t, r.env, args...)
	return linkAnswer{result: got, text: strings.TrimSuffix(got.stdout, "\n")}
}

// batch sends the prompts as a batch.
func (r *linkRig) batch(prompts []string, more ...string) linkAnswer {
	r.t.Helper()
	dir := r.t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.jsonl")
	write(r.t, in, strings.Join(prompts, "\n")+"\n")
	printed := ferry(r.t, r.env, append([]string{"ask", "--batch", in, "--out", out}, more...)...)
	got := linkAnswer{result: printed, answers: map[string]string{}}
	text, _ := os.ReadFile(out) // no file if nothing was answered
	for line := range strings.Lines(string(text)) {
		var result struct{ ID, Text string }
		check(r.t, json.Unmarshal([]byte(line), &result))
		got.answers[result.ID] = result.Text
	}
	failed, _ := os.ReadFile(out + ".failed")
	got.stderr += string(failed)
	return got
}

// auditLine has the fields that the tests of connections check.
type auditLine struct {
	Status, Attempts, Exit, Reconnects int
	Class                              string
	Ambiguous                          bool
}

// lastAudit returns the newest line of the audit log.
func (r *linkRig) lastAudit() (line auditLine) {
	r.t.Helper()
	lines := strings.Split(strings.TrimSpace(read(r.t, filepath.Join(r.dir, "audit.jsonl"))), "\n")
	check(r.t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
	return line
}
