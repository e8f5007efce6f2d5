package cmd_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// stalled is a ferry whose request has come to a server that does not answer.
func stalled(t *testing.T, args ...string) *process {
	t.Helper()
	came, over := make(chan struct{}, 1), make(chan struct{})
	url := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		came <- struct{}{}
		<-over
	})).URL
	t.Cleanup(func() { close(over) })
	p := realFerry(t, append(args, url)...).with(faults + "=yes").start()
	<-came
	return p
}

// TestQuit sends SIGQUIT to ferries whose request is on its way. They say so in one line and do not say with exit code 2
// that nothing was sent.
func TestQuit(t *testing.T) {
	for _, args := range [][]string{{"ask", "--no-stdin", "hello", "-n"}, {"stream", "--no-stdin", "hello", "-n"}, {"bench", "-r", "2"}} {
		r := stalled(t, args...).send(syscall.SIGQUIT).wait().want(131, "", "")
		lacks(t, args[0], r.stderr, "goroutine ")
		if want := "\nferry: stopped by SIGQUIT; the request may have been carried out and billed\n"; !strings.HasSuffix(r.stderr, want) {
			r.errorf("want %q in the end", want)
		}
	}
}

// TestQuitBeforeASend is the same while ferry waits for its prompt.
func TestQuitBeforeASend(t *testing.T) {
	long(t, "ferry says after two seconds that it waits")
	p := realFerry(t, "ask", "-n", "demo")
	stdin, err := p.StdinPipe()
	check(t, err)
	defer stdin.Close()
	said := p.stderr()
	p.start()
	first, err := said.ReadString('\n')
	check(t, err)
	contains(t, "the first line", first, "waiting for standard input")
	p.send(syscall.SIGQUIT)
	contains(t, "what is said then", readAll(said)+"END", "ferry: stopped by SIGQUIT; nothing was sent\nEND")
	p.wait().want(131, "", "")
}

// TestFatalErrors lets a goroutine panic that is not ferry's, and makes the Go runtime give up, as it does without memory
// or threads: ferry dies of SIGABRT, and leaves no core file, which would hold keys.
func TestFatalErrors(t *testing.T) {
	for sent, want := range map[syscall.Signal]string{
		syscall.SIGUSR1: "panic: a fault of a library", syscall.SIGUSR2: "fatal error: sync: unlock of unlocked mutex",
	} {
		p := stalled(t, "ask", "--no-stdin", "hello", "-n")
		limits := read(t, fmt.Sprintf("/proc/%d/limits", p.Process.Pid))
		if core := regexp.MustCompile(`Max core file size +[01] `); !core.MatchString(limits) {
			t.Errorf("the limits are %s, want no core file", limits)
		}
		r := p.send(sent).wait().killedBy(syscall.SIGABRT)
		contains(t, "what is said", r.stderr, want)
		equal(t, "a core file", r.state.Sys().(syscall.WaitStatus).CoreDump(), false)
	}
}

// TestFewFiles runs commands where hardly a file can be opened. Each ends well or says in words what failed: exit code 2
// only where nothing was sent, 0 only with an answer, and never a crash.
func TestFewFiles(t *testing.T) {
	long(t, "more than a hundred processes")
	server := serve(t, nil)
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
			server.take()
			p := realFerry(t, command.args...)
			p.Dir = t.TempDir() // OUT lies there
			r := p.with(fmt.Sprintf("%s=%d", openFilesLimit, most)).run()
			ended[r.code]++
			sent := len(server.take())
			switch all := strings.ReplaceAll(r.stdout+r.stderr, " ", ""); {
			case r.code < 0 || r.code > 3 || strings.Contains(r.stdout+r.stderr, "goroutine "):
				r.errorf("%d open files: want no crash", most)
			case r.code == 2 && sent > 0:
				r.errorf("%d open files: %d requests were sent, want none", most, sent)
			case r.code == 0 && !strings.Contains(all, strings.ReplaceAll(command.want, " ", "")):
				r.errorf("%d open files: want %q", most, command.want)
			case r.code != 0 && !strings.Contains(r.stderr, "Error: ") && !strings.Contains(r.stdout, "✗"):
				r.errorf("%d open files: want to be told what failed", most)
			}
		}
	}
	if ended[0] == 0 || ended[2] == 0 {
		t.Errorf("ended with %v, want 0 and 2 among them: nothing was tested", ended)
	}
}
