//go:build !windows

package cmd_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
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

// TestTrustByHTTPSProxy runs ferry as a process whose system believes in the proxy's authority: the pins are the node's,
// the proxy's certificate is another, and neither makes up for the other.
func TestTrustByHTTPSProxy(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the platform verifies certificates here, and cannot be given an authority by a test")
	}
	systems, root := newAuthority(t, "system", nil), newAuthority(t, "root", nil)
	leaf, proxys := root.issue(t, nil), systems.issue(t, nil)
	serves := func(pair tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair}} }
	tests := []struct {
		name  string
		proxy tls.Certificate
		pin   []byte
		code  int
		want  string
	}{
		{"right pin", proxys, leaf.Certificate[0], 0, ""},
		{"the proxy's pin", proxys, proxys.Certificate[0], 1, "its certificate has none of the pinned keys"},
		{"a proxy of the node's authority", root.issue(t, nil), leaf.Certificate[0], 1, "its certificate is signed by an unknown authority"},
		{"a proxy with the pinned key", leaf, leaf.Certificate[0], 1, "its certificate is signed by an unknown authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node := newTLSNode(t, serves(leaf))
			proxy, connects := connectProxy(t, serves(tt.proxy))
			env := configure(t, node.url, fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, root.file, pinned(t, tt.pin)))
			c := realFerry(t, "ask", "-n", "n", "--proxy", proxy, "--retry-policy", "backoff", "--no-stdin", "hello")
			for name, value := range env {
				c.Env = append(c.Env, name+"="+value)
			}
			c.Env = append(c.Env, "SSL_CERT_FILE="+systems.file, "SSL_CERT_DIR="+t.TempDir())
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			_ = c.Run() // the exit code says it
			if code := c.ProcessState.ExitCode(); code != tt.code || !strings.Contains(stderr.String(), tt.want) || (stdout.Len() > 0) != (code == 0) {
				t.Errorf("exit code %d, %q\n%s", code, &stdout, &stderr)
			}
			if tt.code == 0 {
				return
			}
			if n := node.bytes.Load(); n != 0 || connects.Load() > 1 {
				t.Errorf("the server was sent %d bytes by way of %d connections", n, connects.Load())
			}
		})
	}
}
