package cmd

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// Main runs the program and returns its exit code. A SIGINT or SIGTERM that came while something was to be cleaned up
// kills the process in the end all the same, so that a shell loop around it stops too.
func Main() int {
	// net/http logs what a server sends behind its answer: bytes that nobody masked, on the user's terminal.
	log.SetOutput(io.Discard)
	env := SystemEnv()
	var signals signalCatcher
	env.Catch = signals.catch
	code := Run(context.Background(), os.Args[1:], env)
	if caught := signals.caught.Load(); caught != nil {
		return dieOf(*caught)
	}
	return code
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
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
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
