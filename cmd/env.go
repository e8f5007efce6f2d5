// Package cmd owns the command line: it reads the arguments and the environment, opens the streams, wires the other
// packages together and turns what comes of it into an exit code. It alone knows Cobra, os.Args and the environment. It
// refuses to decide anything that a package below could decide.
package cmd

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"

	"ferry/pkg/client"
)

// Env is everything from outside that a run of the program touches, so that a test can run the whole of it.
type Env struct {
	// Stdin is an *os.File in a real run; any other reader counts as a pipe.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Lookup reads the environment.
	Lookup func(name string) (string, bool)
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

// get is a variable's value, "" where it is not set.
func (e Env) get(name string) string {
	value, _ := e.Lookup(name)
	return value
}

// SystemEnv is the real one, in which signals kill: Main adds what catches them.
func SystemEnv() Env {
	return Env{
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Lookup: os.LookupEnv,
		Clock:  systemClock{},
		Random: random,
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
