//go:build linux

package cmd_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestHoldKilledBefore kills the holder before it has taken a byte of a request: the ask ends whole by another way.
func TestHoldKilledBefore(t *testing.T) {
	long(t, "a process and a holder for each phase")
	for name, trap := range map[string]func(r *holdRig, server *holdServer, pid int) (sprung func()){
		"before it accepts": func(r *holdRig, _ *holdServer, pid int) func() {
			r.signal(pid, syscall.SIGSTOP)
			return func() {
				eventually(r.t, "the ask has connected", func() bool { return r.sockets() > 1 })
				r.kill(pid)
			}
		},
		"while it connects": func(r *holdRig, server *holdServer, pid int) func() {
			server.mute.Store(true)
			server.CloseClientConnections() // so that it needs another one
			drained(server, cameMute)       // which it makes ahead of need
			return func() {
				drained(server, cameMute)
				server.mute.Store(false)
				r.kill(pid)
			}
		},
		"a first one, while it connects": func(r *holdRig, server *holdServer, pid int) func() {
			r.kill(pid)
			eventually(r.t, "it is gone", func() bool { return len(r.holders()) == 0 })
			server.mute.Store(true)
			return func() {
				drained(server, cameMute)
				server.mute.Store(false)
				for _, pid := range r.holders() {
					r.kill(pid)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := secureHoldRig(t)
			sprung := trap(r, server, r.holder())
			c := r.ask("ask", "hello", "-o", "json", "--connect-timeout", testTimeout.String(), "--timeout", (2 * testTimeout).String())
			c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
			check(t, c.Start())
			sprung()
			call := r.wait(c)
			if call.code != 0 || call.Text != answerTo("hello") || call.stderr != "" {
				t.Errorf("exit code %d, %q: %s", call.code, call.Text, call.stderr)
			}
			if n := server.times("hello"); n != 1 {
				t.Errorf("%d times at the server, want once", n)
			}
			r.must("and the next one")
		})
	}
}

// drained reads what came up to a certain word.
func drained(server *holdServer, word string) {
	for came := range server.came {
		if came == word {
			return
		}
	}
}

// sockets counts the ends of the rig's sockets that a holder has: the one that listens, and those of its borrowers.
func (r *holdRig) sockets() int {
	all, err := os.ReadFile("/proc/net/unix")
	check(r.t, err)
	return bytes.Count(all, []byte(r.run+"/ferry/"))
}

func (r *holdRig) signal(pid int, sent syscall.Signal) {
	r.t.Helper()
	if err := syscall.Kill(pid, sent); err != nil {
		r.t.Errorf("%v to %d: %v", sent, pid, err)
	}
	if sent == syscall.SIGSTOP { // which a busy machine takes its time to do
		eventually(r.t, "all of its threads have stopped", func() bool {
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			for _, path := range threads {
				if stat, err := os.ReadFile(path); err == nil && !bytes.Contains(stat, []byte(") T ")) {
					return false
				}
			}
			return len(threads) > 0
		})
	}
}

// TestHoldKilledWith kills the holder when it has taken bytes of a request: the call fails as over a connection that was
// lost, says that the request may have arrived, and it never arrives again.
func TestHoldKilledWith(t *testing.T) {
	long(t, "a process and a holder for each phase")
	for _, tt := range []struct {
		name, do, verb, prompt string
		classes                []string
	}{
		{"its body", doUnread, "ask", strings.Repeat("a long prompt ", 1<<19), []string{"reset"}},
		{"a request", doStall, "ask", "hello", []string{"reset"}},
		{"a stream's request", doStall, "stream", "hello", []string{"reset"}},
		{"half an answer", doHalf, "ask", "hello", []string{"reset", "truncated"}}, // its beginning can be on its way
		{"half a stream", doHalf, "stream", "hello", []string{"truncated"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, server := secureHoldRig(t)
			pid := r.holder()
			c, stdout := r.stopped(server, tt.do, tt.verb, tt.prompt, testTimeout.String())
			var first []byte
			if tt.name == "half a stream" {
				first = make([]byte, 1)
				if _, err := io.ReadFull(stdout, first); err != nil {
					t.Error(err)
				}
			}
			r.kill(pid)
			r.fails(c, append(first, readAll(stdout)...), tt.classes)
			if n := server.requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// stopped starts a held call and waits until the server has got it and stopped with it. The server counts from there.
func (r *holdRig) stopped(server *holdServer, do, verb, prompt, timeout string) (*exec.Cmd, io.Reader) {
	r.t.Helper()
	file := filepath.Join(r.home, "prompt")
	write(r.t, file, prompt)
	// The path is the request's: it is the same holder's.
	r.configure(server.URL+do, "tls: {ca: '"+server.ca+"'}")
	args := []string{verb, "--hold", "5m", "-n", r.node, "--no-stdin", "--timeout", timeout, "-o", "json", "-f", file}
	for len(server.came) > 0 {
		<-server.came
	}
	server.requests.Store(0)
	connections := server.connections.Load()
	c := r.ferry(args...)
	stdout, err := c.StdoutPipe()
	check(r.t, err)
	c.Stderr = new(bytes.Buffer)
	check(r.t, c.Start())
	eventually(r.t, "the server has it", func() bool { return len(server.came) > 0 })
	if server.connections.Load() != connections {
		r.t.Fatal("it made a connection: it was not held")
	}
	return c, stdout
}

func readAll(from io.Reader) []byte {
	text, _ := io.ReadAll(from)
	return text
}

// fails holds a call to one of these classes of failure, and to saying that its request may have arrived.
func (r *holdRig) fails(c *exec.Cmd, stdout []byte, classes []string) {
	r.t.Helper()
	_ = c.Wait() // the exit code says it
	call := r.parse(stdout)
	if c.ProcessState.ExitCode() != 1 || len(call.Attempts) != 1 || call.Error == nil {
		r.t.Fatalf("%v: %s%s", c.ProcessState, stdout, c.Stderr)
	}
	if at := call.Attempts[0]; !slices.Contains(classes, call.Error.Class) || !at.Ambiguous || !at.Held {
		r.t.Errorf("%s", stdout)
	}
	if said := c.Stderr.(*bytes.Buffer).String(); !strings.HasPrefix(said, "Error: ") {
		r.t.Errorf("it says %s", said)
	}
}

// TestHoldKilledAtRandom kills holders at random moments of calls: some time after their start, or a little after a step
// that the server sees. No prompt comes twice, exit code 0 is the whole answer, and a failure says whether the request may
// have arrived. -kills 1000 kills more.
func TestHoldKilledAtRandom(t *testing.T) {
	long(t, "kills sixty holders")
	const lanes = 3
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			l := &holdLane{random: rand.New(rand.NewPCG(seed, 0))}
			l.rig, l.server = secureHoldRig(t)
			for round := 0; l.killed.Load() < int64(*kills/lanes) && !t.Failed(); round++ {
				l.round(round)
			}
			t.Logf("seed %d: %d kills; of the calls %d ended whole, %d failed, %d of these without a request at the server",
				seed, l.killed.Load(), l.whole, l.failed, l.unsent)
		})
	}
}

// holdLane is one user who makes a few calls at once, round after round, each with a kill.
type holdLane struct {
	rig    *holdRig
	server *holdServer
	random *rand.Rand
	killed atomic.Int64

	whole, failed, unsent int
}

func (l *holdLane) round(number int) {
	var once sync.Once
	var shots sync.WaitGroup
	shoot := func() {
		once.Do(func() {
			for _, pid := range l.rig.holders() {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					l.killed.Add(1)
				}
			}
		})
		shots.Done()
	}
	shots.Add(1)
	if l.random.IntN(3) > 0 {
		var steps atomic.Int64
		at := int64(1 + l.random.IntN(10))
		later := time.Duration(l.random.IntN(1000)) * time.Microsecond
		l.server.setTrap(func() {
			if steps.Add(1) == at {
				time.AfterFunc(later, shoot)
			}
		})
		defer func() {
			if steps.Add(at) < 2*at {
				shots.Done() // nobody shoots: fewer steps were seen
			}
			shots.Wait()
		}()
	} else {
		time.AfterFunc(time.Duration(l.random.IntN(60_000))*time.Microsecond, shoot)
		defer shots.Wait()
	}
	l.calls(number)
	l.server.setTrap(nil)
}

// calls makes the calls of a round and judges them.
func (l *holdLane) calls(number int) {
	all := map[string]*exec.Cmd{}
	for i, verb := range []string{"ask", "ask", "stream"} {
		prompt := fmt.Sprintf("prompt %d of round %d", i, number)
		c := l.rig.ask(verb, prompt, "-o", "json", "--timeout", "20s")
		c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		check(l.rig.t, c.Start())
		all[prompt] = c
	}
	for prompt, c := range all {
		l.judge(prompt, l.rig.wait(c))
	}
}

func (l *holdLane) judge(prompt string, call heldCall) {
	times := l.server.times(prompt)
	bad := func(what string) {
		l.rig.t.Errorf("%s: %q came %d times, exit code %d: %s%s", what, prompt, times, call.code, call.stdout, call.stderr)
	}
	if times > 1 {
		bad("twice")
	}
	switch {
	case call.code == 0:
		l.whole++
		if times != 1 || call.Text != answerTo(prompt) || len(call.Attempts) != 1 {
			bad("not whole")
		}
	case call.code != 1 || call.Error == nil || len(call.Attempts) != 1:
		bad("no honest failure")
	default:
		l.failed++
		if times == 0 {
			l.unsent++
		}
		known := slices.Contains([]string{"reset", "truncated"}, call.Error.Class)
		if !known || !call.Attempts[0].Ambiguous || !call.Attempts[0].Held {
			bad("what it says of its failure")
		}
	}
}

// TestHoldStopped stops a holder, as a machine that is short of memory does: an ask goes directly and does not wait long,
// and what the holder finds when it goes on is sent to nobody.
func TestHoldStopped(t *testing.T) {
	long(t, "waits for a holder that is stopped")
	t.Parallel()
	r, server := secureHoldRig(t)
	pid := r.holder()
	r.signal(pid, syscall.SIGSTOP)
	ask := r.ask("ask", "direct", "-o", "json")
	ask.Env = append(ask.Env, usualWaits+"=yes")
	started := time.Now()
	call := r.call(ask)
	if call.code != 0 || call.Text != answerTo("direct") || call.held() || call.stderr != "" {
		t.Errorf("exit code %d, %q, held: %v: %s", call.code, call.Text, call.held(), call.stderr)
	}
	t.Logf("an ask takes %v past a holder that is stopped", time.Since(started))
	r.signal(pid, syscall.SIGCONT)
	if r.holder() != pid {
		t.Error("another holder")
	}
	if n := server.times("direct"); n != 1 {
		t.Errorf("%d times at the server", n)
	}
	t.Run("with a request, for ever", func(t *testing.T) {
		usual := *r
		usual.env = append(slices.Clone(r.env), usualWaits+"=yes")
		c, stdout := usual.stopped(server, doStall, "ask", "hello, hello", "1m")
		r.signal(pid, syscall.SIGSTOP)
		r.fails(c, readAll(stdout), []string{"reset"})
		if said := c.Stderr.(*bytes.Buffer).String(); !strings.Contains(said, "the process that holds it does not answer") {
			t.Errorf("it says %s", said)
		}
		r.signal(pid, syscall.SIGCONT)
		r.configure(server.URL, "tls: {ca: '"+server.ca+"'}")
		if r.holder() != pid || server.times("hello, hello") != 1 {
			t.Errorf("another holder, or %d times at the server", server.times("hello, hello"))
		}
	})
	t.Run("with a request", func(t *testing.T) {
		c, stdout := r.stopped(server, doStall, "ask", "hello", "10s") // of which a busy machine may need some to send it
		r.signal(pid, syscall.SIGSTOP)
		r.fails(c, readAll(stdout), []string{"timeout"})
		r.signal(pid, syscall.SIGCONT)
		r.configure(server.URL, "tls: {ca: '"+server.ca+"'}")
		if r.holder() != pid || server.times("hello") != 1 {
			t.Errorf("another holder, or %d times at the server", server.times("hello"))
		}
	})
}
