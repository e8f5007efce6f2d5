//go:build linux

package cmd_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHoldManyAtOnce runs 50 processes at once, without a holder and with one. Each gets its own answer. The first
// event of a stream is shown before the server sends more.
func TestHoldManyAtOnce(t *testing.T) {
	skipIfShort(t, "a hundred processes at once")
	r, server := secureHoldRig(t, stopGate)
	const wavers = 50
	for _, name := range []string{"cold", "warm"} {
		requests := server.requests.Load()
		equal(t, name+": held", r.askConcurrently(name, server, wavers), wavers)
		equal(t, name+": requests", server.requests.Load()-requests, wavers)
		r.oneHolder()
	}
}

// askConcurrently sends requests from the given number of processes at once, and returns how many of them were held.
func (r *holdRig) askConcurrently(name string, server *holdServer, wavers int) int {
	var all sync.WaitGroup
	var held atomic.Int64
	for i := range wavers {
		verb, prompt := []string{"ask", "stream"}[i%2], fmt.Sprintf("%s %d", name, i)
		p := r.ask(verb, prompt, "-v")
		stdout := p.stdout()
		p.start()
		all.Go(func() {
			first := make([]byte, len(answerTo(prompt))/2)
			_, _ = io.ReadFull(stdout, first) // short if it failed
			if verb == "stream" {
				close(server.gate(prompt))
			}
			rest := readAll(stdout)
			call := p.wait().want(0, "", "")
			equal(r.t, verb+" "+prompt, string(first)+rest, answerTo(prompt)+"\n")
			equal(r.t, prompt+" came", server.times(prompt), 1)
			if strings.Contains(call.stderr, "held connection") || strings.Contains(call.stderr, "held from now on") {
				held.Add(1)
			}
		})
	}
	all.Wait()
	return int(held.Load())
}

// TestHoldCanary looks for key, password, prompt and answer in everything that a holder shows, leaves behind or has in
// memory.
func TestHoldCanary(t *testing.T) {
	skipIfShort(t, "reads a process's memory")
	for name, secure := range map[string]bool{"TLS": true, "plain http": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newHoldServer(t, secure)
			r := newHoldRig(t, server.URL, server.settings())
			var more []string
			key, password, prompt := canary("key"), canary("password"), canary("prompt")
			if secure {
				proxy := connectProxy(t, nil)
				more = []string{"--proxy", strings.Replace(proxy.URL, "http://", "http://user:"+password+"@", 1)}
				defer func() {
					errorIf(t, proxy.count() == 0, "the proxy was not used, want it used")
				}()
			}
			r.env = append(r.env, "NODE_KEY="+key)
			pid := r.holder(more...)
			for range 3 {
				r.must(prompt, more...)
			}
			r.must(strings.Repeat(prompt+" ", 3000), more...)
			r.ask("stream", prompt, more...).run().want(0, "", "")
			for _, at := range []string{"cmdline", "environ"} {
				lacks(t, at, read(t, fmt.Sprintf("/proc/%d/%s", pid, at)), key, password, prompt)
			}
			for _, dir := range []string{r.run, r.home} {
				for path, text := range filesBelow(t, dir) {
					lacks(t, path, text, key, password, prompt)
				}
			}
			var found []string
			if !pollUntil(testTimeout/2, func() bool { found = r.findInMemory(pid, key, prompt); return len(found) == 0 }) {
				t.Errorf("its memory has %q, want neither key nor prompt", found)
			}
			if pollUntil(2*time.Second, func() bool { found = r.findInMemory(pid, key, prompt); return len(found) > 0 }) {
				t.Errorf("tidying up, it wrote down %q, want neither key nor prompt", found)
			}
		})
	}
}

// canary returns a word that appears nowhere else, not even in this program.
func canary(what string) string { return what + "-" + rand.Text() }

// findInMemory returns the given words that are still in the memory of a process, with the surrounding bytes.
func (r *holdRig) findInMemory(pid int, words ...string) (found []string) {
	known := 0
	memory(r.t, pid, func(text string) {
		known += strings.Count(text, r.node)
		for _, word := range words {
			if at := strings.Index(text, word); at >= 0 {
				found = append(found, strings.Clone(text[max(0, at-150):min(len(text), at+100)]))
			}
		}
	})
	errorIf(r.t, known == 0, "its memory has not even the node's name, want it: it was misread")
	return found
}

// memory reads the writable memory of a process, area by area.
func memory(t *testing.T, pid int, see func(text string)) {
	all, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		skipMissing(t, "leave to read another process's memory: "+err.Error())
	}
	defer all.Close()
	for line := range strings.Lines(read(t, fmt.Sprintf("/proc/%d/maps", pid))) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		text := make([]byte, min(to-from, 64<<20))
		n, _ := all.ReadAt(text, from) // memory that was never used cannot be read
		see(string(text[:n]))
	}
}

// TestHoldMemory measures a holder of the real ferry binary after a hundred calls, some of them large.
func TestHoldMemory(t *testing.T) {
	skipIfShort(t, "builds the binary and calls it a hundred times")
	const holderLimit = 12 << 10 // KiB
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
		fatalIf(t, tries == 1000, "of %d calls %d were held, want 100", tries, held)
	}
	status := fmt.Sprintf("/proc/%d/status", pid)
	now := memoryIn(t, status, "VmRSS")
	if !pollUntil(testTimeout/2, func() bool { now = memoryIn(t, status, "VmRSS"); return now <= holderLimit }) {
		t.Errorf("a holder has %d KiB in memory, the limit is %d", now, holderLimit)
	}
	t.Logf("after 100 calls: %.1f MiB, of which its own %.1f MiB; at most %.1f MiB", float64(now)/1024,
		float64(memoryIn(t, status, "RssAnon"))/1024, float64(memoryIn(t, status, "VmHWM"))/1024)
}

// memoryIn returns a memory figure from a file such as /proc/self/status, in KiB.
func memoryIn(t *testing.T, status, name string) (kib int) {
	_, after, _ := strings.Cut(read(t, status), "\n"+name+":")
	_, err := fmt.Sscan(after, &kib)
	check(t, err)
	return kib
}

// TestHeldFaultsHTTP3 runs a holder over HTTP/3 against the demo node's faults. Exit codes and requests are the same
// as for a direct ask, on the first attempt and on a later one. Faults that take as long as a time limit are left out,
// since these are real processes.
func TestHeldFaultsHTTP3(t *testing.T) {
	skipIfShort(t, "some eighty processes")
	ca := newAuthority(t, "ca", nil)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	var requests atomic.Int64
	var limited atomic.Bool
	node := demoNode(t)
	overHTTP3(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if limited.Swap(false) {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		node.ServeHTTP(w, r)
	}), socket)
	_, port, _ := net.SplitHostPort(socket.LocalAddr().String())
	settings := fmt.Sprintf("http3: only, proxy: none, tls: {ca: %q}", ca.file)
	r := newHoldRig(t, "https://localhost:"+port, settings)
	r.ask("ask", "warm").run().must()
	equal(t, "a second ask is held", heldBy(r.ask("ask", "hello", "-o", "json").run().must()).Attempts[0].Held, true)
	for _, c := range cellsOf(nil, func(fault wireFault) bool { return fault.query != "" && fault.name != "101" && fault.flags == nil }) {
		limited.Store(c.late)
		r.configure("https://localhost:"+port+"?"+c.fault.query, settings)
		r.runFault(c, &requests)
	}
}

// TestHeldFaults does the same over HTTP/1.1, with faults of bytes and of connections, on the first attempt and on a
// later one.
func TestHeldFaults(t *testing.T) {
	skipIfShort(t, "some four hundred processes")
	for _, c := range cellsOf(nil, func(fault wireFault) bool {
		return fault.flags == nil && fault.name != "line ends of CR alone" // an answer of the messages dialect; the node uses complete
	}) {
		t.Run(fmt.Sprintf("%s %s late %t", c.verb(), c.fault.name, c.late), func(t *testing.T) {
			server := newFaultServer(c.fault, c.stream, c.late)
			defer server.stop()
			newHoldRig(t, server.URL, "proxy: none").runFault(c, &server.requests)
		})
	}
}

// runFault makes a held call that gets a fault. If a connection is closed before a request, no request is counted.
func (r *holdRig) runFault(c cell, requests *atomic.Int64) {
	r.t.Helper()
	before := requests.Load()
	code, want := c.expected()
	got := r.ask(c.verb(), "hello", "--retry-delay", "0s", "-v").run()
	what := fmt.Sprintf("%s, %s, late %t", c.verb(), c.fault.name, c.late)
	errorIf(r.t, got.state.ExitCode() != code, "%s: exit code %d, want %d: %s",
		what, got.state.ExitCode(), code, got.stderr)
	if c.fault.accept == nil {
		equal(r.t, what+": requests", requests.Load()-before, want)
	}
}
