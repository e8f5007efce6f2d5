//go:build !windows

package cmd_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// TestStreamSignal stops a stream in the middle: what came is on standard output with a newline behind it, and ferry
// dies of the signal.
func TestStreamSignal(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sent.String(), func(t *testing.T) {
			c := realFerry(t, "stream", "-q", "-n", "demo:?stall-mid&chunk=3", "hello")
			stdout, err := c.StdoutPipe()
			check(t, err)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			check(t, c.Start())
			reader := bufio.NewReader(stdout)
			begin := make([]byte, len("Hello from the demo node"))
			if _, err := io.ReadFull(reader, begin); err != nil {
				t.Fatal(err)
			}
			check(t, c.Process.Signal(sent))
			rest, _ := io.ReadAll(reader)
			got := string(begin) + string(rest)
			if !strings.HasPrefix(got, "Hello from the demo node") || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Errorf("stdout %q", got)
			}
			var exit *exec.ExitError
			if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != sent {
				t.Errorf("ended with %v, want killed by %s; stderr %s", err, sent, &stderr)
			}
		})
	}
}

// TestStreamClosedPipe holds ferry to a quiet end when its reader has had enough, as in ferry stream … | head -1.
func TestStreamClosedPipe(t *testing.T) {
	c := realFerry(t, "stream", "-q", "-n", "demo:?big=1000000&chunk=100", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = writer, &stderr
	check(t, c.Start())
	writer.Close()
	if _, err := io.ReadFull(reader, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) {
		t.Fatalf("ended with %v", err)
	}
	status := exit.Sys().(syscall.WaitStatus)
	if status.Signal() != syscall.SIGPIPE && status.ExitStatus() != 141 || stderr.Len() > 0 {
		t.Errorf("wait status %#x, want SIGPIPE or 141; stderr %s", status, &stderr)
	}
}

// TestStreamOnATerminal holds a stream on a terminal to showing control characters, also when events cut them.
func TestStreamOnATerminal(t *testing.T) {
	const osc = "\x1b]52;c;aGVsbG8=\x07\u202e\u009b2J\rX"
	got := inTerminal(t, 300, nil, "stream", "-n", "demo:?chunk=1", osc)
	if !strings.Contains(got, `\x1b]52;c;aGVsbG8=\x07\u202e\u009b2J\x0dX`) {
		t.Errorf("terminal got %q", got)
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, "\u009b") || strings.Contains(got, "\u202e") {
		t.Errorf("terminal got %q", got)
	}
	_, stdout, _ := run(t, nil, "stream", "-n", "demo:?chunk=1", osc)
	if !strings.Contains(stdout, osc) {
		t.Errorf("a pipe got %q", stdout)
	}
}

// TestMarkdownOnATerminal styles Markdown on a terminal, of ask and of stream alike, unless it is switched off, and
// nowhere else.
func TestMarkdownOnATerminal(t *testing.T) {
	const markdown = "\n\n# Title\n\nsome **strong** words\n\n- one\n- two\n"
	const want = "\x1b[1m# Title\x1b[0m\r\n\r\nsome \x1b[2m**\x1b[0m\x1b[1mstrong\x1b[0m\x1b[2m**\x1b[0m words\r\n\r\n\x1b[1m-\x1b[0m one"
	styled := inTerminal(t, 60, nil, "ask", "-n", "demo", markdown)
	if !strings.Contains(styled, want) {
		t.Errorf("ask on a terminal got %q, want %q in it", styled, want)
	}
	if got := inTerminal(t, 60, nil, "stream", "-n", "demo:?chunk=1", markdown); !strings.Contains(got, want) {
		t.Errorf("stream on a terminal got %q, want %q in it", got, want)
	}
	plain := strings.ReplaceAll(ansi.Strip(styled), "\r\n", "\n")
	for name, off := range map[string]struct {
		env  []string
		flag string
	}{
		"--no-render":        {flag: "--no-render"},
		"FERRY_RENDER=off":   {env: []string{"FERRY_RENDER=off"}},
		"NO_COLOR":           {env: []string{"NO_COLOR=1"}},
		"NO_COLOR, --render": {env: []string{"NO_COLOR=1"}, flag: "--render"},
	} {
		args := []string{"ask", "-n", "demo", markdown}
		if off.flag != "" {
			args = append(args, off.flag)
		}
		if got := strings.ReplaceAll(inTerminal(t, 60, off.env, args...), "\r\n", "\n"); got != plain {
			t.Errorf("with %s a terminal got %q, want %q", name, got, plain)
		}
	}
	if _, got, _ := run(t, nil, "ask", "-n", "demo", markdown); strings.Contains(got, "\x1b") || !strings.Contains(got, "**strong**") {
		t.Errorf("a pipe got %q, want it without styles", got)
	}
}
