// Package cmd owns the command line: it reads the arguments and the environment, opens the streams, wires the other
// packages together and turns the result into an exit code. It alone knows Cobra, os.Args and the environment. It
// refuses to decide anything that a package below could decide.
package cmd

import (
	"context"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
)

// Env is everything from outside that a run of the program touches, so that a test can run the whole of it.
type Env struct {
	// Stdin is an *os.File in a real run; any other reader counts as a pipe.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Lookup reads the environment.
	Lookup config.Lookup
	Clock  client.Clock
	// Random gives numbers in [0, 1), for jitter.
	Random func() float64
	// Catch gives a context that ends on SIGINT, SIGTERM and SIGHUP until stop is called. A command that has something to
	// clean up calls it; without it the signal simply kills.
	Catch func(ctx context.Context) (caught context.Context, stop func())
	// CatchQuit is called before a request leaves and before a wait for the prompt. From then on SIGQUIT ends the program
	// with a line that says whether something was sent. It may be nil.
	CatchQuit func(sent *atomic.Bool)
	// Every ticks for a display that is drawn again and again; it is nil where nothing is to be drawn meanwhile.
	Every func(d time.Duration) (ticks <-chan time.Time, stop func())
	// Program is the path of this program's own file, for a process that is to outlive it; nil where none may.
	Program func() string
	// SchedulingDelay begins to measure how late this process runs what is ready to run, and gives what ends that. It may
	// be nil.
	SchedulingDelay func() (end func() time.Duration)
}

// SystemEnv is the real one, in which signals kill: Main adds what catches them.
func SystemEnv() Env {
	return Env{
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Lookup: os.LookupEnv,
		Clock:  systemClock{},
		Random: rand.Float64,
		Catch:  func(ctx context.Context) (context.Context, func()) { return ctx, func() {} },
		Every: func(d time.Duration) (<-chan time.Time, func()) {
			ticker := time.NewTicker(d)
			return ticker.C, ticker.Stop
		},
		SchedulingDelay: schedulingDelay,
		Program: func() string {
			path, err := os.Executable()
			if err != nil {
				return ""
			}
			return path
		},
	}
}

// systemClock is the machine's. Its times carry a monotonic reading, so that a set clock moves no wait.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Main runs the program and returns its exit code. A SIGINT, SIGTERM or SIGHUP that came while something was to be cleaned up
// kills the process in the end all the same, so that a shell loop around it stops too.
func Main() int {
	// net/http logs what a server sends behind its answer: bytes that are not masked, on the user's terminal.
	log.SetOutput(io.Discard)
	// Where the Go runtime gives up (a panic in a library's goroutine, no memory, a signal), the process dies of SIGABRT.
	// Its own exit code is 2, which would say that nothing was sent.
	debug.SetTraceback("crash")
	if os.Getenv("GOMEMLIMIT") == "" { // a user who sets it knows better
		debug.SetMemoryLimit(memoryBound)
	}
	env := SystemEnv()
	if err := prepareProcess(); err != nil {
		return newApp(env).exit(err)
	}
	var signals signalCatcher
	env.Catch = signals.catch
	quit := make(chan os.Signal, 1)
	var sent atomic.Pointer[atomic.Bool]
	env.CatchQuit = func(flag *atomic.Bool) { // not for every run: catching costs a thread
		sent.Store(flag)
		if !signal.Ignored(syscall.SIGQUIT) {
			signal.Notify(quit, syscall.SIGQUIT)
		}
	}
	done := make(chan int, 1)
	go func() { done <- Run(context.Background(), os.Args[1:], env) }()
	select {
	case code := <-done:
		if caught := signals.caught.Load(); caught != nil {
			return dieOf(*caught)
		}
		return code
	case <-quit:
		what := "nothing was sent"
		if sent.Load().Load() {
			what = "the request may have been carried out and billed"
		}
		_, _ = io.WriteString(os.Stderr, "\nferry: stopped by SIGQUIT; "+what+"\n")
		return exitQuit
	}
}

// signalled is why a context ended when a signal ended it.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "stopped by " + s.String() }

// signalCatcher holds the signal that was caught. Catching costs a thread, which most runs never need.
type signalCatcher struct {
	caught atomic.Pointer[os.Signal]
}

// catch is Env.Catch. After the first signal the default is back: a second one kills at once.
func (c *signalCatcher) catch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as for a command in the background of a script
			signal.Notify(signals, s)
		}
	}
	go func() {
		select {
		case caught := <-signals:
			c.caught.Store(&caught)
			signal.Stop(signals)
			cancel(signalled{caught})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// memoryBound is where the collector begins to work hard, so that what servers send does not fill the memory with garbage:
// an answer, the text in it and one more copy fit.
const memoryBound = 160 << 20
