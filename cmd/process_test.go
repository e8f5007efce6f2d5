//go:build !windows

package cmd_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/text"

	"github.com/charmbracelet/x/ansi"
)

// TestSignals stops an ask and a stream: ferry dies of the signal, because a shell loop must see it, and logs the
// call.
func TestSignals(t *testing.T) {
	for sent, exit := range map[syscall.Signal]string{syscall.SIGINT: `"exit":130`, syscall.SIGTERM: `"exit":143`} {
		for _, verb := range []string{"ask", "stream"} {
			t.Run(verb+" "+sent.String(), func(t *testing.T) {
				env := withConfig(t, "audit: {file: audit.jsonl}\n", nil)
				p := realFerry(t, verb, "-v", "-n", "demo:?stall", "hello").withVars(env)
				said := p.stderr()
				p.start()
				awaitSent(t, said)
				p.send(sent)
				_ = readAll(said)
				p.wait().killedBy(sent)
				log := read(t, filepath.Join(filepath.Dir(env["FERRY_CONFIG"]), "audit.jsonl"))
				contains(t, "the log", log, exit, `"class":"cancelled"`)
				equal(t, "lines of the log", strings.Count(log, "\n"), 1)
			})
		}
	}
}

// TestStreamSignal stops a stream: its text is on standard output and ends with a newline; an error names the signal.
func TestStreamSignal(t *testing.T) {
	for sent, named := range map[syscall.Signal]string{syscall.SIGINT: "Ctrl-C (SIGINT)", syscall.SIGTERM: "SIGTERM"} {
		p := realFerry(t, "stream", "-q", "-n", "demo:?stall-mid&chunk=3", "hello")
		stdout, stderr := p.stdout(), p.stderr()
		p.start()
		begin := make([]byte, len("Hello from the demo node"))
		_, err := io.ReadFull(stdout, begin)
		check(t, err)
		p.send(sent)
		got := string(begin) + readAll(stdout)
		if !strings.HasPrefix(got, "Hello from the demo node") || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("standard output got %q, want the beginning of the answer and a newline", got)
		}
		contains(t, "standard error", readAll(stderr), "stopped by "+named+"\n")
		p.wait().killedBy(sent)
	}
}

// TestSignalPastAReader ends a stream with one signal although its reader reads nothing.
func TestSignalPastAReader(t *testing.T) {
	p := realFerry(t, "stream", "-q", "--no-stdin", "-n", "demo:?big=1000000&chunk=100", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	defer reader.Close()
	p.Stdout = writer
	p.start()
	writer.Close()
	_, err = io.ReadFull(reader, make([]byte, 10))
	check(t, err)
	p.send(syscall.SIGTERM).wait().killedBy(syscall.SIGTERM)
}

// TestInterruptedCountdown presses Ctrl-C during a countdown: its line is cleared, and ferry dies of the signal.
func TestInterruptedCountdown(t *testing.T) {
	p := realFerry(t, "ask", "--no-stdin", "--retry-delay", "9m", "-n", "demo:?status=429", "hello")
	_, rest := p.typed(80, containsUnwrapped("attempt 2 of 3 in 5"), ctrlC) // 540 s, or less on a busy machine
	contains(t, "the terminal after Ctrl-C", rest, erased, "stopped by Ctrl-C (SIGINT)")
	p.wait().killedBy(syscall.SIGINT)
}

// TestPromptFromATerminal types a prompt: ferry prints that it waits for one, and how to end it.
func TestPromptFromATerminal(t *testing.T) {
	p := realFerry(t, "ask", "-n", "demo")
	shown, rest := p.typed(200, func(seen string) bool { return strings.Contains(seen, "\n") }, "typed words\n"+ctrlD)
	equal(t, "the terminal", shown, "ferry: reading the prompt from the terminal; Ctrl-D on a line of its own ends it\r\n")
	contains(t, "the terminal", rest, "You wrote: “typed words")
	p.wait().must()
}

// TestTerminal checks the output on a real terminal: control characters, colours and a countdown.
func TestTerminal(t *testing.T) {
	const osc, shown = "\x1b]52;c;aGVsbG8=\x07\u202e\u009b2J\rX", `\x1b]52;c;aGVsbG8=\x07\u202e\u009b2J\x0dX`
	for _, args := range [][]string{{"ask", "-n", "demo", osc}, {"stream", "-n", "demo:?chunk=1", osc}} { // its events split the sequences
		got := inTerminal(t, 300, nil, args...)
		contains(t, args[0]+" on a terminal", got, shown)
		lacks(t, args[0]+" on a terminal", got, "\x1b]", "\u009b", "\u202e")
		ferry(t, nil, args...).want(0, osc, "") // a pipe keeps the bytes
	}
	lacks(t, "a stream on a terminal", inTerminal(t, 300, nil, "stream", "-n", "demo:?chunk=1", osc), "\x1b")
	countdown := []string{"ask", "--retry-delay", "1990ms", "-n", "demo:?status=429,200", "hello"}
	contains(t, "a countdown", inTerminal(t, 40, nil, countdown...), "demo: 429; attempt 2 of 3 in 2 s\x1b[K\r\n"+erased)
	contains(t, "colour", inTerminal(t, 80, nil, "hello"), "\x1b[31mError:\x1b[0m")
	for _, plain := range []string{"NO_COLOR=1", "TERM=dumb"} {
		for _, args := range [][]string{{"hello"}, {"config", "check", "demo"}, {"config", "nodes"}, {"ask", "--help"}, countdown} {
			if got := inTerminal(t, 80, []string{plain}, args...); got == "" || strings.Contains(got, "\x1b") {
				t.Errorf("%s, %q: the terminal got %q, want text without escapes", plain, args, got)
			}
		}
	}
	for _, columns := range []uint16{1, 20, 60, 80, 120} {
		contains(t, fmt.Sprint("the table at ", columns, " columns"), inTerminal(t, columns, nil, "config", "nodes", "--all"), "demo")
	}
}

// TestMarkdownOnATerminal expects styled Markdown on a terminal only, and not if it is switched off.
func TestMarkdownOnATerminal(t *testing.T) {
	const markdown = "\n\n# Title\n\nsome **strong** words\n\n- one\n- two\n"
	const want = "\x1b[1m# Title\x1b[0m\r\n\r\nsome \x1b[2m**\x1b[0m\x1b[1mstrong\x1b[0m\x1b[2m**\x1b[0m words\r\n\r\n\x1b[1m-\x1b[0m one"
	styled := inTerminal(t, 60, nil, "ask", "-n", "demo", markdown)
	contains(t, "ask on a terminal", styled, want)
	contains(t, "stream on a terminal", inTerminal(t, 60, nil, "stream", "-n", "demo:?chunk=1", markdown), want)
	plain := strings.ReplaceAll(ansi.Strip(styled), "\r\n", "\n")
	for _, off := range []struct{ env, flag string }{{"", "--no-render"}, {"FERRY_RENDER=off", ""}, {"NO_COLOR=1", ""}, {"NO_COLOR=1", "--render"}} {
		got := inTerminal(t, 60, strings.Fields(off.env), append([]string{"ask", "-n", "demo", markdown}, strings.Fields(off.flag)...)...)
		equal(t, fmt.Sprintf("a terminal with %q", off), strings.ReplaceAll(got, "\r\n", "\n"), plain)
	}
	r := ferry(t, nil, "ask", "-n", "demo", markdown).want(0, "**strong**", "")
	lacks(t, "a pipe", r.stdout, "\x1b")
}

// TestVerboseWraps checks that no text of a server begins a terminal row that could be ferry's own.
func TestVerboseWraps(t *testing.T) {
	const columns = 80
	for name, gap := range map[string]string{
		"spaces": strings.Repeat(" ", columns), "more spaces": strings.Repeat(" ", columns-len("< x")), "a word": strings.Repeat("y", columns-len("< x")),
		"tabs": strings.Repeat("\t", 10) + "y", "wide characters": strings.Repeat("香", columns/2-1),
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", strings.Repeat("y", columns-len("< x-echo: "))+"Error: forged")
			respondWith(400, "", "x"+gap+"Error: forged")(w, r)
		}))
		shown := inTerminal(t, columns, []string{"NO_COLOR=1"}, "ask", "-v", "--no-stdin", "-n", server.URL, "hello")
		server.Close()
		atLeast(t, "words of the server, "+name, strings.Count(shown, "forged"), 3)
		for line := range strings.SplitSeq(shown, "\r\n") {
			if strings.HasPrefix(line, "Error: forged") || text.Width(line) > columns || strings.Contains(line, "\t") {
				t.Errorf("%s: a line of %d columns, want at most %d, none that the server began: %q", name, text.Width(line), columns, line)
			}
		}
	}
}

// TestNothingBehindTheAnswer sends more than the Content-Length: net/http would log the rest, including the key.
func TestNothingBehindTheAnswer(t *testing.T) {
	server := newFaultServer(wireFault{reply: func(h hit) {
		body := h.body("\n")
		h.typed(lengthOf(body))
		h.send(body + h.key + "\x1b]52;c;x\a")
	}}, false, false)
	defer server.stop()
	for range 3 { // whether it is logged depends on how much net/http reads at once
		realFerry(t, "ask", "--no-stdin", "-n", server.URL, "hello").with("FERRY_KEY="+canaryKey).run().exactly(0, answerText+"\n", "")
	}
}

// TestTimeoutOfFIFO checks that --timeout ends the opening of a FIFO without a writer. Otherwise the test would hang.
func TestTimeoutOfFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	check(t, syscall.Mkfifo(fifo, 0o600))
	for _, args := range [][]string{{"-f", fifo}, {"--schema", fifo, "hi"}} {
		r := realFerry(t, append([]string{"ask", "--no-stdin", "--timeout", "1s", "-n", "demo"}, args...)...).run()
		r.want(1, "", "did not end within the timeout of 1s").want(1, "", "nothing was sent")
	}
}

// TestTimeoutOfStalledReader checks that --timeout ends the writing to a reader that reads nothing.
func TestTimeoutOfStalledReader(t *testing.T) {
	skipIfShort(t, "ten seconds, of which a busy machine may need some for the answer")
	for _, verb := range []string{"ask", "stream"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe() // nothing reads it
			check(t, err)
			defer reader.Close()
			defer writer.Close()
			p := realFerry(t, verb, "--no-stdin", "--timeout", "10s", "-n", "demo:?big=300000", "hi")
			p.Stdout = writer
			p.run().want(1, "", "cannot write to standard output: its reader stopped reading")
		})
	}
}

// TestBenchInterrupted presses Ctrl-C: bench reports its results so far, keeps the saved file, and dies of the signal.
func TestBenchInterrupted(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.jsonl")
	p := realFerry(t, "bench", "-d", "5m", "--warmup", "0", "-o", "markdown", "--save", saved, "demo:?latency=30ms").start()
	awaitLines(t, saved, 5)
	r := p.send(syscall.SIGINT).wait().killedBy(syscall.SIGINT)
	contains(t, "the report", r.stdout, "| access | mean latency | success rate |", "100%")
	text := read(t, saved)
	contains(t, "the end of what is saved", text[max(0, len(text)-2):], "}\n")
	contains(t, "what is saved", text, `"stopped":"interrupted"`)
}

// TestBenchKilled kills a run: the part that it saved can be reported.
func TestBenchKilled(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "run.jsonl")
	p := realFerry(t, "bench", "-q", "-d", "5m", "--save", saved, "demo:?latency=5ms").start()
	awaitLines(t, saved, 20)
	p.send(os.Kill).wait()
	ferry(t, nil, "bench", "report", "-o", "markdown", saved).want(0, "100%", "")
}

// awaitLines waits until a growing file has the given number of lines.
func awaitLines(t *testing.T, path string, lines int) {
	t.Helper()
	eventually(t, path+" grows", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Count(string(text), "\n") >= lines
	})
}

// TestBenchOnATerminal checks the report at three widths: no line is too wide, and the best node is green.
func TestBenchOnATerminal(t *testing.T) {
	for _, columns := range []uint16{60, 80, 120} {
		shown := inTerminal(t, columns, nil, "bench", "-r", "12", "demo/direct", "demo/hongkong", "demo/singapore")
		contains(t, fmt.Sprint("the report at ", columns, " columns"), shown, "\x1b[32m", "direct", "hongkong", "singapore")
		for line := range strings.SplitSeq(shown, "\n") {
			last := line[strings.LastIndex(strings.TrimRight(line, "\r"), "\r")+1:]
			atMost(t, "columns of "+last, ansi.StringWidth(last), int(columns))
		}
		for _, plain := range []string{"NO_COLOR=1", "TERM=dumb"} {
			lacks(t, plain, inTerminal(t, columns, []string{plain}, "bench", "-r", "12", "demo/hongkong"), "\x1b")
		}
	}
}

// TestBenchLive checks the lines that are drawn while a bench runs. They are removed before the report is printed.
func TestBenchLive(t *testing.T) {
	p := realFerry(t, "bench", "-d", "5m", "-o", "best", "demo:?latency=20ms")
	_, rest := p.typed(70, regexp.MustCompile(`demo:\?latency=20ms\s.*\d+.*100%.* ms`).MatchString, ctrlC)
	contains(t, "the terminal at the end", rest, "\x1b[Jdemo:?latency=20ms\r\n")
	p.wait()
}

// TestTrustByHTTPSProxy checks that pins apply to the node, and the system's authorities to the proxy.
func TestTrustByHTTPSProxy(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the platform verifies certificates here, and cannot be given an authority by a test")
	}
	systems, root := newAuthority(t, "system", nil), newAuthority(t, "root", nil)
	leaf, proxys := root.issue(t, nil), systems.issue(t, nil)
	for _, tt := range []struct {
		name  string
		proxy tls.Certificate
		pin   []byte
		want  string
	}{
		{"right pin", proxys, leaf.Certificate[0], ""},
		{"the proxy's pin", proxys, proxys.Certificate[0], "its certificate has none of the pinned keys"},
		{"a proxy of the node's authority", root.issue(t, nil), leaf.Certificate[0], "its certificate is signed by an unknown authority"},
		{"a proxy with the pinned key", leaf, leaf.Certificate[0], "its certificate is signed by an unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node, proxy := serve(t, nil, overTLS(leaf)), connectProxy(t, &tls.Config{Certificates: []tls.Certificate{tt.proxy}})
			env := configure(t, node.URL, fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, root.file, pinOf(t, tt.pin)))
			p := realFerry(t, "ask", "-n", "n", "--proxy", proxy.URL, "--retry-policy", "backoff", "--no-stdin", "hello").withVars(env)
			r := p.with("SSL_CERT_FILE="+systems.file, "SSL_CERT_DIR="+t.TempDir()).run()
			if tt.want == "" {
				if r.must(); r.stdout == "" {
					r.errorf("want an answer")
				}
				return
			}
			r.fails(1, tt.want)
			if proxy.count() > 1 || node.active.Load() > 0 {
				r.errorf("%d connections by the proxy, want 1 at most, and %d with a byte of a request, want none", proxy.count(), node.active.Load())
			}
		})
	}
}

// question matches the sequences that make a terminal answer: device attributes, cursor position, colours, modes,
// capabilities. ferry sends none of them: it would wait for a terminal that does not answer, and the answer would end
// up in the shell.
var question = regexp.MustCompile("\x1b\\[[>=?]?[0-9;]*[cnxq]|\x1b\\[[0-9;]*t|\x1b\\[\\?[0-9;]*\\$p|\x1b\\[\\?u|\x1b\\][0-9]+;([0-9]+;)?\\?|\x1bP|\x1bZ|\x05")

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestArchitectureTerminal checks what the real binary sends to a terminal.
func TestArchitectureTerminal(t *testing.T) {
	skipIfShort(t, "builds the binary")
	for _, sent := range []string{"\x1b[6n", "\x1b[c", "\x1b]11;?\x1b\\", "\x1b[?2026$p", "\x1b[?u", "\x1bP+q544e\x1b\\"} {
		errorIf(t, !question.MatchString(sent), "the pattern does not know %q for a question", sent)
	}
	if question.MatchString("\x1b[1;32mferry\x1b[0m\r\x1b[2K") {
		t.Error("the pattern takes colours for a question")
	}
	binary := buildFerry(t)
	for _, test := range []struct {
		name  string
		args  []string
		first *regexp.Regexp // matches the visible output, from its first byte
	}{
		{"version", []string{"version"}, regexp.MustCompile(`^ferry `)},
		{"ask", []string{"ask", "-n", "demo", "hi"}, regexp.MustCompile(`^[^\s\x00-\x1f]`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			command := exec.Command(binary, test.args...)
			command.Env = emptyEnv(t, "TERM=xterm-256color", "COLORTERM=truecolor")
			shown, err := onTerminal(t, 80, command)
			fatalIf(t, err != nil, "%v: %v (it was killed if it took a minute); shown: %q", test.args, err, shown)
			if asked := question.FindString(shown); asked != "" {
				t.Errorf("it asks the terminal %q, want no question", asked)
			}
			if visible := colour.ReplaceAllString(shown, ""); !test.first.MatchString(visible) {
				t.Errorf("the terminal gets %q, want the output at its beginning", visible)
			}
		})
	}
}

// statedWait returns the wait for the rate limit that a line mentions, 0 if it mentions none.
func statedWait(line string) time.Duration {
	var seconds float64
	_, after, _ := strings.Cut(line, ": waiting ")
	_, _ = fmt.Sscan(after, &seconds)
	return time.Duration(seconds * float64(time.Second))
}

// TestProcessesInOrder runs 64 processes with 50/min and a burst of 5, and kills some: none sends earlier than it may.
func TestProcessesInOrder(t *testing.T) {
	skipIfShort(t, "seconds of a real limit")
	t.Parallel()
	const n, burst, each = 64, 5, 1200 * time.Millisecond
	server, home := serve(t, nil), t.TempDir()
	start := time.Now()
	var all []*process
	for i := range n {
		p := realFerry(t, "ask", "-n", fmt.Sprintf("%s?name=%d", server.URL, i), "--no-stdin", "hello")
		all = append(all, p.with("HOME="+home, "FERRY_LIMIT=50/min burst 5").start())
	}
	eventually(t, "the burst arrives", func() bool { return server.count() >= burst })
	for _, p := range all[:8] {
		_ = p.Process.Kill() // processes of the burst may have ended by now
	}
	eventually(t, "four more arrive", func() bool { return server.count() >= burst+4 })
	requests := server.requests()
	waits := map[string]time.Duration{}
	for i, p := range all {
		_ = p.Process.Kill()
		for line := range strings.Lines(p.wait().stderr) {
			waits[fmt.Sprint(i)] = max(waits[fmt.Sprint(i)], statedWait(line))
		}
	}
	const rounding = time.Second / 2 // of the printed wait
	for k, r := range requests {
		// No request was allowed before start, so this is true however slowly processes start.
		if earliest := start.Add(time.Duration(k+1-burst) * each); r.at.Before(earliest) {
			t.Errorf("request %d came %v before its turn, want none before it", k+1, earliest.Sub(r.at))
		}
		name := r.URL.Query().Get("name")
		if took := r.at.Sub(start); took < waits[name]-rounding {
			t.Errorf("request %s came after %v, want its wait of %v before it", name, took, waits[name])
		}
	}
	t.Logf("%d requests in %v", len(requests), requests[len(requests)-1].at.Sub(start))
}

// TestInterruptedSpending stops a ferry with a request in flight: the budget is charged the maximum for it.
func TestInterruptedSpending(t *testing.T) {
	home := "HOME=" + t.TempDir()
	realFerry(t, "config", "set", "budget", "5000 tokens/day").with(home).run().must()
	server := stallingServer(t)
	p := realFerry(t, "ask", "--no-stdin", "--max-tokens", "70", "-n", server.URL, "hello").with(home).start()
	eventually(t, "the request arrives", func() bool { return server.count() > 0 })
	p.send(os.Interrupt).wait().killedBy(syscall.SIGINT)
	realFerry(t, "config", "usage", "-o", "json").with(home).run().want(0, `"requests":1,"input_tokens":2,"output_tokens":70}`, "")
}

// TestPurgeOnTerminal checks that purge asks first and removes only after a yes.
func TestPurgeOnTerminal(t *testing.T) {
	home := "HOME=" + t.TempDir()
	realFerry(t, "ask", "--no-stdin", "-n", "demo", "--session", "trip", "hello").with(home).run().must()
	for _, tt := range [][2]string{
		{"", "nothing was removed"}, {"n", "nothing was removed"}, {"yesterday", "nothing was removed"}, {"Y", "ferry: removed"}, {"", "nothing is stored"},
	} {
		p := realFerry(t, "config", "purge").with(home)
		_, shown := p.typed(120, func(string) bool { return true }, tt[0]+"\n")
		p.wait().must()
		contains(t, fmt.Sprintf("the answer %q", tt[0]), shown, tt[1])
		if tt[1] == "nothing was removed" {
			contains(t, fmt.Sprintf("the answer %q", tt[0]), shown, "remove all of it? [y/N] ")
		}
	}
}

// TestBenchSignals stops a bench whose requests stall: after the first signal it waits some seconds, after the second
// it reports at once.
func TestBenchSignals(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		server := stallingServer(t)
		p := realFerry(t, "bench", "-r", "5", "--warmup", "0", "-o", "json", server.URL)
		said := p.stderr()
		p.start()
		eventually(t, "a request arrives", func() bool { return server.count() > 0 })
		p.send(sent)
		awaitLine(t, said, "waiting at most 4s for 1 request to http")
		began := time.Now()
		p.send(sent)
		contains(t, "standard error", readAll(said), "had no success in 0 requests: the run ended before the first request that counts;")
		r := p.wait().killedBy(sent)
		contains(t, "the report", r.stdout, `"stopped": "interrupted"`, `"requests": 0`)
		errorIf(t, time.Since(began) > 2*time.Second, "%s after the second signal, want at once", time.Since(began))
	}
}
