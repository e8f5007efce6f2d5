//go:build !windows

package cmd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"ferry/cmd"
	"ferry/pkg/text"

	"github.com/charmbracelet/x/ansi"
)

// terminalWithin opens a pseudo-terminal for a program inside this process. shown returns everything written to it.
func terminalWithin(t *testing.T, columns uint16) (terminal *os.File, shown func() string) {
	t.Helper()
	master, terminal := openTerminal(t, columns)
	all := make(chan string, 1)
	go func() { all <- readAll(master) }() // the buffer of an unread terminal is small
	return terminal, func() string { terminal.Close(); return <-all }
}

// virtualTerminal runs ferry in virtual time with standard error on a terminal.
func virtualTerminal(t *testing.T, columns uint16, vars map[string]string, args ...string) (r result) {
	t.Helper()
	terminal, shown := terminalWithin(t, columns)
	synctest.Test(t, func(t *testing.T) {
		r = ferryIn(t, vars, func(e *cmd.Env) { e.Stderr, e.Clock = terminal, cmd.SystemEnv().Clock }, args...)
	})
	r.t, r.stderr = t, shown()
	return r
}

const erased = "\r\x1b[1A\x1b[J"

// frames returns the lines that were drawn in place, without repetitions, and the rest of the screen without styles.
func frames(shown string) (drawn []string, left string) {
	drawn, left = drawnInPlace(shown)
	return drawn, ansi.Strip(left)
}

// drawnInPlace is like frames, and keeps the styles.
func drawnInPlace(shown string) (drawn []string, left string) {
	for _, piece := range strings.Split(strings.ReplaceAll(shown, "\r\x1b[1A", ""), "\n") {
		line, isFrame := strings.CutSuffix(strings.TrimSuffix(piece, "\r"), "\x1b[K")
		line = strings.TrimPrefix(line, "\x1b[J")
		switch {
		case !isFrame:
			left += line + "\n"
		case len(drawn) == 0 || drawn[len(drawn)-1] != line:
			drawn = append(drawn, line)
		}
	}
	return drawn, strings.TrimSuffix(left, "\n")
}

// TestSilence checks that, on a terminal, ferry shows after a second what it waits for, in place, and clears it before
// the answer.
func TestSilence(t *testing.T) {
	long := strings.Repeat("香港代理节点", 3)
	vars := withConfig(t, "nodes:\n  hongkong: {url: 'demo:?latency=3s'}\n  "+long+": {url: 'demo:?latency=3s'}\n", nil)
	for _, test := range []struct {
		name    string
		columns uint16
		args    []string
		want    []string
		code    int
	}{
		{"ask", 60, []string{"ask", "-n", "hongkong"}, []string{
			"hongkong: waiting for the answer… 1 s; at most 10m", "hongkong: waiting for the answer… 2 s; at most 10m"}, 0},
		{"stream", 60, []string{"stream", "-n", "hongkong", "--idle-timeout", "20s"}, []string{
			"hongkong: waiting for the first token… 1 s; at most 20s", "hongkong: waiting for the first token… 2 s; at most 20s"}, 0},
		{"less than a second", 60, []string{"ask", "-n", "demo:?latency=900ms"}, nil, 0},
		{"a narrow terminal", 40, []string{"ask", "-n", "hongkong"}, []string{
			"hongkong: waiting for the answer… 1 s", "hongkong: waiting for the answer… 2 s"}, 0},
		{"a long name", 60, []string{"ask", "-n", long}, []string{"香港代理节点香港代理节点香港…: waiting for the answer… 1 s"}, 0},
		{"a second attempt", 80, []string{"ask", "-n", "demo:?status=503,200&latency=2s"}, []string{
			"demo: waiting for the answer… 1 s; at most 10m", "demo: 503; attempt 2 of 3 in 1 s",
			"demo: waiting for the answer… 1 s; attempt 2 of 3; at most 9m56s"}, 0},
		{"a failure", 60, []string{"ask", "-n", "demo:?status=400&latency=2s"}, []string{"demo: waiting for the answer… 1 s; at most 10m"}, 1},
		{"verbose", 60, []string{"ask", "-v", "-n", "hongkong"}, []string{
			"hongkong: waiting for the answer… 1 s; at most 10m", "hongkong: waiting for the answer… 2 s; at most 10m"}, 0},
	} {
		r := virtualTerminal(t, test.columns, vars, append(test.args, "hello")...)
		drawn, left := frames(r.stderr)
		rest := drawn
		for _, line := range test.want {
			at := slices.Index(rest, line)
			fatalIf(t, at < 0, "%s: drawn %q, want in this order %q", test.name, drawn, test.want)
			rest = rest[at:]
		}
		equal(t, test.name+": is anything drawn", len(drawn) > 0, len(test.want) > 0)
		equal(t, test.name+": exit code", r.code, test.code)
		lacks(t, test.name+": what is left", left, "waiting", "attempt 2 of 3 in")
		lacks(t, test.name+": standard output", r.stdout, "waiting for", "\x1b")
		equal(t, test.name+": the last frame is erased", strings.Contains(r.stderr, erased), len(test.want) > 0)
		for _, line := range drawn {
			atMost(t, "columns of "+line, text.Width(line), int(test.columns)-1)
		}
	}
}

// TestSilenceElsewhere expects plain lines if a terminal cannot be drawn on, and nothing in a pipe or under -q.
func TestSilenceElsewhere(t *testing.T) {
	ask := []string{"ask", "-n", "demo:?latency=12s", "hello"}
	for _, plain := range []string{"TERM", "NO_COLOR"} {
		r := virtualTerminal(t, 80, map[string]string{plain: "dumb"}, ask...)
		equal(t, plain, strings.ReplaceAll(r.stderr, "\r\n", "\n"),
			"ferry: demo is the demo node: its answers are made up here\nferry: demo: waiting for the answer…; at most 10m\n")
	}
	equal(t, "-q", virtualTerminal(t, 80, nil, append(ask, "-q")...).stderr, "")
	r, _ := runVirtual(t, ask...)
	equal(t, "a pipe", r.stderr, "ferry: demo is the demo node: its answers are made up here\n")
}

// TestSilenceInterrupted presses Ctrl-C while ferry shows that it waits: the line is cleared, and another says what
// may be billed.
func TestSilenceInterrupted(t *testing.T) {
	p := realFerry(t, "ask", "--no-stdin", "-n", "demo:?stall", "hello")
	_, rest := p.typed(80, containsUnwrapped("waiting for the answer… 1 s"), ctrlC)
	contains(t, "the terminal after Ctrl-C", rest, erased)
	contains(t, "the terminal after Ctrl-C", ansi.Strip(rest),
		"Error: demo: stopped by Ctrl-C (SIGINT)\r\nhint: a request was sent, which may have been carried out and billed\r\n")
	p.wait().killedBy(syscall.SIGINT)
}

// TestSilenceOfManyRequests checks that bench and batch, which draw their progress, and config check show what they
// wait for, and not on standard output.
func TestSilenceOfManyRequests(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in.txt"), "one\ntwo\nthree\n")
	batch := []string{"ask", "--batch", filepath.Join(dir, "in.txt"), "--out", filepath.Join(dir, "out.jsonl"), "-n"}
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"bench", []string{"bench", "-r", "2", "demo:?latency=4s"}, []string{"waiting for the first answer… 2 s"}},
		{"bench, retries", []string{"bench", "-r", "2", "--attempts", "3", "demo:?status=429"}, []string{"1 waiting to retry"}},
		{"batch", append(batch, "demo:?latency=4s"), []string{"0/3", "waiting for the first answer… 2 s"}},
		{"check", []string{"config", "check", "--live", "demo:?latency=3s"}, []string{"demo: waiting for the answer… 1 s; at most 30s"}},
	} {
		r := virtualTerminal(t, 120, map[string]string{"XDG_STATE_HOME": t.TempDir()}, test.args...)
		drawn, left := frames(r.stderr)
		contains(t, test.name+": what is drawn", strings.Join(drawn, "\n"), test.want...)
		lacks(t, test.name+": what is left", left, test.want[0])
		lacks(t, test.name+": standard output", r.stdout, "waiting for", "\x1b")
		if test.name == "check" {
			equal(t, "what is left of a check", left, "")
			r.want(0, "✓ live", "")
		}
	}
}

// TestSilenceOfARace checks that ferry shows what it does while no node of a race is ready.
func TestSilenceOfARace(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // does not use TLS
	check(t, err)
	defer silent.Close()
	vars := withConfig(t, fmt.Sprintf("connect_timeout: 1500ms\nnodes:\n  a: {url: 'https://%[1]s', key: 'env:NODE_KEY'}\n"+
		"  b: {url: 'https://%[1]s', key: 'env:NODE_KEY'}\n", silent.Addr()), nil)
	terminal, shown := terminalWithin(t, 80)
	r := ferryIn(t, vars, func(e *cmd.Env) { e.Stderr = terminal }, "ask", "--pick", "fastest", "-n", "a,b", "hello")
	drawn, left := frames(shown())
	equal(t, "exit code", r.code, 1)
	contains(t, "what is drawn", strings.Join(drawn, "\n"), "connecting to 2 nodes… 1 s")
	contains(t, "what is left", left, "Error: ")
	lacks(t, "what is left", left, "connecting to 2 nodes")
}

// TestKeyFromATerminal ends the prompt for a key without entering one.
func TestKeyFromATerminal(t *testing.T) {
	vars := withConfig(t, "nodes: {h: {url: 'https://h.example.com'}}\n", nil)
	p := realFerry(t, "config", "key", "h").with("FERRY_CONFIG=" + vars["FERRY_CONFIG"])
	_, rest := p.typed(80, containsUnwrapped("key for h (not shown):"), ctrlD)
	contains(t, "the terminal after Ctrl-D", rest, "the key from standard input is empty\r\n")
	p.wait().fails(2, "")
}
