// Package cmd owns the command line: it reads the arguments and the environment, opens the streams, connects the other
// packages and turns the result into an exit code. Only this package uses Cobra, os.Args and the environment. It
// refuses to decide anything that a lower package could decide.
package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

// Env is everything outside the program that a run uses, so that a test can run the complete program.
type Env struct {
	// Stdin is an *os.File in a real run; any other reader counts as a pipe.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Lookup reads the environment.
	Lookup config.Lookup
	Clock  client.Clock
	// Random returns numbers in [0, 1), for jitter.
	Random func() float64
	// Catch returns a context that ends on SIGINT, SIGTERM and SIGHUP until stop is called. A command that has
	// something to clean up calls it; without it the signal kills the process.
	Catch func(ctx context.Context) (caught context.Context, stop func())
	// BeginCall is called before a call and before a wait for the prompt. From then on SIGQUIT ends the program with a
	// line that says whether something was sent, and a write to a pipe without a reader fails instead of killing the
	// process, so that what was sent is still counted.
	BeginCall func(sent *atomic.Bool)
	// Every returns ticks for a display that is redrawn. It is nil if nothing is to be redrawn.
	Every func(d time.Duration) (ticks <-chan time.Time, stop func())
	// Program returns the path of this program, for a process that outlives it. It is nil if no such process may start.
	Program func() string
	// SchedulingDelay starts to measure how long runnable goroutines of this process wait. end returns the result. It
	// may be nil.
	SchedulingDelay func() (end func() time.Duration)
}

// SystemEnv returns the real environment, in which signals kill the process: Main adds the functions that catch them.
func SystemEnv() Env {
	return Env{
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Lookup:    os.LookupEnv,
		Clock:     systemClock{},
		Random:    rand.Float64,
		Catch:     func(ctx context.Context) (context.Context, func()) { return ctx, func() {} },
		BeginCall: func(*atomic.Bool) {},
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

// systemClock is the system clock. Its times carry a monotonic reading, so setting the clock changes no wait.
type systemClock struct{}

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

// Main runs the program and returns its exit code. If SIGINT, SIGTERM or SIGHUP arrives while a command has something
// to clean up, it still kills the process at the end, so that a shell loop around it stops too.
func Main() int {
	// net/http logs bytes that a server sends after its answer. They are not masked and would appear on the user's
	// terminal.
	log.SetOutput(io.Discard)
	// If the Go runtime gives up (a panic in a library's goroutine, no memory, a signal), the process dies of SIGABRT.
	// The default exit code is 2, which would mean that nothing was sent.
	debug.SetTraceback("crash")
	if os.Getenv("GOMEMLIMIT") == "" { // the user's own limit takes precedence
		debug.SetMemoryLimit(memoryLimit)
	}
	env := SystemEnv()
	if err := prepareProcess(); err != nil {
		return newApp(env).exit(err)
	}
	var signals signalCatcher
	env.Catch = signals.catch
	quit, closedPipes := make(chan os.Signal, 1), make(chan os.Signal, 1)
	var sent atomic.Pointer[atomic.Bool]
	env.BeginCall = func(flag *atomic.Bool) { // not for every run: catching costs a thread
		sent.Store(flag)
		if !signal.Ignored(syscall.SIGQUIT) {
			signal.Notify(quit, syscall.SIGQUIT)
		}
		signal.Notify(closedPipes, syscall.SIGPIPE) // nothing receives it: the write fails
	}
	var termination chan os.Signal
	// The first process of a container does not die of its own signal, and the Go runtime would exit with code 2.
	if os.Getpid() == 1 {
		termination = make(chan os.Signal, 1)
		notifyTermination(termination)
	}
	done := make(chan int, 1)
	go func() {
		growStack(0)
		done <- Run(context.Background(), os.Args[1:], env)
	}()
	for waited := false; ; waited = true {
		select {
		case code := <-done:
			if caught := signals.end(); caught != nil {
				return reraiseSignal(*caught)
			}
			return code
		case caught := <-termination:
			if waited || signals.cleaning.Load() == 0 && signals.caught.Load() == nil {
				return reraiseSignal(caught)
			}
		case <-quit:
			what := "nothing was sent"
			if sent.Load().Load() {
				what = "the request may have been carried out and billed"
			}
			_, _ = io.WriteString(os.Stderr, "\nferry: stopped by SIGQUIT; "+what+"\n")
			return exitQuit
		}
	}
}

// growStack makes the stack as large as a call needs while few functions are on it. Whenever a stack grows, the runtime
// reads the tables of all functions on it from the binary, which was a tenth of the memory of an ask.
//
//go:noinline
func growStack(i int) byte {
	var room [28 << 10]byte
	return room[i]
}

// notifyTermination subscribes to the signals that end ferry, except ignored ones, as in a script's background command.
func notifyTermination(signals chan<- os.Signal) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
}

// signalled is the cause of a context that a signal ended.
type signalled struct{ os.Signal }

func (s signalled) Error() string {
	names := map[os.Signal]string{os.Interrupt: "Ctrl-C (SIGINT)", syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "SIGHUP"}
	return "stopped by " + cmp.Or(names[s.Signal], s.String())
}

// signalCatcher stores the signal that was caught. Catching costs a thread, which most runs never need.
type signalCatcher struct {
	caught atomic.Pointer[os.Signal]
	// cleaning counts the callers that have something to clean up.
	cleaning atomic.Int32

	mu    sync.Mutex // guards ended
	ended bool
}

// end returns the signal that was caught, or nil. No signal is caught after it, not even by a late goroutine: the
// process has to die of this one.
func (c *signalCatcher) end() *os.Signal {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.caught.Load()
}

// catch is Env.Catch. The first signal restores the default action: a second one kills at once.
func (c *signalCatcher) catch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	c.cleaning.Add(1)
	c.mu.Lock()
	if !c.ended {
		notifyTermination(signals)
	}
	c.mu.Unlock()
	go func() {
		select {
		case caught := <-signals:
			c.caught.Store(&caught)
			signal.Stop(signals)
			cancel(signalled{caught})
		case <-ctx.Done():
		}
	}()
	return ctx, sync.OnceFunc(func() {
		signal.Stop(signals)
		cancel(nil)
		c.cleaning.Add(-1)
	})
}

// memoryLimit is where the collector begins to work hard, so that garbage from servers' answers does not fill the
// memory. An answer, its text and one more copy fit.
const memoryLimit = 160 << 20

// The exit codes. A signal kills the process instead. exitPipe reports a closed pipe.
const (
	exitDone    = 0
	exitFailed  = 1   // the request failed
	exitUsage   = 2   // usage or configuration; nothing was sent
	exitGaveUp  = 3   // gave up after the last attempt
	exitBlocked = 4   // the content filter blocked it
	exitMissed  = 5   // a check failed
	exitQuit    = 131 // SIGQUIT
	exitPipe    = 141 // standard output was closed, as after SIGPIPE
)

// Run runs one command line and returns the exit code. Both main and the tests use it.
func Run(ctx context.Context, args []string, env Env) (code int) {
	a := newApp(env)
	a.args = args
	defer func() {
		if value := recover(); value != nil {
			code = a.exit(a.crashed(value))
		}
	}()
	root := newRootCmd(a, args)
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		return a.exit(err)
	}
	return exitDone
}

// usagef returns an error of the command line or the configuration: nothing was sent.
func usagef(hint, format string, args ...any) error { return text.Errorf(hint, format, args...) }

// invalid returns a usage error for a flag's value, with what to use instead.
func invalid(flag string, value any, use string) error {
	return invalidValue("--"+flag, fmt.Sprint(value), use)
}

// invalidValue is the same for a flag with its dashes, or for a variable.
func invalidValue(name, value, use string) error {
	return usagef("", "invalid %s %q: use %s", name, value, use)
}

// exitError is an error with its own exit code. reported is true if no message is to be printed.
type exitError struct {
	error
	code     int
	reported bool
}

func (e *exitError) Unwrap() error { return e.error }

// failedf returns an error with exit code 1.
func failedf(hint, format string, args ...any) error {
	return &exitError{text.Errorf(hint, format, args...), exitFailed, false}
}

// exitSilently returns an exit code for an error that has already been reported.
func exitSilently(code int) error { return &exitError{fmt.Errorf("exit code %d", code), code, true} }

// crashed prints the stack of a panic and returns an error for it.
func (a *app) crashed(value any) error {
	a.writeErrLine(string(debug.Stack()))
	hint := "nothing was sent; the lines above show where ferry failed"
	if a.sent.Load() {
		hint = "the request may have been carried out and billed; the lines above show where ferry failed"
	}
	return failedf(hint, "ferry crashed: %v", value)
}

// exit prints an error and returns its exit code. Nothing else does so.
func (a *app) exit(err error) int {
	code, reported := exitCode(err)
	if !reported {
		a.printError(err)
	}
	return code
}

// exitCode returns the exit code of an error. reported is true if no message is to be printed.
func exitCode(err error) (code int, reported bool) {
	var coded *exitError
	var output *outputError
	var failed *client.Error
	var over *client.FailoverError
	var blocked *guard.BlockedError
	switch {
	case err == nil:
		return exitDone, true
	case errors.As(err, &coded):
		return coded.code, coded.reported
	case errors.As(err, &output) && isClosedPipe(err):
		return exitPipe, true // the reader has closed the pipe: no message
	case errors.As(err, &blocked):
		return exitBlocked, false
	case errors.As(err, &over) && over.GaveUp():
		return exitGaveUp, false
	case errors.As(err, &over):
		return exitFailed, false
	case errors.As(err, &failed) && failed.GaveUp:
		return exitGaveUp, false
	case errors.As(err, &failed) && (failed.Class == client.Usage || failed.Class == client.PlainHTTP):
		return exitUsage, false
	case errors.As(err, &failed), errors.As(err, &output):
		return exitFailed, false
	}
	return exitUsage, false
}

// newRootCmd builds all commands, or only the one that the arguments begin with: building the others would slow down
// every start.
func newRootCmd(a *app, args []string) *cobra.Command {
	showVersion := false
	root := &cobra.Command{
		Use:           "ferry COMMAND",
		Short:         "Send a prompt to a large-model API and print the complete answer",
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			path, words := a.Lookup.Get("FERRY_CONFIG"), strings.Fields(c.CommandPath())
			switch {
			case path == "":
				return nil
			case len(words) < 2 || !slices.Contains([]string{"ask", "stream", "bench", "config"}, words[1]):
				return nil // reads no settings
			case words[1] == "config" && (len(words) == 2 || slices.Contains([]string{"add", "init", "set", "path"}, words[2])):
				return nil // creates the file or prints its path
			}
			return config.CheckNamed(path)
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return a.unknownCommand(c, args)
			case showVersion:
				return runVersion(a, "text")
			}
			return c.Help()
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true // newCompletionCmd replaces it
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { a.help(c) })
	root.SetFlagErrorFunc(a.flagError)
	commands := map[string]func(*app) *cobra.Command{
		"ask": newAskCmd, "stream": newStreamCmd, "bench": newBenchCmd, "config": newConfigCmd, "demo": newDemoCmd, "version": newVersionCmd,
		"completion": newCompletionCmd,
	}
	if len(args) > 0 && args[0] != "completion" && commands[args[0]] != nil { // a completion script needs all commands
		root.AddCommand(commands[args[0]](a))
		root.SetHelpCommand(&cobra.Command{Hidden: true})
		return root
	}
	root.Flags().BoolVarP(&showVersion, "version", "V", false, "print the version, as ferry version does")
	root.SetHelpCommand(newHelpCmd())
	for _, build := range commands {
		root.AddCommand(build(a))
	}
	root.AddCommand(newHelpTopics()...)
	a.addCompletions(root)
	return root
}

// help prints a help page. A closed output is not an error.
func (a *app) help(c *cobra.Command) { _, _ = io.WriteString(a.out, helpText(c, a.out.Facts)) }
