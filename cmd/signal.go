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

// Main runs the program and returns its exit code. A SIGINT, SIGTERM or SIGHUP that came while something was to be cleaned up
// kills the process in the end all the same, so that a shell loop around it stops too.
func Main() int {
	// net/http logs what a server sends behind its answer: bytes that are not masked, on the user's terminal.
	log.SetOutput(io.Discard)
	abortOnCrash()
	boundMemory()
	env := SystemEnv()
	if err := enoughToStart(); err != nil {
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
