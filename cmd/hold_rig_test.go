//go:build linux

package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

// holdRig is a user of ferry with a folder for sockets and one node, whose name is in the arguments of its holders.
type holdRig struct {
	t *testing.T
	// program is the test's own where it is empty.
	program   string
	node      string
	home, run string
	env       []string
}

// holdRigs numbers the rigs, so that each finds its own holders among all processes.
var holdRigs atomic.Int64

// newHoldRig gives a user; settings are more of the node's. When the test is over none of its holders is left.
func newHoldRig(t *testing.T, url, settings string) *holdRig {
	t.Helper()
	r := &holdRig{t: t, node: fmt.Sprintf("held-%d-%d", os.Getpid(), holdRigs.Add(1)), home: t.TempDir()}
	var err error
	if r.run, err = os.MkdirTemp("", "run"); err != nil { // a test's own folder can have too long a name for a socket
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(r.run) })
	r.configure(url, settings)
	r.env = []string{
		"HOME=" + r.home, "XDG_STATE_HOME=", "XDG_RUNTIME_DIR=" + r.run, "FERRY_CONFIG=" + filepath.Join(r.home, "config.yaml"),
		"NODE_KEY=some-key", "FERRY_KEY=", "FERRY_HOLD=",
	}
	t.Cleanup(r.leavesNone)
	return r
}

// secureHoldRig is one whose node is a server of TLS 1.3.
func secureHoldRig(t *testing.T) (*holdRig, *holdServer) {
	t.Helper()
	s := newHoldServer(t, true)
	return newHoldRig(t, s.URL, "tls: {ca: '"+s.ca+"'}"), s
}

func (r *holdRig) configure(url, settings string) {
	r.t.Helper()
	text := fmt.Sprintf("nodes:\n  %s: {url: '%s', api: complete, key: \"env:NODE_KEY\", %s}\n", r.node, url, settings)
	write(r.t, filepath.Join(r.home, "config.yaml"), text)
}

// ferry is a process of this user's.
func (r *holdRig) ferry(args ...string) *exec.Cmd {
	r.t.Helper()
	c := realFerry(r.t, args...)
	if r.program != "" {
		c.Path, c.Args[0] = r.program, "ferry"
	}
	c.Env = append(c.Env, r.env...)
	return c
}

// ask is a held call to the rig's node.
func (r *holdRig) ask(verb, prompt string, more ...string) *exec.Cmd {
	r.t.Helper()
	args := append([]string{verb, "--hold", "5m", "-n", r.node, "--no-stdin"}, more...)
	return r.ferry(append(args, prompt)...)
}

// must is a held ask that brings the whole answer, and what -o json says of it.
func (r *holdRig) must(prompt string, more ...string) heldCall {
	r.t.Helper()
	call := r.call(r.ask("ask", prompt, append(more, "-o", "json")...))
	if call.code != 0 || call.Text != answerTo(prompt) {
		r.t.Fatalf("%q: exit code %d, %q: %s", prompt, call.code, call.Text, call.stderr)
	}
	return call
}

// heldCall is what an ask says as JSON.
type heldCall struct {
	Text     string
	Attempts []struct {
		Class           string
		Ambiguous, Held bool
		Phases          struct{ DNS, Connect, TLS, Wait float64 } `json:"phases_ms"`
	}
	Error *struct{ Class, Message string }

	code           int
	stdout, stderr string
}

// held reports whether the answer came over a connection that outlives the call.
func (h heldCall) held() bool { return len(h.Attempts) == 1 && h.Attempts[0].Held }

func (r *holdRig) call(c *exec.Cmd) heldCall {
	r.t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	check(r.t, c.Start())
	return r.wait(c)
}

// wait waits for a process whose output is in buffers.
func (r *holdRig) wait(c *exec.Cmd) heldCall {
	r.t.Helper()
	_ = c.Wait() // the exit code says it
	call := r.parse(c.Stdout.(*bytes.Buffer).Bytes())
	call.code, call.stderr = c.ProcessState.ExitCode(), c.Stderr.(*bytes.Buffer).String()
	return call
}

// parse reads what -o json says of a call, a stream's lines included.
func (r *holdRig) parse(stdout []byte) heldCall {
	r.t.Helper()
	call := heldCall{stdout: string(stdout)}
	var text string
	for line := range bytes.Lines(stdout) {
		if !bytes.HasPrefix(line, []byte("{")) {
			break // of an ask without -o json
		}
		if err := json.Unmarshal(line, &call); err != nil {
			r.t.Errorf("%v: %s", err, line)
		}
		text += call.Text
	}
	call.Text = text
	return call
}

// holders are the processes that hold connections to the rig's node.
func (r *holdRig) holders() []int {
	r.t.Helper()
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

// holder has an ask start a holder, where there is none, and gives its process. A program that is not the test's own does
// not wait longer for one than usual: it may ask again.
func (r *holdRig) holder(more ...string) int {
	r.t.Helper()
	held := r.must("warm", more...).held()
	for tries := 0; !held && r.program != "" && tries < 100; tries++ {
		held = r.must("warm", more...).held()
	}
	if !held {
		r.t.Fatal("it was not held")
	}
	all := r.holders()
	if len(all) != 1 {
		r.t.Fatalf("%d holders", len(all))
	}
	return all[0]
}

// leavesNone ends the rig's holders by ferry's own command.
func (r *holdRig) leavesNone() {
	if len(r.holders()) == 0 {
		return
	}
	c := r.ferry("config", "hold", "stop")
	stop := exec.Command(c.Path, c.Args[1:]...) // the test's context is over
	stop.Args, stop.Env = c.Args, c.Env
	if out, err := stop.CombinedOutput(); err != nil {
		r.t.Errorf("%v: %s", err, out)
	}
	if !before(testTimeout, func() bool { return len(r.holders()) == 0 }) {
		for _, pid := range r.holders() {
			r.t.Errorf("holder %d outlives the test", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// kill ends a holder as a crash does.
func (r *holdRig) kill(pid int) {
	r.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		r.t.Errorf("kill %d: %v", pid, err)
	}
}
