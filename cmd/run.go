package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/term"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes. A signal kills instead, and a closed pipe ends with exitPipe.
const (
	exitDone    = 0
	exitFailed  = 1   // the request failed
	exitUsage   = 2   // usage or configuration; nothing was sent
	exitGaveUp  = 3   // gave up after the last attempt
	exitBlocked = 4   // the content filter blocked it
	exitMissed  = 5   // a check missed
	exitQuit    = 131 // SIGQUIT
	exitPipe    = 141 // standard output was closed, as SIGPIPE would say
)

// app is one run of the program: its surroundings and what all commands share.
type app struct {
	Env
	out, err term.Stream
	// masker hides every secret that this run has read.
	masker *guard.Masker
	// redactor takes keys and personal data out of what is logged or shown beside an answer.
	redactor *guard.Redactor
	quiet    bool
	// closed says that standard output takes nothing, so that an answer would be lost.
	closed bool
	// sent says that a request has left, or is about to.
	sent atomic.Bool
	// telling keeps the lines of standard error apart.
	telling sync.Mutex
}

func random() float64 { return rand.Float64() }

// Run runs one command line and returns the exit code. It is the one seam that main and the tests share.
func Run(ctx context.Context, args []string, env Env) (code int) {
	a := newApp(env)
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
	return a.exit(root.ExecuteContext(ctx))
}

func newApp(env Env) *app {
	preferences := term.Preferences{NoColor: env.get("NO_COLOR") != "", Term: env.get("TERM")}
	a := &app{
		Env:    env,
		out:    term.Stream{Writer: env.Stdout, Facts: term.Look(env.Stdout, preferences)},
		err:    term.Stream{Writer: env.Stderr, Facts: term.Look(env.Stderr, preferences)},
		masker: &guard.Masker{}, redactor: &guard.Redactor{},
	}
	if term.ReadOnly(env.Stdout) || term.Closed(env.Stdout, env.Stdin, env.Stderr) && env.get("FERRY_STDOUT") != "discard" {
		a.closed, a.out.Writer = true, closedStream{}
	}
	if term.Closed(env.Stdin, env.Stdout, env.Stderr) {
		a.Stdin = nil
	}
	return a
}

// closedStream takes nothing, as a stream that was closed when ferry began.
type closedStream struct{}

func (closedStream) Write([]byte) (int, error) { return 0, syscall.EBADF }

// canPrint fails where standard output takes nothing: whatever an answer costs, it would be lost.
func (a *app) canPrint() error {
	if !a.closed {
		return nil
	}
	return usagef("send it to a file or a pipe; a program that wants no output opens /dev/null for writing only, or sets FERRY_STDOUT=discard",
		"standard output is closed; nothing was sent or changed")
}

// note says something beside the answer, unless -q asked for silence.
func (a *app) note(format string, args ...any) {
	const who = "ferry: "
	if !a.quiet {
		a.tell(a.err.Wrap(indented(a.safe(who+fmt.Sprintf(format, args...)), len(who)), len(who)) + "\n")
	}
}

// tell writes to standard error, from any goroutine. That it is closed is no reason to fail.
func (a *app) tell(text string) {
	a.telling.Lock()
	defer a.telling.Unlock()
	_, _ = io.WriteString(a.err, text)
}

// say writes a line to standard error, with secrets masked and safe for a terminal. Further lines of it stand in, also
// those that a terminal's width makes.
func (a *app) say(line string) {
	a.tell(a.err.Wrap(indented(a.safe(line), 2), 2) + "\n")
}

// indented sets the lines of a text in, but for the first: what a server or a model said begins no line that could be
// one of ferry's own.
func indented(text string, by int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", by))
}

// outStyles are the styles of standard output.
func (a *app) outStyles() term.Styles { return term.NewStyles(a.out.Facts) }

// usageError is a mistake on the command line or in the configuration: nothing was sent.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// Hint tells what to do about it.
func (e *usageError) Hint() string { return e.hint }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// invalid is a usage error about a flag's value, with what to use in its place.
func invalid(flag string, value any, use string) error {
	return usagef("", "invalid --%s %q: use %s", flag, fmt.Sprint(value), use)
}

// choice refuses a flag's value that is none of those that are allowed.
func choice(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return invalid(flag, value, "one of "+strings.Join(allowed, ", "))
}

// silent is an exit code about which everything has been said.
type silent int

func (s silent) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// missedError is a check that missed.
type missedError struct{ text string }

func (e *missedError) Error() string { return e.text }

// exit is the one place where an error becomes a message and an exit code.
func (a *app) exit(err error) int {
	code, told := exitCode(err)
	if !told {
		a.complain(err)
	}
	return code
}

// exitCode is the exit code of an error; told says that there is nothing to say about it.
func exitCode(err error) (code int, told bool) {
	var quiet silent
	var output *outputError
	switch {
	case err == nil:
		return exitDone, true
	case errors.As(err, &quiet):
		return int(quiet), true
	case errors.As(err, &output) && errors.Is(err, syscall.EPIPE):
		return exitPipe, true // the reader has closed the pipe: no message
	}
	var failed *client.Error
	var over *client.FailoverError
	var missed *missedError
	var crash *crashError
	var blocked *guard.BlockedError
	switch {
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
	case errors.As(err, &missed):
		return exitMissed, false
	case errors.As(err, &failed), errors.As(err, &output), errors.As(err, &crash):
		return exitFailed, false
	}
	return exitUsage, false
}

// complain says what failed, and below it what to do.
func (a *app) complain(err error) {
	styles := term.NewStyles(a.err.Facts)
	text := styles.Bad.Render("Error:") + " " + indented(a.safe(a.inWords(err)), len("Error: "))
	if hint := hintOf(err); hint != "" {
		text += "\n" + hintText(styles, 0, a.safe(hint))
	}
	a.tell(a.err.Wrap(text, hintIndent) + "\n")
}

// hintOf is what an error says to do about it, "" where it says nothing.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// redacted takes out of a text what is not to be logged or shown beside an answer: the secrets that are known, and all
// that looks like a key or personal data.
func (a *app) redacted(text string) string { return a.redactor.String(a.masker.String(text)) }

// safe makes a text fit to be shown on standard error: bounded, redacted, nothing that a terminal would obey.
func (a *app) safe(text string) string {
	if len(text) > mostSaid {
		text = guard.Shown(text, mostSaid)
	}
	return guard.Shown(a.redacted(text), mostSaid)
}

// mostSaid is the most bytes of one message: a text of a server's with what ferry says about it.
const mostSaid = 3 * guard.MostShown

// inWords is an error's text. A key of the file, such as nodes.hk.headers.x-api-key, is redacted apart from what is said
// about it: together they would read as the name of a secret and its value.
func (a *app) inWords(err error) string {
	fault, ok := err.(*config.Error)
	if !ok {
		return err.Error()
	}
	apart := *fault
	apart.Key, apart.Msg = a.redacted(fault.Key), a.redacted(fault.Msg)
	return apart.Error()
}

// hintIndent is how far a hint's further lines stand in.
const hintIndent = len("hint: ")

// hintText is a hint with its label, its own lines below each other.
func hintText(styles term.Styles, indent int, hint string) string {
	margin := strings.Repeat(" ", indent)
	return margin + styles.Dim.Render("hint:") + " " + indented(hint, indent+hintIndent)
}

// newRootCmd builds the commands: all of them, or only the one that the arguments begin with, since building the others
// would cost every run a share of its start-up.
func newRootCmd(a *app, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "ferry",
		Short: "Carry a prompt to a large-model API and bring the answer back whole",
		Long: `ferry carries a prompt to a large-model API through a named node (direct, a regional reverse proxy, another
provider, or a model on this machine) and brings the answer back whole. It retries as you would have, and exit code 0
means that the answer is all there.`,
		Example: `  ferry ask -n demo "hello"              try it: no key, no network
  ferry ask "why is the sky blue?"       ask the node that is configured
  git diff | ferry ask "a commit message for this"
  ferry config check                     is everything in place?`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if !needsConfig(c.CommandPath()) {
				return nil
			}
			return config.CheckNamed(a.Lookup)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("ferry ask "+shellWords(args), "there is no command %q", args[0])
			}
			return c.Help()
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { a.help(c) })
	root.SetFlagErrorFunc(flagError)
	commands := map[string]func(*app) *cobra.Command{
		"ask": newAskCmd, "stream": newStreamCmd, "bench": newBenchCmd, "config": newConfigCmd, "demo": newDemoCmd, "version": newVersionCmd,
	}
	if len(args) > 0 && commands[args[0]] != nil {
		root.AddCommand(commands[args[0]](a))
		root.CompletionOptions.DisableDefaultCmd = true
		root.SetHelpCommand(&cobra.Command{Hidden: true})
		return root
	}
	for _, build := range commands {
		root.AddCommand(build(a))
	}
	root.AddCommand(newHelpTopics(a)...)
	return root
}

// help prints a help page. A closed output is no failure.
func (a *app) help(c *cobra.Command) {
	width := pipeWidth
	if a.out.TTY {
		width = a.out.Width
	}
	_, _ = io.WriteString(a.out, helpText(c, width))
}

// pipeWidth is the width of help that no terminal shows.
const pipeWidth = 120

// flagError adds a hint to what the flag parser says.
func flagError(c *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	hint := "ferry " + strings.TrimPrefix(c.CommandPath(), "ferry ") + " --help lists the flags"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		hint += "; a prompt that begins with a dash goes behind --: ferry ask -- -5 in words"
		if unknown.GetSpecifiedName() == "retry" {
			hint = "--attempts says how often and --retry-policy when; --retry-delay is the wait after a 429"
		}
	}
	return usagef(hint, "%s", strings.TrimSuffix(err.Error(), "."))
}
