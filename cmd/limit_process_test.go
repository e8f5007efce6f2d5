//go:build !windows

package cmd_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asking is a process that waits for its turn.
type asking struct {
	*process
	name  string
	reads sync.WaitGroup
	text  strings.Builder
	wait  time.Duration // that it said it has before it; 0 where it said nothing
}

// asks starts n processes that share a home and ask the server, each under a name of its own.
func asks(t *testing.T, server *server, n int, limit string) []*asking {
	home := t.TempDir()
	var all []*asking
	for i := range n {
		one := &asking{name: fmt.Sprint(i)}
		one.process = realFerry(t, "ask", "-n", server.URL+"?name="+one.name, "--no-stdin", "hello").with("HOME="+home, "FERRY_LIMIT="+limit)
		said := one.stderr()
		one.start()
		one.reads.Go(func() {
			for {
				line, wait, err := waiting(said)
				one.text.WriteString(line)
				one.wait = max(one.wait, wait)
				if err != nil {
					return
				}
			}
		})
		all = append(all, one)
	}
	return all
}

// waiting reads a line, and how long it says that a process waits for its turn.
func waiting(said *bufio.Reader) (line string, wait time.Duration, err error) {
	line, err = said.ReadString('\n')
	var seconds float64
	_, after, _ := strings.Cut(line, ": waiting ")
	_, _ = fmt.Sscan(after, &seconds) // 0 where it says none
	return line, time.Duration(seconds * float64(time.Second)), err
}

// paced expects that the k-th request comes no sooner than the k-th turn, however late the others are.
func paced(t *testing.T, start time.Time, requests []asked, each time.Duration, burst int) {
	t.Helper()
	for k, r := range requests {
		if earliest := start.Add(time.Duration(k+1-burst) * each); r.at.Before(earliest) {
			t.Errorf("request %d came %v before its turn, want none before it", k+1, earliest.Sub(r.at))
		}
	}
}

// TestProcessesInOrder runs 64 ferries on 50/min with a burst of 5 and kills some: none comes before its turn.
func TestProcessesInOrder(t *testing.T) {
	long(t, "seconds of a real limit")
	t.Parallel()
	const n, burst, each = 64, 5, 1200 * time.Millisecond
	server := serve(t, nil)
	start := time.Now()
	all := asks(t, server, n, "50/min burst 5")
	eventually(t, "the burst arrives", func() bool { return server.count() >= burst })
	for _, p := range all[:8] {
		_ = p.Process.Kill() // those of the burst may have ended by now
	}
	eventually(t, "four more arrive", func() bool { return server.count() >= burst+4 })
	requests := server.requests()
	waits := map[string]time.Duration{}
	for _, p := range all {
		_ = p.Process.Kill()
		p.reads.Wait()
		p.process.wait()
		waits[p.name] = p.wait
	}
	// No turn was taken before start, so this holds however slowly processes start.
	paced(t, start, requests, each, burst)
	const rounding = time.Second / 2 // of what it said
	for _, r := range requests {
		name := r.URL.Query().Get("name")
		if took := r.at.Sub(start); took < waits[name]-rounding {
			t.Errorf("request %s came after %v, want its wait of %v before it", name, took, waits[name])
		}
	}
	t.Logf("%d requests in %v", len(requests), requests[len(requests)-1].at.Sub(start))
}

// TestInterruptedSpending stops a ferry whose request is on its way: the budget is charged for it at its worst.
func TestInterruptedSpending(t *testing.T) {
	home := "HOME=" + t.TempDir()
	realFerry(t, "config", "set", "budget", "5000 tokens/day").with(home).run().must()
	came, gone := make(chan struct{}), make(chan struct{})
	url := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(came); <-gone })).URL
	t.Cleanup(func() { close(gone) })
	p := realFerry(t, "ask", "--no-stdin", "--max-tokens", "70", "-n", url, "hello").with(home).start()
	<-came
	p.send(os.Interrupt).wait().killedBy(syscall.SIGINT)
	realFerry(t, "config", "usage", "-o", "json").with(home).run().want(0, `"requests":1,"input_tokens":2,"output_tokens":70}`, "")
}

// TestPurgeOnTerminal asks first, and only a yes removes.
func TestPurgeOnTerminal(t *testing.T) {
	home := "HOME=" + t.TempDir()
	realFerry(t, "ask", "--no-stdin", "-n", "demo", "--session", "trip", "hello").with(home).run().must()
	for _, tt := range [][2]string{
		{"", "nothing was removed"}, {"n", "nothing was removed"}, {"yesterday", "nothing was removed"}, {"Y", "ferry: removed"}, {"", "nothing is kept"},
	} {
		p := realFerry(t, "config", "purge").with(home)
		terminal := p.terminal(120)
		_, err := terminal.Write([]byte(tt[0] + "\n"))
		check(t, err)
		shown := readAll(terminal)
		p.wait().must()
		contains(t, fmt.Sprintf("the answer %q", tt[0]), shown, tt[1])
		if tt[1] == "nothing was removed" {
			contains(t, fmt.Sprintf("the answer %q", tt[0]), shown, "remove all of it? [y/N] ")
		}
	}
}
