package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/hold"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if os.Getenv(usualWaits) == "" {
		hold.Least = testTimeout
	}
	testscript.Main(m, map[string]func(){
		"ferry":      storyFerry,
		"ferry-real": func() { os.Exit(limitedMain()) },
		"ferry-peak": peakMain,
	})
}

// usualWaits has a ferry give up on a holder as early as it does for its users. Without it a ferry that is a test's waits
// for one however busy the machine is.
const usualWaits = "FERRY_TEST_USUAL_WAITS"

// peakFile names, in the environment of ferry-peak, the file that it writes its peak into.
const peakFile = "FERRY_TEST_PEAK"

// peakMain is ferry, and says at its end how much it had in memory at most.
func peakMain() {
	code := cmd.Main()
	status, _ := os.ReadFile("/proc/self/status")
	_ = os.WriteFile(os.Getenv(peakFile), status, 0o600)
	os.Exit(code)
}

// waitsFile names, in the environment of a story, the file in which the clock writes down what it was asked to wait.
const waitsFile = "FERRY_TEST_WAITS"

// Under the race detector each process would wait a second before it ends.
const raceExit, raceAtOnce = "GORACE", "atexit_sleep_ms=0"

// storyFerry is the whole program with a clock that takes no time between attempts and writes down each wait.
func storyFerry() {
	env := cmd.SystemEnv()
	if len(os.Args) < 4 || os.Args[2] != "hold" || os.Args[3] != "run" { // a holder outlives the story's command
		env.Clock = &storyClock{waits: os.Getenv(waitsFile)}
	}
	os.Exit(cmd.Run(context.Background(), os.Args[1:], env))
}

// storyClock jumps over each wait.
type storyClock struct {
	mu     sync.Mutex
	waits  string
	jumped time.Duration
}

func (c *storyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.jumped)
}

// Boottime has no name for the machine's start, so that limits count by Now, which jumps.
func (c *storyClock) Boottime() (time.Duration, string) { return 0, "" }

func (c *storyClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil // the demo node without latency
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	file, err := os.OpenFile(c.waits, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	c.jumped += d
	_, err = fmt.Fprintln(file, d)
	return err
}

// TestStories runs testdata/script: each file tells one story of a person at a shell.
func TestStories(t *testing.T) {
	dir := filepath.Join("..", "testdata", "script")
	if found, _ := filepath.Glob(filepath.Join(dir, "*.txtar")); len(found) < 10 {
		t.Fatalf("only %d stories in %s", len(found), dir)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Values[storyTest{}] = e.T()
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_CONFIG_HOME", "")
			e.Setenv("FERRY_KEY", "canary-key-0001")
			e.Setenv(raceExit, raceAtOnce)
			e.Setenv(waitsFile, filepath.Join(e.WorkDir, ".waits"))
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    storyExits,
			"waits":    storyWaits,
			"reply":    storyReply,
			"node":     storyNode,
			"requests": storyRequests,
			"sent":     storySent,
			"fill":     storyFill,
			"secure":   storySecure,
			"runtime":  storyRuntime,

			"certificate": storyCertificate,
			"private":     storyPrivate,
		},
	})
}

// exits CODE PROGRAM ARG… runs a program and holds it to its exit code.
func storyExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// waits D… holds what the clock was asked to wait since the last call to exactly these durations.
func storyWaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: waits DURATION…")
	}
	path := ts.Getenv(waitsFile)
	got := ""
	if text, err := os.ReadFile(path); err == nil {
		got = strings.Join(strings.Fields(string(text)), " ")
	}
	_ = os.Remove(path)
	if want := strings.Join(args, " "); got != want {
		ts.Fatalf("waited %q, want %q", got, want)
	}
}

// fill FILE BYTES writes a file of so many bytes of text.
func storyFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill FILE BYTES")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("x", size)), 0o600))
}
