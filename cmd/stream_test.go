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
)

// TestStreamSignal stops a stream in the middle: what came is on standard output with a newline behind it, and ferry
// dies of the signal.
func TestStreamSignal(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sent.String(), func(t *testing.T) {
			c := realFerry(t, "stream", "-q", "-n", "demo:?stall-mid&chunk=3", "hello")
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			c.Stderr = &stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(stdout)
			begin := make([]byte, len("Hello from the demo node"))
			if _, err := io.ReadFull(reader, begin); err != nil {
				t.Fatal(err)
			}
			if err := c.Process.Signal(sent); err != nil {
				t.Fatal(err)
			}
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
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = writer, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
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

// TestRenderOnATerminal renders Markdown on a terminal when it is asked for, and nowhere else.
func TestRenderOnATerminal(t *testing.T) {
	const markdown = "\n\n# Title\n\nsome **strong** words\n\n- one\n- two\n"
	rendered := inTerminal(t, 60, nil, "ask", "--render", "-n", "demo", markdown)
	if strings.Contains(rendered, "**strong**") || !strings.Contains(rendered, "\x1b[1mstrong") {
		t.Errorf("with --render a terminal got %q", rendered)
	}
	if got := inTerminal(t, 60, []string{"FERRY_RENDER=true"}, "ask", "-n", "demo", markdown); got != rendered {
		t.Errorf("with FERRY_RENDER a terminal got %q", got)
	}
	if got := inTerminal(t, 60, nil, "ask", "-n", "demo", markdown); !strings.Contains(got, "**strong**") {
		t.Errorf("without --render a terminal got %q", got)
	}
	if _, got, _ := run(t, nil, "ask", "--render", "-n", "demo", markdown); !strings.Contains(got, "**strong**") {
		t.Errorf("with --render a pipe got %q", got)
	}
	if got := inTerminal(t, 60, []string{"NO_COLOR=1"}, "ask", "--render", "-n", "demo", markdown); strings.Contains(got, "\x1b") {
		t.Errorf("with --render and NO_COLOR a terminal got %q", got)
	}
}
