//go:build linux

package cmd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestHoldKilledBefore kills the holder before it has accepted a byte of a request: the ask still gets its complete
// answer.
func TestHoldKilledBefore(t *testing.T) {
	skipIfShort(t, "a process and a holder for each phase")
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
			server.CloseClientConnections()  // so that it needs a new one
			readUpTo(server, muteConnection) // which it opens in advance
			return func() {
				readUpTo(server, muteConnection)
				server.mute.Store(false)
				r.kill(pid)
			}
		},
		"a first one, while it connects": func(r *holdRig, server *holdServer, pid int) func() {
			r.kill(pid)
			eventually(r.t, "it is gone", func() bool { return len(r.holders()) == 0 })
			server.mute.Store(true)
			return func() {
				readUpTo(server, muteConnection)
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
			p := r.ask("ask", "hello", "-o", "json", "--connect-timeout", testTimeout.String(), "--timeout", (2 * testTimeout).String()).start()
			sprung()
			call := heldBy(p.wait())
			call.exactly(0, call.stdout, "")
			equal(t, "the answer", call.Text, answerTo("hello"))
			equal(t, "it came", server.times("hello"), 1)
			r.must("and the next one")
		})
	}
}

// readUpTo receives names until the given one.
func readUpTo(server *holdServer, word string) {
	for came := range server.arrived {
		if came == word {
			return
		}
	}
}

// sockets counts the rig's sockets that a holder has open: the listener and the connections of clients.
func (r *holdRig) sockets() int {
	return strings.Count(read(r.t, "/proc/net/unix"), r.run+"/ferry/")
}

func (r *holdRig) signal(pid int, sent syscall.Signal) {
	r.t.Helper()
	check(r.t, syscall.Kill(pid, sent))
	if sent == syscall.SIGSTOP { // takes time on a busy machine
		eventually(r.t, "all of its threads have stopped", func() bool {
			threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			return len(threads) > 0 && !slices.ContainsFunc(threads, func(path string) bool {
				stat, err := os.ReadFile(path)
				return err == nil && !bytes.Contains(stat, []byte(") T "))
			})
		})
	}
}

// TestHoldKilledWith kills the holder after it has received bytes of a request: the call fails and reports it.
func TestHoldKilledWith(t *testing.T) {
	skipIfShort(t, "a process and a holder for each phase")
	for _, tt := range []struct {
		name, do, verb, prompt string
		classes                []string
	}{
		{"its body", stopUnread, "ask", strings.Repeat("a long prompt ", 1<<19), []string{"reset"}},
		{"a request", stopStall, "ask", "hello", []string{"reset"}},
		{"a stream's request", stopStall, "stream", "hello", []string{"reset"}},
		{"half an answer", stopHalf, "ask", "hello", []string{"reset", "truncated"}}, // the beginning may still be in transit
		{"half a stream", stopHalf, "stream", "hello", []string{"truncated"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, server := secureHoldRig(t)
			pid := r.holder()
			p, stdout := r.stopped(server, tt.do, tt.verb, tt.prompt, testTimeout.String())
			first := ""
			if tt.name == "half a stream" {
				begin, err := stdout.ReadByte()
				check(t, err)
				first = string(begin)
			}
			r.kill(pid)
			r.fails(p, first+readAll(stdout), tt.classes)
			equal(t, "requests", server.requests.Load(), 1)
		})
	}
}

// stopped starts a held call and waits until the server has received it and stops there. The server's request count
// starts at 0 again.
func (r *holdRig) stopped(server *holdServer, do, verb, prompt, timeout string) (*process, *bufio.Reader) {
	file := filepath.Join(r.home, "prompt")
	write(r.t, file, prompt)
	// The holder stays the same, because the path belongs to the request.
	r.configure(server.URL+do, server.settings())
	for len(server.arrived) > 0 {
		<-server.arrived
	}
	server.requests.Store(0)
	connections := server.connections.Load()
	p := r.ferry(verb, "--hold", "5m", "-n", r.node, "--no-stdin", "--timeout", timeout, "-o", "json", "-f", file)
	stdout := p.stdout()
	p.start()
	eventually(r.t, "the server has it", func() bool { return len(server.arrived) > 0 })
	equal(r.t, "connections, of which a held call makes none", server.connections.Load(), connections)
	return p, stdout
}

// fails expects one of these classes of failure, and a message that the request may have arrived.
func (r *holdRig) fails(p *process, stdout string, classes []string) result {
	r.t.Helper()
	got := p.wait()
	got.stdout = stdout
	call := heldBy(got)
	if call.want(1, "", "Error: "); len(call.Attempts) != 1 || call.Error == nil {
		call.errorf("want one attempt, and its error")
	} else if at := call.Attempts[0]; !slices.Contains(classes, call.Error.Class) || !at.Ambiguous || !at.Held {
		call.errorf("want a failure of %q, held, that may have arrived", classes)
	}
	return got
}

// TestHoldKilledAtRandom kills holders at random moments: some time after the start of the calls, or shortly after a
// step that the server sees. No prompt arrives twice, exit code 0 means the complete answer, and a failure reports
// whether the request may have arrived. -kills 1000 kills more.
func TestHoldKilledAtRandom(t *testing.T) {
	skipIfShort(t, "kills sixty holders")
	const lanes = 3
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			l := &holdUser{random: rand.New(rand.NewPCG(seed, 0))}
			l.rig, l.server = secureHoldRig(t)
			for round := 0; l.killed.Load() < int64(*kills/lanes) && !t.Failed(); round++ {
				l.round(round)
			}
			t.Logf("seed %d: %d kills; of the calls %d ended whole, %d failed, %d of these without a request at the server",
				seed, l.killed.Load(), l.whole, l.failed, l.unsent)
		})
	}
}

// holdUser is one user who makes a few calls at once, in each round, with one kill per round.
type holdUser struct {
	rig    *holdRig
	server *holdServer
	random *rand.Rand
	killed atomic.Int64

	whole, failed, unsent int
}

func (l *holdUser) round(number int) {
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
				shots.Done() // no kill: the server saw fewer steps
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

// calls makes the calls of a round and checks their results.
func (l *holdUser) calls(number int) {
	all := map[string]*process{}
	for i, verb := range []string{"ask", "ask", "stream"} {
		prompt := fmt.Sprintf("prompt %d of round %d", i, number)
		all[prompt] = l.rig.ask(verb, prompt, "-o", "json", "--timeout", "20s").start()
	}
	for prompt, p := range all {
		l.checkResults(prompt, heldBy(p.wait()))
	}
}

func (l *holdUser) checkResults(prompt string, call heldCall) {
	times := l.server.times(prompt)
	bad := func(want string) { call.errorf("%q came %d times; want %s", prompt, times, want) }
	if times > 1 {
		bad("it once at most")
	}
	switch {
	case call.code == 0:
		l.whole++
		if times != 1 || call.Text != answerTo(prompt) || len(call.Attempts) != 1 {
			bad("the whole answer, once")
		}
	case call.code != 1 || call.Error == nil || len(call.Attempts) != 1:
		bad("exit code 1, one attempt and its error")
	default:
		l.failed++
		if times == 0 {
			l.unsent++
		}
		known := slices.Contains([]string{"reset", "truncated"}, call.Error.Class)
		if !known || !call.Attempts[0].Ambiguous || !call.Attempts[0].Held {
			bad("a held connection that was lost, ambiguous")
		}
	}
}

// TestHoldStopped stops a holder: the request goes directly, and the holder sends nothing of it after it continues.
func TestHoldStopped(t *testing.T) {
	skipIfShort(t, "waits for a holder that is stopped")
	t.Parallel()
	r, server := secureHoldRig(t)
	pid := r.holder()
	r.signal(pid, syscall.SIGSTOP)
	started := time.Now()
	call := heldBy(r.ask("ask", "direct", "-o", "json").with(usualWaits + "=yes").run())
	call.exactly(0, call.stdout, "")
	equal(t, "the answer", call.Text, answerTo("direct"))
	equal(t, "held", call.held(), false)
	t.Logf("an ask takes %v past a holder that is stopped", time.Since(started))
	goesOn := func(prompt string) {
		t.Helper()
		r.signal(pid, syscall.SIGCONT)
		r.configure(server.URL, server.settings())
		equal(t, "the holder", r.holder(), pid)
		equal(t, prompt+" came", server.times(prompt), 1)
	}
	goesOn("direct")
	t.Run("with a request, for ever", func(t *testing.T) {
		usual := *r
		usual.env = append(slices.Clone(r.env), usualWaits+"=yes")
		p, stdout := usual.stopped(server, stopStall, "ask", "hello, hello", "1m")
		r.signal(pid, syscall.SIGSTOP)
		r.fails(p, readAll(stdout), []string{"reset"}).want(1, "", "the process that holds the connection does not answer")
		goesOn("hello, hello")
	})
	t.Run("with a request", func(t *testing.T) {
		p, stdout := r.stopped(server, stopStall, "ask", "hello", "10s") // a busy machine may need part of it to send the request
		r.signal(pid, syscall.SIGSTOP)
		r.fails(p, readAll(stdout), []string{"timeout"})
		goesOn("hello")
	})
}
