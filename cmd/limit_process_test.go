//go:build !windows

package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/demo"

	"github.com/creack/pty"
)

// arrivals is a server that notes when each request came, and which.
type arrivals struct {
	*httptest.Server
	mu    sync.Mutex
	times []time.Time
	names []string
}

func countArrivals(t *testing.T) *arrivals {
	t.Helper()
	a := &arrivals{}
	node := demo.New(demo.Options{})
	t.Cleanup(func() { _ = node.Close() })
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.times, a.names = append(a.times, time.Now()), append(a.names, r.URL.Query().Get("name"))
		a.mu.Unlock()
		node.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *arrivals) seen() ([]time.Time, []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.times), slices.Clone(a.names)
}

// asks starts n processes that share a home and ask the server, each under a name of its own.
func (a *arrivals) asks(t *testing.T, n int, limit string) []*asking {
	t.Helper()
	home := t.TempDir()
	var all []*asking
	for i := range n {
		one := &asking{name: fmt.Sprint(i)}
		one.Cmd = realFerry(t, "ask", "-n", a.URL+"?name="+one.name, "--no-stdin", "hello")
		one.Env = append(one.Env, "HOME="+home, "XDG_STATE_HOME=", "FERRY_LIMIT="+limit, "FERRY_KEY=some-key")
		stderr, err := one.StderrPipe()
		check(t, err)
		check(t, one.Start())
		one.reads.Go(func() { one.read(stderr) })
		all = append(all, one)
	}
	return all
}

// asking is a process that waits for its turn.
type asking struct {
	*exec.Cmd
	name  string
	reads sync.WaitGroup
	mu    sync.Mutex
	text  string
	wait  time.Duration // that it said it has before it; 0 where it said nothing
}

func (p *asking) read(stderr io.Reader) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		p.mu.Lock()
		p.text += line
		var seconds float64
		if _, after, found := strings.Cut(line, ": waiting "); found {
			if _, err := fmt.Sscan(after, &seconds); err == nil {
				p.wait = time.Duration(seconds * float64(time.Second))
			}
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// end waits for the process and gives what it said.
func (p *asking) end() (string, time.Duration, error) {
	p.reads.Wait()
	err := p.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text, p.wait, err
}

// paced holds arrivals to a rate: the k-th one comes no sooner than the k-th turn, however late the others are.
func paced(t *testing.T, start time.Time, times []time.Time, each time.Duration, burst int) {
	t.Helper()
	for k, at := range slices.SortedFunc(slices.Values(times), time.Time.Compare) {
		if earliest := start.Add(time.Duration(k+1-burst) * each); at.Before(earliest) {
			t.Errorf("request %d came %v before its turn", k+1, earliest.Sub(at))
		}
	}
}

// TestProcessesShareALimit runs 40 ferries at once on 600/min with a burst of 5: all are answered, and no
// faster than the limit lets them.
func TestProcessesShareALimit(t *testing.T) {
	long(t, "seconds of a real limit")
	t.Parallel()
	const n, burst, each = 40, 5, 100 * time.Millisecond
	server := countArrivals(t)
	start := time.Now()
	for _, p := range server.asks(t, n, "600/min burst 5") {
		if said, _, err := p.end(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	}
	times, _ := server.seen()
	if len(times) != n {
		t.Fatalf("%d requests, want %d", len(times), n)
	}
	paced(t, start, times, each, burst)
	t.Logf("%d processes took %v; the limit takes %v", n, times[n-1].Sub(start), (n-burst)*each)
}

// TestProcessesInOrder runs 64 ferries on 50/min with a burst of 5, some of which are killed while they wait: the others
// get through no faster than the limit lets them, and none of them before the wait that it said is over.
func TestProcessesInOrder(t *testing.T) {
	long(t, "seconds of a real limit")
	t.Parallel()
	const n, burst, each = 64, 5, 1200 * time.Millisecond
	server := countArrivals(t)
	start := time.Now()
	all := server.asks(t, n, "50/min burst 5")
	arrived := func(least int) func() bool {
		return func() bool { times, _ := server.seen(); return len(times) >= least }
	}
	eventually(t, "the burst arrives", arrived(burst))
	for _, p := range all[:8] {
		_ = p.Process.Kill() // those of the burst may have ended by now
	}
	eventually(t, "four more arrive", arrived(burst+4))
	times, names := server.seen()
	waits := map[string]time.Duration{}
	for _, p := range all {
		_ = p.Process.Kill()
		_, waits[p.name], _ = p.end()
	}
	// No turn was taken before start, so this holds however slowly processes start.
	paced(t, start, times, each, burst)
	const rounding = time.Second / 2 // of what it said
	for i, name := range names {
		if took := times[i].Sub(start); took < waits[name]-rounding {
			t.Errorf("request %s, which was to wait %v, came after %v", name, waits[name], took)
		}
	}
	t.Logf("%d requests in %v", len(times), times[len(times)-1].Sub(start))
}

// TestInterruptedSpending stops a ferry whose request is on its way: it may be billed, so the budget is charged for it at
// its worst, and ferry dies of the signal all the same.
func TestInterruptedSpending(t *testing.T) {
	home := t.TempDir()
	at := func(args ...string) *exec.Cmd {
		c := realFerry(t, args...)
		c.Env = append(c.Env, "HOME="+home, "XDG_STATE_HOME=")
		return c
	}
	if out, err := at("config", "set", "budget", "5000 tokens/day").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	asked := make(chan struct{})
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-gone
	}))
	defer server.Close()
	defer close(gone)
	c := at("ask", "--no-stdin", "--max-tokens", "70", "-n", server.URL, "hello")
	check(t, c.Start())
	<-asked
	check(t, c.Process.Signal(os.Interrupt))
	if err := c.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Errorf("ended with %v", err)
	}
	out, err := at("config", "usage", "-o", "json").Output()
	if err != nil || !strings.Contains(string(out), `"requests":1,"input_tokens":2,"output_tokens":70}`) {
		t.Errorf("%s, %v", out, err)
	}
}

// TestPurgeOnTerminal asks first, and only a yes removes.
func TestPurgeOnTerminal(t *testing.T) {
	home := t.TempDir()
	purge := func(answer string) string {
		c := realFerry(t, "config", "purge")
		c.Env = append(c.Env, "HOME="+home, "XDG_STATE_HOME=")
		terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 120})
		check(t, err)
		defer terminal.Close()
		if _, err := terminal.Write([]byte(answer + "\n")); err != nil {
			t.Fatal(err)
		}
		shown, _ := io.ReadAll(terminal)
		if err := c.Wait(); err != nil {
			t.Errorf("answer %q: %v: %s", answer, err, shown)
		}
		return string(shown)
	}
	keep := realFerry(t, "ask", "--no-stdin", "-n", "demo", "--session", "trip", "hello")
	keep.Env = append(keep.Env, "HOME="+home, "XDG_STATE_HOME=")
	if out, err := keep.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, no := range []string{"", "n", "yesterday"} {
		if got := purge(no); !strings.Contains(got, "remove all of it? [y/N] ") || !strings.Contains(got, "nothing was removed") {
			t.Errorf("answer %q: %s", no, got)
		}
	}
	if got := purge("Y"); !strings.Contains(got, "ferry: removed") {
		t.Error(got)
	}
	if got := purge(""); !strings.Contains(got, "nothing is kept") {
		t.Error(got)
	}
}
