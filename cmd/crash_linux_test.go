package cmd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ferry/pkg/demo"
)

// stalled is a ferry whose request has come to a server that does not answer.
func stalled(t *testing.T, args ...string) (c *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	asked, over := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	c, stderr = realFerry(t, append(args, server.URL)...), &bytes.Buffer{}
	c.Stderr = stderr
	c.Env = append(c.Env, "FERRY_KEY=some-key", faults+"=yes")
	check(t, c.Start())
	<-asked
	return c, stderr
}

// TestQuit sends SIGQUIT to ferries whose request is on its way. They say so in one line and do not say with exit code 2
// that nothing was sent.
func TestQuit(t *testing.T) {
	for _, args := range [][]string{{"ask", "--no-stdin", "hello", "-n"}, {"stream", "--no-stdin", "hello", "-n"}, {"bench", "-r", "2"}} {
		c, stderr := stalled(t, args...)
		check(t, c.Process.Signal(syscall.SIGQUIT))
		_ = c.Wait()
		if code := c.ProcessState.ExitCode(); code != 131 {
			t.Errorf("%s: %v, want exit code 131", args[0], c.ProcessState)
		}
		const want = "ferry: stopped by SIGQUIT; the request may have been carried out and billed\n"
		if !strings.HasSuffix(stderr.String(), "\n"+want) || strings.Contains(stderr.String(), "goroutine ") {
			t.Errorf("%s: stderr %q, want %q in the end", args[0], stderr, want)
		}
	}
}

// TestQuitBeforeASend is the same while ferry waits for its prompt.
func TestQuitBeforeASend(t *testing.T) {
	long(t, "ferry says after two seconds that it waits")
	c := realFerry(t, "ask", "-n", "demo")
	stdin, err := c.StdinPipe()
	check(t, err)
	defer stdin.Close()
	stderr, err := c.StderrPipe()
	check(t, err)
	check(t, c.Start())
	said := bufio.NewReader(stderr)
	first, err := said.ReadString('\n')
	if err != nil || !strings.Contains(first, "waiting for standard input") {
		t.Errorf("%v, said %q", err, first)
	}
	check(t, c.Process.Signal(syscall.SIGQUIT))
	rest, _ := io.ReadAll(said)
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != 131 || !strings.HasSuffix(string(rest), "ferry: stopped by SIGQUIT; nothing was sent\n") {
		t.Errorf("%v, said %q", c.ProcessState, rest)
	}
}

// TestFatalErrors lets a goroutine panic that is not ferry's, and makes the Go runtime give up, as it does without memory
// or threads: ferry dies of SIGABRT, and leaves no core file, which would hold keys.
func TestFatalErrors(t *testing.T) {
	for sent, want := range map[syscall.Signal]string{
		syscall.SIGUSR1: "panic: a fault of a library", syscall.SIGUSR2: "fatal error: sync: unlock of unlocked mutex",
	} {
		c, stderr := stalled(t, "ask", "--no-stdin", "hello", "-n")
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", c.Process.Pid))
		if core := regexp.MustCompile(`Max core file size +[01] `); err != nil || !core.Match(limits) {
			t.Errorf("%v, a core file may be written: %s", err, limits)
		}
		check(t, c.Process.Signal(sent))
		_ = c.Wait()
		status := c.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != syscall.SIGABRT || status.CoreDump() || !strings.Contains(stderr.String(), want) {
			t.Errorf("%v, want killed by SIGABRT without a core: %.300s", c.ProcessState, stderr)
		}
	}
}

// TestFewFiles runs commands where hardly a file can be opened. Each ends well or says in words what failed: exit code 2
// only where nothing was sent, 0 only with an answer, and never a crash.
func TestFewFiles(t *testing.T) {
	long(t, "more than a hundred processes")
	var asked atomic.Int32
	node := demo.New(demo.Options{})
	defer node.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		node.ServeHTTP(w, r)
	}))
	defer server.Close()
	in := filepath.Join(t.TempDir(), "in.txt")
	write(t, in, "one\ntwo\n")
	commands := []struct {
		args []string
		want string // of standard output or error where it ends well
	}{
		{[]string{"ask", "--no-stdin", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"stream", "--no-stdin", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"ask", "--no-stdin", "--session", "trip", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"ask", "--no-stdin", "--limit", "1000/s", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"ask", "--batch", in, "--out", "OUT", "-c", "2", "-n", server.URL}, "2 of 2 answered"},
		{[]string{"bench", "-r", "2", "--warmup", "0", "-o", "json", server.URL}, `"ok":2`},
		{[]string{"config", "list"}, "max_tokens"},
		{[]string{"config", "check", "demo"}, "demo"},
	}
	ended := map[int]int{}
	for most := 3; most <= 24; most++ {
		for _, command := range commands {
			asked.Store(0)
			home := t.TempDir()
			c := realFerry(t, command.args...)
			for i, arg := range c.Args {
				if arg == "OUT" {
					c.Args[i] = filepath.Join(home, "out.jsonl")
				}
			}
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			c.Env = append(c.Env, "HOME="+home, "XDG_STATE_HOME=", "FERRY_KEY=some-key", fmt.Sprintf("%s=%d", openFilesLimit, most))
			_ = c.Run()
			code := c.ProcessState.ExitCode()
			ended[code]++
			fault := ""
			switch all := stdout.String() + stderr.String(); {
			case code < 0 || code > 3 || strings.Contains(all, "goroutine "):
				fault = "it crashed"
			case code == 2 && asked.Load() > 0:
				fault = fmt.Sprintf("exit code 2, and %d requests were sent", asked.Load())
			case code == 0 && !strings.Contains(strings.ReplaceAll(all, " ", ""), strings.ReplaceAll(command.want, " ", "")):
				fault = "it did not say " + command.want
			case code != 0 && !strings.Contains(stderr.String(), "Error: ") && !strings.Contains(stdout.String(), "✗"):
				fault = "it did not say what failed"
			}
			if fault != "" {
				t.Errorf("%d open files: %q: %s: exit code %d\n%s%s", most, command.args, fault, code, &stdout, &stderr)
			}
		}
	}
	if ended[0] == 0 || ended[2] == 0 {
		t.Errorf("ended with %v: nothing was tested", ended)
	}
}
