package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/cmd"
)

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// cell is one call of the matrix: a fault, a command, and the attempt that first meets the fault.
type cell struct {
	fault  wireFault
	stream bool
	late   bool

	code, requests, shown int
	took                  time.Duration
	wrong                 []string
}

func (c *cell) verb() string {
	if c.stream {
		return "stream"
	}
	return "ask"
}

// wants gives what has to come of the call.
func (c *cell) wants() (code, requests int) {
	code, requests = c.fault.ask, 1
	if c.stream {
		code = c.fault.stream
	}
	switch {
	case c.fault.again:
		requests = 3 // in all: the 429 before it takes one of them
	case c.late:
		requests = 2
	}
	return code, requests
}

// limit is how long a call may take beyond the shortest timeout that is set: the machine may be busy.
const limit = 2 * time.Minute

// run makes the call and looks at everything that came of it.
func (c *cell) run(t *testing.T) {
	server := newFaultServer(c.fault, c.stream, c.late)
	defer server.stop()
	var out, errs bytes.Buffer
	args := append([]string{c.verb(), "-v", "--no-stdin", "-m", "some", "--retry-delay", "0s", "-n", server.URL}, c.fault.flags...)
	started := time.Now()
	c.code = cmd.Run(t.Context(), append(args, "hello"), testEnv(map[string]string{"FERRY_KEY": canaryKey}, &out, &errs))
	c.took = time.Since(started)
	var accepted int
	c.requests, accepted = server.counted()
	c.shown = out.Len()
	bad := func(format string, args ...any) { c.wrong = append(c.wrong, fmt.Sprintf(format, args...)) }
	code, requests := c.wants()
	if c.fault.accept != nil {
		if accepted != requests {
			bad("%d connections, want %d", accepted, requests)
		}
		requests--
	}
	if c.code != code {
		bad("exit code %d, want %d", c.code, code)
	}
	if c.requests != requests {
		bad("%d requests, want %d", c.requests, requests)
	}
	if c.took > limit {
		bad("took %s", c.took)
	}
	c.judge(out.String(), errs.String(), bad)
	if len(c.wrong) > 0 {
		bad("stdout %q\n%s", clipped(out.String()), clipped(errs.String()))
	}
}

func clipped(text string) string { return text[:min(len(text), 2000)] }

// judge looks at the output.
func (c *cell) judge(stdout, stderr string, bad func(string, ...any)) {
	text := strings.TrimSuffix(stdout, "\n")
	switch {
	case c.code == 0 && text == "":
		bad("exit code 0 without an answer")
	case c.code == 0:
	case !strings.Contains(stderr, "Error: "):
		bad("no error is said")
	case !c.stream || !c.fault.shows:
		if stdout != "" {
			bad("prints what is no whole answer")
		}
	case text == "" && !c.fault.lossy:
		bad("does not print what came")
	case c.fault.reply != nil && !strings.HasPrefix(answerText, text):
		bad("prints what did not come")
	}
	if c.code == 0 && c.fault.reply != nil && text != answerText {
		bad("the answer is another")
	}
	if strings.ContainsAny(stderr, "\x1b\a\x00") {
		bad("what a terminal obeys stands in the messages")
	}
	if secret := revealed(stdout + stderr); secret != "" {
		bad("shows a key: %s", secret)
	}
}

// revealed is where a text holds the key, as it is or spelled as JSON or a URL would; "" where it does not.
func revealed(text string) string {
	for _, form := range []string{canaryKey, `canary/key\"0001\\%+=&<>`, `canary\/key\"0001\\%+=&<>`, "canary%2Fkey%220001%5C%25%2B%3D%26%3C%3E"} {
		if at := strings.Index(text, form); at >= 0 {
			return text[max(0, at-60):min(len(text), at+80)]
		}
	}
	return ""
}

// TestFaultMatrix meets ferry with every fault, on the first attempt and on a later one, and prints what came of it.
func TestFaultMatrix(t *testing.T) {
	long(t, "every fault, four times")
	before := goroutines()
	var cells []*cell
	log.SetOutput(io.Discard) // as Main does
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, fault := range wireFaults() {
		if raceEnabled && fault.name == "gzip bomb" {
			continue // unpacking it takes half a minute under the race detector
		}
		for _, stream := range []bool{false, true} {
			for _, late := range []bool{false, true} {
				cells = append(cells, &cell{fault: fault, stream: stream, late: late})
			}
		}
	}
	if len(cells) < 160 {
		t.Fatalf("only %d cells", len(cells))
	}
	// The cells that wait for a timeout come last, all at once: those before them are the processor's, and would take that
	// time away.
	for _, part := range []struct {
		waits bool
		room  int
	}{{false, 16}, {true, len(cells)}} {
		var all sync.WaitGroup
		room := make(chan struct{}, part.room)
		for _, c := range cells {
			if slices.Contains(c.fault.flags, "--timeout") != part.waits {
				continue
			}
			all.Go(func() {
				room <- struct{}{}
				c.run(t)
				<-room
			})
		}
		all.Wait()
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-28s %-6s %-7s %4s %8s %6s %8s\n", "fault", "call", "attempt", "exit", "requests", "stdout", "took")
	for _, c := range cells {
		attempt := map[bool]string{false: "first", true: "later"}[c.late]
		fmt.Fprintf(&table, "%-28s %-6s %-7s %4d %8d %6d %8s\n", c.fault.name, c.verb(), attempt, c.code, c.requests, c.shown,
			c.took.Round(time.Millisecond))
		if len(c.wrong) > 0 {
			t.Errorf("%s, %s, %s attempt: %s", c.fault.name, c.verb(), attempt, strings.Join(c.wrong, "; "))
		}
	}
	t.Logf("%d cells\n%s", len(cells), &table)
	nobodyLeft(t, before)
}

// goroutines are the stacks of all that run, by what made them.
func goroutines() int { return runtime.NumGoroutine() }

// nobodyLeft waits until as few goroutines run as before: those of a closed connection end on their own, soon.
func nobodyLeft(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); goroutines() > before; runtime.Gosched() {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", goroutines(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestRefused has nobody listen, from the first attempt or from the second one on: the matrix cannot close a listener
// between the two.
func TestRefused(t *testing.T) {
	for _, verb := range []string{"ask", "stream"} {
		for _, late := range []bool{false, true} {
			before := goroutines()
			server := newFaultServer(wireFault{query: "status=429"}, false, false)
			env := testEnv(map[string]string{"FERRY_KEY": canaryKey}, new(bytes.Buffer), new(bytes.Buffer))
			if !late {
				server.stop()
			} else {
				env.Clock = &closingClock{close: sync.OnceFunc(server.stop)}
			}
			var out, errs bytes.Buffer
			env.Stdout, env.Stderr = &out, &errs
			code := cmd.Run(t.Context(), []string{verb, "--no-stdin", "-n", server.URL, "hello"}, env)
			requests, _ := server.counted()
			if want := map[bool]int{true: 1}[late]; code != 1 || out.Len() > 0 || requests != want || !strings.Contains(errs.String(), "cannot connect to 127.0.0.1:") {
				t.Errorf("%s, late %t: exit code %d, %d requests, %q\n%s", verb, late, code, requests, &out, &errs)
			}
			nobodyLeft(t, before)
		}
	}
}

// closingClock closes a server in the first wait.
type closingClock struct {
	storyClock
	close func()
}

func (c *closingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.close()
	c.waits = os.DevNull
	return c.storyClock.Sleep(ctx, d)
}
