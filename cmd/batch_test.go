//go:build !windows

package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

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
