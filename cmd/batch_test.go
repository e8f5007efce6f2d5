//go:build !windows

package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/demo"

	"github.com/creack/pty"
)

// TestBatchManyItems asks 3,000 items at once in 64 against a node of which every twentieth answer is a 503: all of them
// are accounted for, the connections are used again, and memory stays small. The run after it finishes the rest.
func TestBatchManyItems(t *testing.T) {
	long(t, "thousands of items")
	const items, workers = 3000, 64
	node := demo.New(demo.Options{})
	defer node.Close()
	server := httptest.NewUnstartedServer(node)
	var connections atomic.Int64
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.jsonl")
	var text strings.Builder
	for i := range items {
		fmt.Fprintf(&text, "prompt %d\n", i+1)
	}
	write(t, in, text.String())
	runItems := func() (code int, peak int64, said string) {
		var stderr bytes.Buffer
		c := realFerry(t, "ask", "-q", "--attempts", "1", "--max-tokens", "50", "-c", fmt.Sprint(workers),
			"--batch", in, "--out", out, "-n", server.URL+"?success=95")
		c.Env = append(c.Env, "FERRY_KEY=any")
		c.Stderr = &stderr
		_ = c.Run() // the exit code says it
		usage := c.ProcessState.SysUsage().(*syscall.Rusage)
		return c.ProcessState.ExitCode(), usage.Maxrss, stderr.String()
	}
	code, peak, said := runItems()
	answered, failed := linesOf(t, out), linesOf(t, out+".failed")
	if len(answered)+len(failed) != items || len(failed) < items/40 || len(failed) > items/10 {
		t.Errorf("%d answered and %d failed of %d", len(answered), len(failed), items)
	}
	for id := range failed {
		if answered[id] {
			t.Errorf("%s is answered and failed", id)
		}
	}
	if want := fmt.Sprintf("%d of %d answered, %d failed", len(answered), items, len(failed)); code != 1 || !strings.Contains(said, want) {
		t.Errorf("exit code %d, stderr %q, want 1 and %q", code, said, want)
	}
	if n := connections.Load(); n > 2*workers {
		t.Errorf("%d connections for %d at once", n, workers)
	}
	if runtime.GOOS == "linux" && peak > 160<<10 && !raceEnabled {
		t.Errorf("peak memory %d KiB", peak)
	}
	t.Logf("%d connections, peak %d KiB", connections.Load(), peak)
	for range 10 {
		if code == 0 {
			break
		}
		code, _, said = runItems()
	}
	if answered := linesOf(t, out); code != 0 || len(answered) != items {
		t.Errorf("in the end: exit code %d, %d answered; %s", code, len(answered), said)
	}
	if _, err := os.Stat(out + ".failed"); err == nil {
		t.Error("nothing failed, and there is a list of failures")
	}
}

// linesOf are the ids in a file of results, each of which comes once.
func linesOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	ids := map[string]bool{}
	for line := range bytes.Lines(text) {
		var result struct{ ID string }
		if err := json.Unmarshal(line, &result); err != nil || result.ID == "" || ids[result.ID] {
			t.Fatalf("%s has the line %q: %v", path, line, err)
		}
		ids[result.ID] = true
	}
	return ids
}

// TestBatchInterrupted presses Ctrl-C: what is in flight is waited for and kept, no more is sent, and ferry dies of the
// signal.
func TestBatchInterrupted(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.jsonl")
	write(t, in, strings.Repeat("again\n", 10_000))
	c := realFerry(t, "ask", "-c", "4", "--batch", in, "--out", out, "-n", "demo:?latency=20ms")
	terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 70})
	check(t, err)
	defer terminal.Close()
	seen := readUntil(t, terminal, shows("left"))
	if !strings.Contains(seen, "/10000") || !strings.Contains(seen, "/s") || !strings.Contains(seen, "0 failed") {
		t.Errorf("drawn: %q", seen)
	}
	if _, err := terminal.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	rest := readUntil(t, terminal, shows("is not answered"))
	_ = c.Wait() // its status says it
	if status := c.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("wait status %#x", status)
	}
	want := fmt.Sprintf("%d of 10000 answered, %d not sent, stopped", len(linesOf(t, out)), 10_000-len(linesOf(t, out)))
	if !strings.Contains(strings.Join(strings.Fields(rest), " "), want) {
		t.Errorf("said %q, want %q", rest, want)
	}
}

// shows looks for words that a narrow terminal may have broken into lines.
func shows(words string) func(string) bool {
	return func(seen string) bool { return strings.Contains(strings.Join(strings.Fields(seen), " "), words) }
}

// TestBatchFullDisk gives OUT a limit, as a full disk has one: the sending stops at once, what OUT has is whole, the
// answers that it did not take are on standard error, and nothing is asked twice afterwards.
func TestBatchFullDisk(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.jsonl")
	write(t, in, strings.Repeat("again\n", 500))
	c := realFerry(t, "ask", "-q", "-c", "4", "--batch", in, "--out", out, "-n", "demo")
	c.Env = append(c.Env, fileLimit+"=20000")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	_ = c.Run() // the exit code says it
	said := stderr.String()
	if c.ProcessState.ExitCode() != 1 || !strings.Contains(said, "out.jsonl: cannot write: file too large") {
		t.Fatalf("exit code %d: %s", c.ProcessState.ExitCode(), said)
	}
	answered := linesOf(t, out)
	_, lost, _ := strings.Cut(said, "in flight when a run ended: ")
	lost, _, _ = strings.Cut(lost, "\n")
	if len(answered) == 0 || len(answered) > 80 || lost == "" {
		t.Errorf("%d answered, lost %q", len(answered), lost)
	}
	for _, id := range strings.Split(lost, ", ") {
		if answered[id] || !strings.Contains(said, `{"id":"`+id+`"`) {
			t.Errorf("the answer of %s is neither in OUT nor on standard error", id)
		}
	}
	again := realFerry(t, "ask", "-q", "-c", "4", "--batch", in, "--out", out, "-n", "demo")
	text, _ := again.CombinedOutput()
	_, named, _ := strings.Cut(string(text), "in flight when a run ended: ")
	named, _, _ = strings.Cut(named, "\n")
	was, is := strings.Split(lost, ", "), strings.Split(named, ", ")
	slices.Sort(was)
	slices.Sort(is)
	if again.ProcessState.ExitCode() != 1 || len(linesOf(t, out))+len(was) != 500 || !slices.Equal(was, is) {
		t.Errorf("then: exit code %d, %d answered, %q lost, %s", again.ProcessState.ExitCode(), len(linesOf(t, out)), was, text)
	}
}

// kills is how often TestBatchKilled kills a batch: go test ./cmd -run BatchKilled -kills 1000.
var kills = flag.Int("kills", 60, "how many batches are killed")

const killItems = 40

// killLane is one batch after another against one demo node, each killed again and again until it is done.
type killLane struct {
	t      *testing.T
	random *rand.Rand
	url    string
	dir    string
	in     string

	out     string
	kept    []byte // whole lines of OUT when it was last read
	killed  int
	batches int

	mu sync.Mutex
	// seen are the items that arrived, by the newest run that sent them; trap is called with each arrival.
	seen map[string]int
	// again are items that a run sent though an earlier one had.
	again []string
	trap  func()
}

// TestBatchKilled kills batches at random moments: no line of OUT is ever lost and none comes twice, OUT and the journal
// can always be read, every item that was in flight is named, and none of those is asked again unasked.
func TestBatchKilled(t *testing.T) {
	long(t, "dozens of kills")
	const lanes = 2
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			l := &killLane{t: t, random: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), seen: map[string]int{}}
			node := demo.New(demo.Options{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				l.arrives(r)
				node.ServeHTTP(w, r)
			}))
			t.Cleanup(func() { server.Close(); node.Close() })
			l.url = server.URL
			l.input()
			for l.killed < *kills/lanes && !t.Failed() {
				l.finishOne(*kills / lanes)
			}
			t.Logf("%d kills, %d batches finished", l.killed, l.batches)
			if *kills/lanes > 0 && l.killed == 0 {
				t.Error("nothing was killed")
			}
		})
	}
}

func (l *killLane) input() {
	var text strings.Builder
	for i := range killItems {
		fmt.Fprintf(&text, "{\"id\":\"item-%d\",\"prompt\":\"item-%d %s\"}\n", i, i, strings.Repeat("x", 20*i))
	}
	l.in = filepath.Join(l.dir, "in.jsonl")
	write(l.t, l.in, text.String())
}

var (
	itemName = regexp.MustCompile(`item-\d+`)
	runName  = regexp.MustCompile(`run=(\d+)`)
)

// arrives notes a request.
func (l *killLane) arrives(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	name := itemName.FindString(string(body))
	var number int
	if found := runName.FindStringSubmatch(r.URL.RawQuery); found != nil {
		_, _ = fmt.Sscan(found[1], &number)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// An odd run asks again what was in flight; what a killed run had sent may arrive late.
	if was, ok := l.seen[name]; ok && was < number && number%2 == 0 {
		l.again = append(l.again, name)
	}
	l.seen[name] = max(l.seen[name], number)
	if l.trap != nil {
		l.trap()
	}
}

// finishOne runs one batch until it is done or enough was killed.
func (l *killLane) finishOne(enough int) {
	l.batches++
	l.out = filepath.Join(l.dir, fmt.Sprintf("out-%d.jsonl", l.batches))
	l.kept = nil
	l.mu.Lock()
	l.seen = map[string]int{}
	l.mu.Unlock()
	for number := 2; l.killed < enough && !l.t.Failed(); number += 2 {
		asking := number
		if l.random.IntN(3) == 0 {
			asking++
		}
		killed, code, stderr := l.runOnce(asking)
		done := l.check()
		switch {
		case killed:
			l.killed++
		case code == 0 && done == killItems:
			return
		case code == 0 || code != 1 || asking%2 == 1:
			l.t.Errorf("exit code %d with %d of %d answered: %s", code, done, killItems, stderr)
		}
	}
}

// runOnce starts a run, and kills it at a random moment: some time after its start, or when so many requests have come.
func (l *killLane) runOnce(number int) (killed bool, code int, stderr string) {
	args := []string{"ask", "-q", "-c", "8", "--batch", l.in, "--out", l.out, "-n", fmt.Sprintf("%s?run=%d", l.url, number)}
	if number%2 == 1 {
		args = append(args, "--again")
	}
	c := realFerry(l.t, args...)
	c.Env = append(c.Env, "FERRY_KEY=any")
	var said bytes.Buffer
	c.Stderr = &said
	var once sync.Once
	shoot := func() { once.Do(func() { _ = c.Process.Kill() }) } // it may be over
	left := 1 + l.random.IntN(killItems)
	later := time.Duration(l.random.IntN(1500)) * time.Microsecond
	byArrival := l.random.IntN(3) > 0
	check(l.t, c.Start())
	l.mu.Lock()
	l.trap = func() {
		if left--; left == 0 && byArrival {
			time.AfterFunc(later, shoot)
		}
	}
	l.mu.Unlock()
	if !byArrival {
		defer time.AfterFunc(time.Duration(l.random.IntN(30_000))*time.Microsecond, shoot).Stop()
	}
	err := c.Wait()
	l.mu.Lock()
	l.trap = nil
	l.mu.Unlock()
	once.Do(func() {}) // too late to shoot
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return true, 0, ""
	}
	return false, c.ProcessState.ExitCode(), said.String()
}

// check looks at the files after a run and returns how many items are answered.
func (l *killLane) check() int {
	text, err := os.ReadFile(l.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Fatal(err)
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if !bytes.HasPrefix(whole, l.kept) {
		l.t.Errorf("OUT had %q and has %q", l.kept, whole)
	}
	l.kept = whole
	answered := map[string]bool{}
	for line := range bytes.Lines(whole) {
		var result struct {
			ID, Text string
			Error    any
		}
		if err := json.Unmarshal(line, &result); err != nil || !strings.Contains(result.Text, result.ID+" ") || result.Error != nil {
			l.t.Errorf("OUT has the line %q: %v", line, err)
		}
		if answered[result.ID] {
			l.t.Errorf("%s is in OUT twice", result.ID)
		}
		answered[result.ID] = true
	}
	// A look at the batch is what the next run would say.
	code, stdout, stderr := run(l.t, map[string]string{"FERRY_KEY": "any"}, "ask", "-q", "--dry-run", "--batch", l.in, "--out", l.out, "-n", l.url)
	if code != 0 {
		l.t.Errorf("a dry run after it: exit code %d, %s", code, stderr)
	}
	var named []string
	if _, list, ok := strings.Cut(stdout, "in flight when a run ended: "); ok {
		list, _, _ = strings.Cut(list, "\n")
		named = strings.Split(list, ", ")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for item := range l.seen {
		if !answered[item] && !slices.Contains(named, item) {
			l.t.Errorf("%s was sent, is not answered, and not among the ambiguous: %q", item, named)
		}
	}
	for _, item := range named {
		if answered[item] {
			l.t.Errorf("%s is answered and called ambiguous", item)
		}
	}
	if len(l.again) > 0 {
		l.t.Errorf("asked again without --again: %q", l.again)
	}
	return len(answered)
}
