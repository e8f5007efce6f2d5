//go:build linux

package cmd_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHoldTenInARow counts at the server: ten held calls, one after the other, are one TCP connection and one handshake;
// without --hold they are ten.
func TestHoldTenInARow(t *testing.T) {
	long(t, "forty processes and their holders")
	t.Parallel()
	for name, verbs := range map[string][]string{
		"ask": {"ask"}, "stream": {"stream"}, "both": {"ask", "stream", "stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := secureHoldRig(t)
			r.holder()
			for i := range 10 {
				prompt := fmt.Sprintf("prompt %d", i)
				call := r.call(r.ask(verbs[i%len(verbs)], prompt, "-v"))
				if call.code != 0 || call.stdout != answerTo(prompt)+"\n" {
					t.Errorf("exit code %d, %q: %s", call.code, call.stdout, call.stderr)
				}
				if !strings.Contains(call.stderr, "TLS 1.3, held connection\n") ||
					!strings.Contains(call.stderr, "(DNS 0 ms, connect 0 ms, TLS 0 ms, wait ") {
					t.Errorf("-v says %s", call.stderr)
				}
			}
			if c, h := server.connections.Load(), server.handshakes.Load(); c != 1 || h != 1 {
				t.Errorf("%d connections and %d handshakes, want one", c, h)
			}
		})
	}
	t.Run("the first one makes it", func(t *testing.T) {
		t.Parallel()
		r, server := secureHoldRig(t)
		first := r.must("first")
		phases := first.Attempts[0].Phases
		if !first.held() || phases.TLS == 0 || len(r.holders()) != 1 || server.connections.Load() != 1 {
			t.Errorf("held: %v, its phases are %+v; %d connections, holders %v", first.held(), phases, server.connections.Load(), r.holders())
		}
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		r, server := secureHoldRig(t)
		for i := range 10 {
			call := r.call(r.ferry("ask", "-n", r.node, "--no-stdin", "-o", "json", fmt.Sprint("prompt ", i)))
			if call.code != 0 || call.held() {
				t.Errorf("exit code %d, held: %v; %s", call.code, call.held(), call.stderr)
			}
		}
		if c, h := server.connections.Load(), server.handshakes.Load(); c != 10 || h != 10 || len(r.holders()) > 0 {
			t.Errorf("%d connections, %d handshakes, holders %v", c, h, r.holders())
		}
	})
}

// TestHoldManyAtOnce runs 50 processes at once, streams among them, twice: when there is no holder yet, and when there is
// one. Each gets its own answer, the server gets 50 requests, and one holder is started. A stream's first event is shown
// before the server says more.
func TestHoldManyAtOnce(t *testing.T) {
	long(t, "a hundred processes at once")
	server := newHoldServer(t, true)
	r := newHoldRig(t, server.URL+doGate, "tls: {ca: '"+server.ca+"'}")
	for _, name := range []string{"cold", "warm"} {
		requests := server.requests.Load()
		held := r.wave(name, server)
		if n := server.requests.Load() - requests; n != wavers {
			t.Errorf("%s: %d requests", name, n)
		}
		if all := r.holders(); len(all) != 1 {
			t.Errorf("%s: the holders %v", name, all)
		}
		if held != wavers {
			t.Errorf("%s: %d of %d were held", name, held, wavers)
		}
		t.Logf("%s: %d of %d were held; %d connections so far", name, held, wavers, server.connections.Load())
	}
}

const wavers = 50

// wave asks from so many processes at once, and gives how many of them were held.
func (r *holdRig) wave(name string, server *holdServer) int {
	r.t.Helper()
	var all sync.WaitGroup
	var held atomic.Int64
	for i := range wavers {
		verb, prompt := "ask", fmt.Sprintf("%s %d", name, i)
		if i%2 == 1 {
			verb = "stream"
		}
		c := r.ask(verb, prompt, "-v")
		stdout, err := c.StdoutPipe()
		check(r.t, err)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		check(r.t, c.Start())
		all.Go(func() {
			first := make([]byte, len(answerTo(prompt))/2)
			_, _ = io.ReadFull(stdout, first) // short where it failed
			if verb == "stream" {
				close(server.gate(prompt))
			}
			rest, _ := io.ReadAll(stdout)
			if err := c.Wait(); err != nil || string(first)+string(rest) != answerTo(prompt)+"\n" {
				r.t.Errorf("%s %q: %v, %q%q: %s", verb, prompt, err, first, rest, &stderr)
			}
			if n := server.times(prompt); n != 1 {
				r.t.Errorf("%q came %d times", prompt, n)
			}
			if said := stderr.String(); strings.Contains(said, "held connection") || strings.Contains(said, "held from now on") {
				held.Add(1)
			}
		})
	}
	all.Wait()
	return int(held.Load())
}

// TestHoldFirstEvent holds a stream to showing its first event before the server says more, held and not, and reports how
// long that takes from the start of the process. There is nothing to save on loopback but a handshake.
func TestHoldFirstEvent(t *testing.T) {
	long(t, "times streams from many processes")
	server := newHoldServer(t, true)
	r := newHoldRig(t, server.URL+doGate, "tls: {ca: '"+server.ca+"'}")
	r.holder()
	var took [2][]time.Duration // direct, held
	for i := range 22 {
		prompt := fmt.Sprint("event ", i)
		c := r.ask("stream", prompt)
		if i%2 == 0 {
			c = r.ferry("stream", "-n", r.node, "--no-stdin", prompt)
		}
		stdout, err := c.StdoutPipe()
		check(t, err)
		started := time.Now()
		check(t, c.Start())
		_, err = io.ReadFull(stdout, make([]byte, 1))
		took[i%2] = append(took[i%2], time.Since(started))
		close(server.gate(prompt))
		_, _ = io.Copy(io.Discard, stdout)
		if waited := c.Wait(); err != nil || waited != nil {
			t.Errorf("%v, %v", err, waited)
		}
	}
	var medians [2]time.Duration
	for i, all := range took {
		slices.Sort(all)
		medians[i] = all[len(all)/2]
	}
	t.Logf("first event, median: %v direct, %v held, %.2f times as long", medians[0], medians[1], float64(medians[1])/float64(medians[0]))
}

// TestHoldOtherSettings changes what makes a connection what it is: an old connection is never used for it.
func TestHoldOtherSettings(t *testing.T) {
	long(t, "a holder for each setting")
	r, server := secureHoldRig(t)
	r.holder()
	proxy, connects := connectProxy(t, nil)
	ca := "tls: {ca: '" + server.ca + "'"
	pin := pinned(t, server.TLS.Certificates[0].Certificate[0])
	for i, change := range []struct {
		name string
		do   func()
		more []string
	}{
		{"pins", func() { r.configure(server.URL, ca+"}, pins: '"+pin+"'") }, nil},
		{"floor", func() { r.configure(server.URL, ca+", min: '1.2'}") }, nil},
		{"authority", func() {
			text, err := os.ReadFile(server.ca)
			check(t, err)
			check(t, os.WriteFile(server.ca, append(text, '\n'), 0o600))
		}, nil},
		{"proxy", func() {}, []string{"--proxy", proxy}},
	} {
		change.do()
		connections := server.connections.Load()
		r.must(change.name+" first", change.more...)
		if n := server.connections.Load(); n == connections {
			t.Errorf("%s: over an old connection", change.name)
		}
		eventually(t, change.name+": another holder", func() bool { return len(r.holders()) == i+2 })
	}
	if connects.Load() == 0 {
		t.Error("the proxy was not used")
	}
}

// TestHoldCanary looks for what crosses a holder, a key, a proxy's password, a prompt and its answer, in all that a holder
// shows or leaves behind: files, arguments, environment, and its memory once the call is over.
func TestHoldCanary(t *testing.T) {
	long(t, "reads a process's memory")
	for name, secure := range map[string]bool{"TLS": true, "plain http": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newHoldServer(t, secure)
			settings := ""
			if secure {
				settings = "tls: {ca: '" + server.ca + "'}"
			}
			r := newHoldRig(t, server.URL, settings)
			var more []string
			key, password, prompt := canary("key"), canary("password"), canary("prompt")
			if secure {
				proxy, connects := connectProxy(t, nil)
				more = []string{"--proxy", strings.Replace(proxy, "http://", "http://user:"+password+"@", 1)}
				defer func() {
					if connects.Load() == 0 {
						t.Error("the proxy was not used")
					}
				}()
			}
			r.env = append(r.env, "NODE_KEY="+key)
			pid := r.holder(more...)
			for range 3 {
				r.must(prompt, more...)
			}
			r.must(strings.Repeat(prompt+" ", 3000), more...)
			call := r.call(r.ask("stream", prompt, more...))
			if call.code != 0 {
				t.Errorf("exit code %d: %s", call.code, call.stderr)
			}
			for _, at := range []string{"cmdline", "environ"} {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, at))
				check(t, err)
				lacks(t, at, text, key, password, prompt)
			}
			for _, dir := range []string{r.run, r.home} {
				check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
					if err != nil || !entry.Type().IsRegular() {
						return err
					}
					text, err := os.ReadFile(path)
					lacks(t, path, text, key, password, prompt)
					return err
				}))
			}
			var found []string
			if !before(testTimeout/2, func() bool { found = r.remembers(pid, key, prompt); return len(found) == 0 }) {
				t.Errorf("its memory has %q", found)
			}
			if before(2*time.Second, func() bool { found = r.remembers(pid, key, prompt); return len(found) > 0 }) {
				t.Errorf("tidying up, it wrote down %q", found)
			}
		})
	}
}

// canary is a word that stands nowhere, this program included.
func canary(what string) string { return what + "-" + rand.Text() }

func lacks(t *testing.T, where string, text []byte, canaries ...string) {
	t.Helper()
	for _, word := range canaries {
		if at := bytes.Index(text, []byte(word)); at >= 0 {
			t.Errorf("%s has the %.8s: %q", where, word, text[max(0, at-150):min(len(text), at+100)])
		}
	}
}

// remembers gives what is left of some words in a process, with what stands around them.
func (r *holdRig) remembers(pid int, words ...string) (found []string) {
	known := 0
	memory(r.t, pid, func(text []byte) {
		known += bytes.Count(text, []byte(r.node))
		for _, word := range words {
			if at := bytes.Index(text, []byte(word)); at >= 0 {
				found = append(found, string(text[max(0, at-150):min(len(text), at+100)]))
			}
		}
	})
	if known == 0 {
		r.t.Error("its memory has not even the node's name: it was misread")
	}
	return found
}

// memory reads what a process can write to, area by area.
func memory(t *testing.T, pid int, read func(text []byte)) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	check(t, err)
	all, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		needed(t, "leave to read another process's memory: "+err.Error())
	}
	defer all.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		text := make([]byte, min(to-from, 64<<20))
		n, _ := all.ReadAt(text, from) // what was never touched cannot be read
		read(text[:n])
	}
}

// holderLimit is what a holder may have in memory, in KiB.
const holderLimit = 12 << 10

// TestHoldMemory measures a holder of ferry's own binary after a hundred calls, some of which are large.
func TestHoldMemory(t *testing.T) {
	long(t, "builds the binary and calls it a hundred times")
	r, _ := secureHoldRig(t)
	r.program = buildFerry(t)
	pid := r.holder()
	for held, tries := 0, 0; held < 100; tries++ {
		prompt := fmt.Sprint("prompt ", tries)
		if tries%10 == 9 {
			prompt += strings.Repeat(" and on it goes", 5000)
		}
		if r.must(prompt).held() {
			held++
		}
		if tries == 1000 {
			t.Fatalf("of %d calls %d were held, want 100", tries, held)
		}
	}
	now := memoryOf(t, pid, "VmRSS")
	if !before(testTimeout/2, func() bool { now = memoryOf(t, pid, "VmRSS"); return now <= holderLimit }) {
		t.Errorf("a holder has %d KiB in memory, the limit is %d", now, holderLimit)
	}
	t.Logf("after 100 calls: %.1f MiB, of which its own %.1f MiB; at most %.1f MiB", float64(now)/1024,
		float64(memoryOf(t, pid, "RssAnon"))/1024, float64(memoryOf(t, pid, "VmHWM"))/1024)
}

// memoryOf reads a figure of a process, in KiB.
func memoryOf(t *testing.T, pid int, name string) (kib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	_, after, _ := strings.Cut(string(text), "\n"+name+":")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return kib
}
