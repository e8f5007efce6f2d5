//go:build !windows

package cmd_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// TestBenchInterrupted presses Ctrl-C in the middle of a run: it stops sending, reports what there is, keeps what was
// saved, and dies of the signal.
func TestBenchInterrupted(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.jsonl")
	c := realFerry(t, "bench", "-d", "5m", "--warmup", "0", "-o", "markdown", "--save", saved, "demo:?latency=30ms")
	stdout, err := c.StdoutPipe()
	check(t, err)
	check(t, c.Start())
	awaitLines(t, saved, 5)
	check(t, c.Process.Signal(syscall.SIGINT))
	shown, _ := io.ReadAll(stdout)
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("ended with %v, want killed by SIGINT", err)
	}
	if !strings.HasPrefix(string(shown), "| access | mean latency | success rate |") || !strings.Contains(string(shown), "100%") {
		t.Errorf("reported %q", shown)
	}
	text, err := os.ReadFile(saved)
	if err != nil || !strings.HasSuffix(string(text), "}\n") || !strings.Contains(string(text), `"stopped":"interrupted"`) {
		t.Errorf("saved %q, %v", text, err)
	}
}

// TestBenchKilled kills a run: what it saved by then can be reported on.
func TestBenchKilled(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.jsonl")
	c := realFerry(t, "bench", "-q", "-d", "5m", "--save", saved, "demo:?latency=5ms")
	check(t, c.Start())
	awaitLines(t, saved, 20)
	check(t, c.Process.Kill())
	_ = c.Wait() // it was killed
	code, stdout, stderr := run(t, nil, "bench", "report", "-o", "markdown", saved)
	if code != 0 || !strings.Contains(stdout, "100%") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// awaitLines reads a file that grows until it has so many lines.
func awaitLines(t *testing.T, path string, lines int) {
	t.Helper()
	for t.Context().Err() == nil {
		if text, err := os.ReadFile(path); err == nil && strings.Count(string(text), "\n") >= lines {
			return
		}
	}
	t.Fatal("the file did not grow")
}

// TestBenchOnATerminal looks at the report on terminals of three widths: no line passes the edge, and the best node is
// there in green.
func TestBenchOnATerminal(t *testing.T) {
	for _, columns := range []uint16{60, 80, 120} {
		shown := inTerminal(t, columns, nil, "bench", "-r", "12", "demo/direct", "demo/hongkong", "demo/singapore")
		if !strings.Contains(shown, "\x1b[32m") {
			t.Errorf("%d columns: nothing is green: %q", columns, shown)
		}
		for line := range strings.SplitSeq(shown, "\n") {
			last := line[strings.LastIndex(strings.TrimRight(line, "\r"), "\r")+1:]
			if w := ansi.StringWidth(last); w > int(columns) {
				t.Errorf("%d columns: a line of %d: %q", columns, w, last)
			}
		}
		for _, want := range []string{"direct", "hongkong", "singapore"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%d columns: no %s", columns, want)
			}
		}
		for _, plain := range []string{"NO_COLOR=1", "TERM=dumb"} {
			shown := inTerminal(t, columns, []string{plain}, "bench", "-r", "12", "demo/hongkong")
			if strings.Contains(shown, "\x1b") {
				t.Errorf("%s: %q", plain, shown)
			}
		}
	}
}

// TestBenchLive watches the lines that are drawn while a bench runs: they go up and over themselves, and are gone when
// the report comes.
func TestBenchLive(t *testing.T) {
	c := realFerry(t, "bench", "-d", "5m", "-o", "best", "demo:?latency=20ms")
	terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 70})
	check(t, err)
	defer terminal.Close()
	drawn := regexp.MustCompile(`demo:\?latency=20ms\s.*\d+.*100%.* ms`)
	readUntil(t, terminal, drawn.MatchString)
	if _, err := terminal.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(terminal)
	_ = c.Wait() // of the signal: another test's matter
	if !strings.Contains(string(rest), "\x1b[Jdemo:?latency=20ms\r\n") {
		t.Errorf("it ends with %q", rest)
	}
}
