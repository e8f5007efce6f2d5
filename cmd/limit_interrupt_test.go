//go:build linux

package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// queueing is a home whose node lets one request an hour go, and has let one go.
type queueing struct {
	*arrivals
	home string
}

func newQueueing(t *testing.T) *queueing {
	t.Helper()
	q := &queueing{countArrivals(t), t.TempDir()}
	if out, err := q.ferry(t, "ask", "--no-stdin", "hello").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return q
}

func (q *queueing) ferry(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := realFerry(t, append(args, "--limit", "1/hour", "--timeout", "5h", "-n", q.URL)...)
	c.Env = append(c.Env, "HOME="+q.home, "XDG_STATE_HOME=", "FERRY_KEY=some-key")
	return c
}

// wait starts a ferry that waits the given number of hours, or a little less, for its turn.
func (q *queueing) wait(t *testing.T, hours int) *waiter {
	t.Helper()
	w := &waiter{Cmd: q.ferry(t, "ask", "--no-stdin", "hello")}
	stderr, err := w.StderrPipe()
	check(t, err)
	check(t, w.Start())
	w.lines = bufio.NewReader(stderr)
	line, err := w.lines.ReadString('\n')
	var seconds float64
	_, after, _ := strings.Cut(line, ": waiting ")
	if _, bad := fmt.Sscan(after, &seconds); err != nil || bad != nil || math.Ceil(seconds/3600) != float64(hours) {
		t.Errorf("said %q, %v; want a wait of %d hours", line, err, hours)
	}
	return w
}

// waiter is a process that waits for its turn.
type waiter struct {
	*exec.Cmd
	lines *bufio.Reader
}

// stop interrupts it, and holds it to dying of the signal.
func (w *waiter) stop(t *testing.T, s os.Signal) {
	t.Helper()
	check(t, w.Process.Signal(s))
	_, _ = io.Copy(io.Discard, w.lines)
	if err := w.Wait(); err == nil || err.Error() != "signal: "+s.String() {
		t.Errorf("ended with %v, want %v", err, s)
	}
}

// TestInterruptedTurn stops a ferry that waits for its turn, alone and with others behind it: it dies of the signal, the
// turn is given back, and those behind move up.
func TestInterruptedTurn(t *testing.T) {
	q := newQueueing(t)
	q.wait(t, 1).stop(t, os.Interrupt)
	first, second := q.wait(t, 1), q.wait(t, 2)
	first.stop(t, os.Interrupt)
	third := q.wait(t, 2) // the second has the first one's turn
	second.stop(t, syscall.SIGTERM)
	fourth := q.wait(t, 2)
	third.stop(t, syscall.SIGHUP)
	fourth.stop(t, syscall.SIGTERM)
	q.wait(t, 1).stop(t, os.Interrupt)
	if times, _ := q.seen(); len(times) != 1 {
		t.Errorf("%d requests", len(times))
	}
}

// TestInterruptedTurns stops a bench and a batch of which several requests wait for their turns. Each of them is given
// back at the first signal.
func TestInterruptedTurns(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out.jsonl")
	saved := filepath.Join(dir, "run.jsonl")
	write(t, in, "one\ntwo\nthree\nfour\n")
	q := newQueueing(t)
	for _, args := range [][]string{
		{"ask", "--batch", in, "--out", out, "-c", "3"},
		{"bench", "-c", "3", "-r", "4", "--warmup", "0", "--save", saved},
	} {
		before := q.number(t)
		c := q.ferry(t, args...)
		if args[0] == "bench" {
			c.Args = slices.DeleteFunc(c.Args, func(arg string) bool { return arg == "-n" }) // its nodes are arguments
		}
		var said strings.Builder
		c.Stderr = &said
		check(t, c.Start())
		eventually(t, args[0]+" has three turns", func() bool { return q.number(t) == before+3 })
		check(t, c.Process.Signal(os.Interrupt))
		if err := c.Wait(); err == nil {
			t.Errorf("%s was interrupted and ended well: %s", args[0], said.String())
		}
		q.wait(t, 1).stop(t, os.Interrupt)
	}
	// What was not sent is no failure, and nothing has to be kept of it.
	for _, path := range []string{out, out + ".journal", out + ".failed", saved} {
		if text, err := os.ReadFile(path); !os.IsNotExist(err) {
			t.Errorf("%s, %v: %s", path, err, text)
		}
	}
	if times, _ := q.seen(); len(times) != 1 {
		t.Errorf("%d requests", len(times))
	}
}

// number is the number of the next turn of the one bucket that there is.
func (q *queueing) number(t *testing.T) (n int) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(q.home, ".local/state/ferry/limits/*.bucket"))
	if len(files) != 1 {
		t.Fatalf("%d buckets", len(files))
	}
	data, err := os.ReadFile(files[0])
	_, after, found := strings.Cut(string(data), " next ")
	if _, bad := fmt.Sscan(after, &n); err != nil || !found || bad != nil {
		t.Fatalf("%v, %v: %.200q", err, bad, data)
	}
	return n
}
