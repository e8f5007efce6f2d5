//go:build !windows

package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestBatchManyItems runs a batch of 3,000 items, of which every twentieth gets a 503. The next run finishes the rest.
func TestBatchManyItems(t *testing.T) {
	skipIfShort(t, "thousands of items")
	const items, workers = 3000, 64
	server := serve(t, nil)
	in, out := batchFiles(t, items)
	runItems := func() result {
		return realFerry(t, "ask", "-q", "--attempts", "1", "--max-tokens", "50", "-c", fmt.Sprint(workers),
			"--batch", in, "--out", out, "-n", server.URL+"?success=95").run()
	}
	r := runItems()
	answered, failed := linesOf(t, out), linesOf(t, out+".failed")
	errorIf(t, len(answered)+len(failed) != items || len(failed) < items/40 || len(failed) > items/10,
		"%d answered and %d failed, want %d together and about a twentieth failed", len(answered), len(failed), items)
	for id := range failed {
		equal(t, id+", which failed, is answered", answered[id], false)
	}
	r.want(1, "", fmt.Sprintf("%d of %d answered, %d failed", len(answered), items, len(failed)))
	atMost(t, "connections", server.connections.Load(), 2*workers)
	peak := r.state.SysUsage().(*syscall.Rusage).Maxrss
	errorIf(t, runtime.GOOS == "linux" && peak > 160<<10 && !raceEnabled,
		"peak memory %d KiB, want at most %d", peak, 160<<10)
	t.Logf("%d connections, peak %d KiB", server.connections.Load(), peak)
	for tries := 0; tries < 10 && r.code != 0; tries++ {
		r = runItems()
	}
	r.want(0, "", "")
	equal(t, "answers in the end", len(linesOf(t, out)), items)
	if _, err := os.Stat(out + ".failed"); err == nil {
		t.Error("nothing failed, and there is a list of failures, want none")
	}
}

// batchFiles returns the names of a batch's files. The first file has the given number of prompts.
func batchFiles(t *testing.T, items int) (in, out string) {
	dir := t.TempDir()
	in, out = filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.jsonl")
	var text strings.Builder
	for i := range items {
		fmt.Fprintf(&text, "prompt %d\n", i+1)
	}
	write(t, in, text.String())
	return in, out
}

// linesOf returns the IDs in a file of results and checks that each appears once.
func linesOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for line := range strings.Lines(read(t, path)) {
		var result struct{ ID string }
		if err := json.Unmarshal([]byte(line), &result); err != nil || result.ID == "" || ids[result.ID] {
			t.Fatalf("%s has the line %q, want JSON with an id of its own: %v", path, line, err)
		}
		ids[result.ID] = true
	}
	return ids
}

// TestBatchInterrupted presses Ctrl-C: ferry keeps the answers in flight, sends no more, and dies of the signal.
func TestBatchInterrupted(t *testing.T) {
	in, out := batchFiles(t, 10_000)
	p := realFerry(t, "ask", "-c", "4", "--batch", in, "--out", out, "-n", "demo:?latency=20ms")
	drawn, rest := p.typed(70, containsUnwrapped("left"), ctrlC)
	contains(t, "what is drawn", drawn, "/10000", "/s", "0 failed")
	contains(t, "what is said", rest, "without an answer")
	p.wait().killedBy(syscall.SIGINT)
	answered := len(linesOf(t, out))
	contains(t, "what is said", strings.Join(strings.Fields(rest), " "),
		fmt.Sprintf("%d of 10000 answered, %d not sent, stopped", answered, 10_000-answered))
}

// inFlight returns the items, sorted, that a batch reports as in flight when a run ended, or as without an answer in
// OUT.
func inFlight(said string) []string {
	found := regexp.MustCompile(`(?:in flight when a run ended|have no answer in OUT): (.*)`).FindStringSubmatch(said)
	if found == nil {
		return nil
	}
	return slices.Sorted(slices.Values(strings.Split(found[1], ", ")))
}

// TestBatchFullDisk limits the size of OUT, as a full disk does. Sending stops at once, the lines in OUT are complete,
// the answers that did not fit are on standard error, and the next run resends nothing.
func TestBatchFullDisk(t *testing.T) {
	in, out := batchFiles(t, 500)
	batch := []string{"ask", "-q", "-c", "4", "--batch", in, "--out", out, "-n", "demo"}
	r := realFerry(t, batch...).with(fileLimit+"=20000").run().want(1, "", "out.jsonl: cannot write: file too large")
	answered, lost := linesOf(t, out), inFlight(r.stderr)
	errorIf(t, len(answered) == 0 || len(answered) > 80 || len(lost) == 0,
		"%d answered, lost %q, want 1 to 80, and some lost", len(answered), lost)
	for _, id := range lost {
		equal(t, id+", which is lost, is in OUT", answered[id], false)
		r.want(1, "", `{"id":"`+id+`"`).want(1, "", "hint: answers that could not be written are above")
	}
	for line := range strings.Lines(r.stderr) {
		var lost struct{ Text string }
		if json.Unmarshal([]byte(line), &lost) == nil {
			contains(t, "an answer that OUT did not take", lost.Text, "You wrote")
		}
	}
	again := realFerry(t, batch...).run().want(1, "", "")
	equal(t, "answered then", len(linesOf(t, out)), 500-len(lost))
	equal(t, "in flight then", inFlight(again.stderr), lost)
}

// kills is how often TestBatchKilled kills a batch: go test ./cmd -run BatchKilled -kills 1000.
var kills = flag.Int("kills", 60, "how many batches are killed")

const killItems = 40

// batchKiller runs one batch after another against one demo node and kills each repeatedly until it is done.
type batchKiller struct {
	t      *testing.T
	random *rand.Rand
	url    string
	dir    string
	in     string

	out     string
	kept    []byte // complete lines of OUT when it was last read
	killed  int
	batches int

	mu sync.Mutex
	// seen maps each item that arrived to the newest run that sent it; trap is called on each arrival.
	seen map[string]int
	// again lists items that a run sent although an earlier run had sent them.
	again []string
	trap  func()
}

// TestBatchKilled kills batches at random moments. No line of OUT is ever lost or written twice, OUT and the journal
// can always be read, every item that was in flight is named, and none of them is resent without --again.
func TestBatchKilled(t *testing.T) {
	skipIfShort(t, "dozens of kills")
	const lanes = 2
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			l := &batchKiller{t: t, random: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), seen: map[string]int{}}
			l.url = serve(t, nil, func(s *server) { s.arrives = l.arrives }).URL
			l.input()
			for l.killed < *kills/lanes && !t.Failed() {
				l.finishOne(*kills / lanes)
			}
			t.Logf("%d kills, %d batches finished", l.killed, l.batches)
			errorIf(t, *kills/lanes > 0 && l.killed == 0, "nothing was killed")
		})
	}
}

func (l *batchKiller) input() {
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

// arrives records a request.
func (l *batchKiller) arrives(r recordedRequest) {
	name := itemName.FindString(r.body)
	var number int
	if found := runName.FindStringSubmatch(r.URL.RawQuery); found != nil {
		_, _ = fmt.Sscan(found[1], &number)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// An odd run resends the items in flight; requests of a killed run may arrive late.
	if was, ok := l.seen[name]; ok && was < number && number%2 == 0 {
		l.again = append(l.again, name)
	}
	l.seen[name] = max(l.seen[name], number)
	if l.trap != nil {
		l.trap()
	}
}

// finishOne runs one batch until it is done or the number of kills is reached.
func (l *batchKiller) finishOne(enough int) {
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
		killed, r := l.runOnce(asking)
		done := l.check()
		switch {
		case killed:
			l.killed++
		case r.code == 0 && done == killItems:
			return
		case r.code != 1 || asking%2 == 1:
			r.errorf("%d of %d answered, want all and exit code 0, or exit code 1 without --again", done, killItems)
		}
	}
}

// runOnce starts a run and kills it at a random moment: some time after its start, or after a number of requests.
func (l *batchKiller) runOnce(number int) (killed bool, r result) {
	args := []string{"ask", "-q", "-c", "8", "--batch", l.in, "--out", l.out, "-n", fmt.Sprintf("%s?run=%d", l.url, number)}
	if number%2 == 1 {
		args = append(args, "--again")
	}
	p := realFerry(l.t, args...).start()
	kill := func() { _ = p.Process.Kill() } // it may have ended already
	if l.random.IntN(3) > 0 {
		left, later := 1+l.random.IntN(killItems), time.Duration(l.random.IntN(1500))*time.Microsecond
		l.mu.Lock()
		l.trap = func() {
			if left--; left == 0 {
				time.AfterFunc(later, kill)
			}
		}
		l.mu.Unlock()
	} else {
		time.AfterFunc(time.Duration(l.random.IntN(30_000))*time.Microsecond, kill)
	}
	r = p.wait()
	return r.code == -1, r
}

// check checks the files after a run and returns how many items have an answer.
func (l *batchKiller) check() int {
	text, err := os.ReadFile(l.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Fatal(err)
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	errorIf(l.t, !bytes.HasPrefix(whole, l.kept), "OUT had %q and has %q, want more lines at most", l.kept, whole)
	l.kept = whole
	answered := map[string]bool{}
	for line := range bytes.Lines(whole) {
		var result struct {
			ID, Text string
			Error    any
		}
		if err := json.Unmarshal(line, &result); err != nil || !strings.Contains(result.Text, result.ID+" ") || result.Error != nil {
			l.t.Errorf("OUT has the line %q, want its prompt and no error: %v", line, err)
		}
		equal(l.t, result.ID+" is in OUT before", answered[result.ID], false)
		answered[result.ID] = true
	}
	// --dry-run prints what the next run would report.
	dry := ferry(l.t, map[string]string{"FERRY_KEY": "any"}, "ask", "-q", "--dry-run", "--batch", l.in, "--out", l.out, "-n", l.url)
	dry.want(0, "", "")
	named := inFlight(dry.stdout)
	l.mu.Lock()
	defer l.mu.Unlock()
	for item := range l.seen {
		errorIf(l.t, !answered[item] && !slices.Contains(named, item),
			"%s was sent, want it answered or among the ambiguous: %q", item, named)
	}
	for _, item := range named {
		equal(l.t, item+", which is called ambiguous, is answered", answered[item], false)
	}
	equal(l.t, "asked again without --again", l.again, nil)
	return len(answered)
}
