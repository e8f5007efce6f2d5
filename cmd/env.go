// Package cmd owns the command line: it reads the arguments and the environment, opens the streams, wires the other
// packages together and turns what comes of it into an exit code. It alone knows Cobra, os.Args and the environment. It
// refuses to decide anything that a package below could decide.
package cmd

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
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
}

// get is a variable's value, "" where it is not set.
func (e Env) get(name string) string {
	value, _ := e.Lookup(name)
	return value
}

// SystemEnv is the real one.
func SystemEnv() Env {
	return Env{
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Lookup: os.LookupEnv,
		Clock:  systemClock{},
		Random: random,
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

// signalled is why a context ended when a signal ended it.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "stopped by " + s.String() }

// Main runs the program and returns its exit code. On SIGINT and SIGTERM it cleans up first and then lets the signal
// kill it, so that a shell loop around it stops too; a second signal kills it at once.
func Main() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		caught := <-signals
		signal.Stop(signals)
		cancel(signalled{caught})
	}()
	code := Run(ctx, os.Args[1:], SystemEnv())
	if caught, ok := context.Cause(ctx).(signalled); ok {
		return dieOf(caught.Signal)
	}
	return code
}
