//go:build !windows

package cmd_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/creack/pty"
)

// realFerry is ferry as a process of its own, with the machine's clock and signals.
func realFerry(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	c := exec.CommandContext(t.Context(), self, args...)
	c.Args[0] = "ferry-real"
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "FERRY_CONFIG=", "FERRY_NODE=", raceExit+"="+raceAtOnce, "TERM=xterm", "NO_COLOR=")
	return c
}

// stopInCall starts a ferry that says all it does, sends it a signal once its request has left, and gives the rest of what
// it says.
func stopInCall(t *testing.T, c *exec.Cmd, sent os.Signal) (rest []byte) {
	t.Helper()
	stderr, err := c.StderrPipe()
	check(t, err)
	check(t, c.Start())
	lines := bufio.NewReader(stderr)
	for line := ""; !strings.HasPrefix(line, "> ("); { // the last line of the request that -v shows
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	check(t, c.Process.Signal(sent))
	rest, _ = io.ReadAll(lines)
	return rest
}

// readUntil reads what a terminal shows until enough of it was seen, and gives that.
func readUntil(t *testing.T, terminal io.Reader, enough func(seen string) bool) string {
	t.Helper()
	var seen []byte
	for buf := make([]byte, 4096); !enough(string(seen)); {
		n, err := terminal.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, seen)
		}
		seen = append(seen, buf[:n]...)
	}
	return string(seen)
}

// TestSignals holds ferry to dying of the signal that stopped it, so that a shell loop around it stops too.
func TestSignals(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sent.String(), func(t *testing.T) {
			c := realFerry(t, "ask", "-v", "-n", "demo:?stall", "hello")
			rest := stopInCall(t, c, sent)
			var exit *exec.ExitError
			if err := c.Wait(); !errors.As(err, &exit) {
				t.Fatalf("ended with %v; stderr: %s", err, rest)
			}
			status := exit.Sys().(syscall.WaitStatus)
			if !status.Signaled() || status.Signal() != sent {
				t.Errorf("wait status %#x, want killed by %s; stderr: %s", status, sent, rest)
			}
		})
	}
}

// TestClosedPipe holds ferry to ending as SIGPIPE would end it, without a word, when its reader has gone.
func TestClosedPipe(t *testing.T) {
	c := realFerry(t, "ask", "-q", "-n", "demo", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	reader.Close()
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = writer, &stderr
	err = c.Run()
	writer.Close()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("ended with %v", err)
	}
	status := exit.Sys().(syscall.WaitStatus)
	if status.Signal() != syscall.SIGPIPE && status.ExitStatus() != 141 {
		t.Errorf("wait status %#x, want SIGPIPE or 141", status)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", &stderr)
	}
}

// TestInterruptedCountdown presses Ctrl-C on a terminal while a countdown runs: its line is cleared, and ferry dies of
// the signal.
func TestInterruptedCountdown(t *testing.T) {
	c := realFerry(t, "ask", "--no-stdin", "--retry-delay", "9m", "-n", "demo:?status=429", "hello")
	terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 80})
	check(t, err)
	defer terminal.Close()
	readUntil(t, terminal, shows("attempt 2 of 3 in 5")) // 540 s, or less on a busy machine
	if _, err := terminal.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(terminal)
	if !strings.Contains(string(rest), "\r\x1b[K") || !strings.Contains(string(rest), "stopped by interrupt") {
		t.Errorf("after Ctrl-C the terminal got %q", rest)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("ended with %v, want killed by SIGINT", err)
	}
}

// TestPromptFromATerminal types a prompt: ferry says that it waits for one, and how to end it.
func TestPromptFromATerminal(t *testing.T) {
	c := realFerry(t, "ask", "-n", "demo")
	terminal, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 200})
	check(t, err)
	defer terminal.Close()
	shown := bufio.NewReader(terminal)
	line, err := shown.ReadString('\n')
	if want := "ferry: reading the prompt from the terminal; Ctrl-D on a line of its own ends it\r\n"; err != nil || line != want {
		t.Fatalf("%v, the terminal got %q", err, line)
	}
	if _, err := terminal.Write([]byte("typed words\n\x04")); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(terminal)
	if err := c.Wait(); err != nil || !strings.Contains(string(rest), "You wrote: “typed words") {
		t.Errorf("%v, the terminal got %q", err, rest)
	}
}

// inTerminal runs ferry in a pseudo-terminal of so many columns and returns all that reached it.
func inTerminal(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	c := realFerry(t, args...)
	c.Args[0] = "ferry" // with the clock of the stories: a countdown takes no time
	c.Env = append(append(c.Env, waitsFile+"="+os.DevNull), env...)
	shown, _ := onTerminal(t, columns, c) // some of these calls fail on purpose
	return shown
}

// TestTerminal looks at what reaches a real terminal: control characters of an answer shown and not obeyed, colour and
// a countdown where they are welcome, and neither under NO_COLOR and TERM=dumb.
func TestTerminal(t *testing.T) {
	osc := "\x1b]52;c;aGVsbG8=\x07"
	t.Run("an answer is not obeyed", func(t *testing.T) {
		got := inTerminal(t, 80, nil, "ask", "-n", "demo", osc+"\u202e\u009b2J")
		if !strings.Contains(got, `\x1b]52;c;aGVsbG8=\x07\u202e\u009b2J`) || strings.Contains(got, "\x1b]") || strings.Contains(got, "\u009b") {
			t.Errorf("terminal got %q", got)
		}
	})
	t.Run("a pipe keeps the bytes", func(t *testing.T) {
		_, stdout, _ := run(t, nil, "ask", "-n", "demo", osc)
		if !strings.Contains(stdout, osc) {
			t.Errorf("pipe got %q", stdout)
		}
	})
	t.Run("countdown", func(t *testing.T) {
		got := inTerminal(t, 40, nil, "ask", "--retry-delay", "1990ms", "-n", "demo:?status=429,200", "hello")
		if !strings.Contains(got, "\r\x1b[Kferry: demo: 429; attempt 2 of 3 in 2 s") {
			t.Errorf("terminal got %q", got)
		}
	})
	t.Run("colour", func(t *testing.T) {
		if got := inTerminal(t, 80, nil, "hello"); !strings.Contains(got, "\x1b[31mError:\x1b[0m") {
			t.Errorf("terminal got %q", got)
		}
	})
	for _, plain := range []string{"NO_COLOR=1", "TERM=dumb"} {
		for _, args := range [][]string{
			{"hello"}, {"config", "check", "demo"}, {"config", "nodes"}, {"ask", "--help"},
			{"ask", "--retry-delay", "1990ms", "-n", "demo:?status=429,200", "hello"},
		} {
			t.Run(plain+" "+strings.Join(args, " "), func(t *testing.T) {
				if got := inTerminal(t, 80, []string{plain}, args...); got == "" || strings.Contains(got, "\x1b") {
					t.Errorf("terminal got %q", got)
				}
			})
		}
	}
	for _, columns := range []uint16{1, 20, 60, 80, 120} {
		got := inTerminal(t, columns, nil, "config", "nodes")
		if !strings.Contains(got, "demo") {
			t.Errorf("at %d columns the table is %q", columns, got)
		}
	}
}

// TestNothingBehindTheAnswer has a server send more than its length says: net/http would log the rest, key and all.
func TestNothingBehindTheAnswer(t *testing.T) {
	server := newFaultServer(wireFault{reply: func(h hit) {
		body := h.body("\n")
		h.typed(lengthOf(body))
		h.say(body + h.key + "\x1b]52;c;x\a")
	}}, false, false)
	defer server.stop()
	for range 3 { // whether it is logged depends on what net/http reads at once
		c := realFerry(t, "ask", "--no-stdin", "-n", server.URL, "hello")
		c.Env = append(c.Env, "FERRY_KEY="+canaryKey)
		var stdout, stderr bytes.Buffer
		c.Stdout, c.Stderr = &stdout, &stderr
		if err := c.Run(); err != nil || stdout.String() != answerText+"\n" || stderr.Len() > 0 {
			t.Errorf("%v, %q, stderr %q", err, &stdout, &stderr)
		}
	}
}

// before polls until something is so, for a while at most.
func before(limit time.Duration, reached func() bool) bool {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for !reached() {
		select {
		case <-poll.C:
		case <-late.C:
			return false
		}
	}
	return true
}

// eventually waits for what another process brings about, as long as a test may take.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	if !before(testTimeout, reached) {
		t.Fatal("never: " + what)
	}
}

// TestVerboseWraps holds that no word of a server begins a row of the terminal that could be ferry's own: -v breaks its
// lines before the terminal does, and sets them in.
func TestVerboseWraps(t *testing.T) {
	const columns = 80
	for name, gap := range map[string]string{
		"spaces": strings.Repeat(" ", columns), "more spaces": strings.Repeat(" ", columns-len("< x")), "a word": strings.Repeat("y", columns-len("< x")),
		"tabs": strings.Repeat("\t", 10) + "y", "wide characters": strings.Repeat("香", columns/2-1),
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Echo", strings.Repeat("y", columns-len("< x-echo: "))+"Error: forged")
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "x"+gap+"Error: forged")
		}))
		shown := inTerminal(t, columns, []string{"FERRY_KEY=canary-key-0010", "NO_COLOR=1"}, "ask", "-v", "--no-stdin", "-n", server.URL, "hello")
		server.Close()
		if n := strings.Count(shown, "forged"); n < 3 {
			t.Errorf("%s: %d words of the server, want 3 or more, in %q", name, n, shown)
		}
		for line := range strings.SplitSeq(shown, "\r\n") {
			if strings.HasPrefix(line, "Error: forged") || lipgloss.Width(line) > columns || strings.Contains(line, "\t") {
				t.Errorf("%s: a line of %d columns, want at most %d, none that the server began: %q", name, lipgloss.Width(line), columns, line)
			}
		}
	}
}

// TestAuditSignal stops an ask and a stream in the middle: ferry dies of the signal, and its line is in the log.
func TestAuditSignal(t *testing.T) {
	for sent, exit := range map[syscall.Signal]string{syscall.SIGINT: `"exit":130`, syscall.SIGTERM: `"exit":143`} {
		for _, command := range []string{"ask", "stream"} {
			dir := t.TempDir()
			config := filepath.Join(dir, "config.yaml")
			write(t, config, "audit: {file: audit.jsonl}\n")
			c := realFerry(t, command, "-v", "-n", "demo:?stall", "hello")
			c.Env = append(c.Env, "FERRY_CONFIG="+config)
			rest := stopInCall(t, c, sent)
			var ended *exec.ExitError
			if err := c.Wait(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != sent {
				t.Errorf("%s: ended with %v, want killed by %s: %s", command, err, sent, rest)
			}
			log, _ := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
			if !strings.Contains(string(log), exit) || strings.Count(string(log), "\n") != 1 || !strings.Contains(string(log), `"class":"cancelled"`) {
				t.Errorf("%s stopped by %s: the log has %q", command, sent, log)
			}
		}
	}
}

// TestTimeoutOfFIFO holds --timeout to the opening of a file that nothing writes to. Without that the test would hang.
func TestTimeoutOfFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	check(t, syscall.Mkfifo(fifo, 0o600))
	for _, args := range [][]string{{"-f", fifo}, {"--schema", fifo, "hi"}} {
		c := realFerry(t, append([]string{"ask", "--no-stdin", "--timeout", "1s", "-n", "demo"}, args...)...)
		said, err := c.CombinedOutput()
		if c.ProcessState.ExitCode() != 1 || !strings.Contains(string(said), "did not end within the timeout of 1s") ||
			!strings.Contains(string(said), "nothing was sent") {
			t.Errorf("%v: %v: %s", args, err, said)
		}
	}
}

// TestTimeoutOfStalledReader holds --timeout to the printing: a reader that takes nothing ends the call, and the other
// stream says so. Without that the test would hang.
func TestTimeoutOfStalledReader(t *testing.T) {
	long(t, "ten seconds, of which a busy machine may need some for the answer")
	for _, verb := range []string{"ask", "stream"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe() // no one reads it
			check(t, err)
			c := realFerry(t, verb, "--no-stdin", "--timeout", "10s", "-n", "demo:?big=300000", "hi")
			var stderr bytes.Buffer
			c.Stdout, c.Stderr = writer, &stderr
			err = c.Run()
			writer.Close()
			reader.Close()
			if c.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "cannot write to standard output: its reader took nothing more") {
				t.Errorf("%v: %s", err, &stderr)
			}
		})
	}
}
