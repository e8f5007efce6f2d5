package cmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/report"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// app is one run of the program: its surroundings and streams, and what keeps secrets out of them.
type app struct {
	Env
	out, err term.Stream
	// masker hides every secret that this run has read.
	masker *guard.Masker
	// redactor takes keys and personal data out of what is logged or shown beside an answer.
	redactor *guard.Redactor
	quiet    bool
	// lang is the language of --lang, or else of the locale; "" where ferry has no words of it.
	lang string
	// closed is the error of commands that print where standard output takes nothing: whatever an answer costs, it would
	// be lost.
	closed error
	// sent says that a request has left, or is about to.
	sent atomic.Bool
	// writing keeps the lines of standard error apart, with those that are drawn again and again, live: nil until some are.
	writing sync.Mutex
	live    *term.Live
	// open says that the last line of standard error is one of reasoning which has not ended.
	open bool
	// stopSilence ends what is shown of a wait, and silent is called before that is shown.
	stopSilence atomic.Pointer[func()]
	silent      func()
}

func newApp(env Env) *app {
	plain := env.Lookup.Get("NO_COLOR") != "" || env.Lookup.Get("TERM") == "dumb" // no-color.org: any value but ""
	a := &app{
		Env:    env,
		out:    term.Stream{Writer: env.Stdout, Facts: term.Look(env.Stdout, plain)},
		err:    term.Stream{Writer: env.Stderr, Facts: term.Look(env.Stderr, plain)},
		masker: &guard.Masker{}, redactor: &guard.Redactor{}, silent: func() {},
	}
	a.lang, _ = report.Language(cmp.Or(env.Lookup.Get("LC_ALL"), env.Lookup.Get("LC_MESSAGES"), env.Lookup.Get("LANG")))
	if term.ReadOnly(env.Stdout) || term.Closed(env.Stdout, env.Stdin, env.Stderr) && env.Lookup.Get("FERRY_STDOUT") != "discard" {
		a.out.Writer = closedStream{}
		a.closed = usagef("send it to a file or a pipe; a program that wants no output opens /dev/null for writing only, or sets FERRY_STDOUT=discard",
			"standard output is closed; nothing was sent or changed")
	}
	if term.Closed(env.Stdin, env.Stdout, env.Stderr) {
		a.Stdin = nil
	}
	return a
}

// closedStream takes nothing, as a stream that was closed when ferry began.
type closedStream struct{}

func (closedStream) Write([]byte) (int, error) { return 0, syscall.EBADF }

// note says something beside the answer, unless -q asked for silence.
func (a *app) note(format string, args ...any) { a.remark(a.safe(fmt.Sprintf(format, args...))) }

// remark is note for a text that is safe already. All its lines but the first are indented, also those that a terminal's
// width makes.
func (a *app) remark(text string) {
	const who = "ferry: "
	if a.quiet {
		return
	}
	text = indented(who+a.local(text), len(who))
	if a.err.TTY {
		text = a.err.Wrap(text, len(who))
	}
	a.tell(text + "\n")
}

// say writes a line to standard error, with secrets masked and safe for a terminal.
func (a *app) say(line string) { a.tell(a.err.Wrap(indented(a.safe(line), 2), 2) + "\n") }

// tell writes to standard error, from any goroutine. That it is closed is no reason to fail.
func (a *app) tell(text string) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.live != nil {
		a.live.Clear()
	}
	if a.open {
		a.endLine()
	}
	_, _ = io.WriteString(a.err, text)
}

// endLine ends a line that is open. Its caller has locked writing.
func (a *app) endLine() {
	if a.open {
		_, _ = io.WriteString(a.err, "\n")
		a.open = false
	}
}

// indented sets the lines of a text in, but for the first: what a server or a model said begins no line that could be
// one of ferry's own.
func indented(text string, by int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", by))
}

// outStyles are the styles of standard output.
func (a *app) outStyles() term.Styles { return term.NewStyles(a.out.Facts) }

// complain says what failed, and below it what to do.
func (a *app) complain(err error) {
	styles := term.NewStyles(a.err.Facts)
	said := styles.Bad.Render("Error:") + " " + indented(a.local(a.inWords(err)), len("Error: "))
	if hint := text.Hint(err); hint != "" {
		said += "\n" + hintText(styles, 0, a.local(a.safe(hint)))
	}
	a.tell(a.err.Wrap(said, hintIndent) + "\n")
}

// hintIndent is how far a hint's further lines stand in.
const hintIndent = len("hint: ")

// hintText is a hint with its label, its own lines below each other.
func hintText(styles term.Styles, indent int, hint string) string {
	margin := strings.Repeat(" ", indent)
	return margin + styles.Dim.Render("hint:") + " " + indented(hint, indent+hintIndent)
}

// redacted takes out of a text what is not to be logged or shown beside an answer: the secrets that are known, and all
// that looks like a key or personal data.
func (a *app) redacted(text string) string { return a.redactor.String(a.masker.String(text)) }

// mostSaid is the most bytes of one message: a text of a server's with what ferry says about it.
const mostSaid = 3 * text.MostShown

// safe makes a text fit to be shown on standard error: bounded, redacted, nothing that a terminal would obey.
func (a *app) safe(s string) string {
	if len(s) > mostSaid {
		s = text.Shown(s, mostSaid)
	}
	return text.Shown(a.redactor.String(a.masker.String(s)), mostSaid)
}

// inWords is an error's text as safe makes it. A key of the file, such as nodes.hk.headers.x-api-key, is redacted apart from
// what is said about it: together they would read as the name of a secret and its value.
func (a *app) inWords(err error) string {
	fault, ok := err.(*config.Error)
	if !ok {
		return a.safe(err.Error())
	}
	apart := *fault
	apart.File, apart.Key, apart.Msg = a.safe(fault.File), a.safe(fault.Key), a.safe(fault.Msg)
	if fault.Err != nil {
		apart.Err = errors.New(a.safe(fault.Err.Error()))
	}
	return apart.Error()
}

// timeWrites bounds all that is written to streams from now on by the call's time. Nothing but a pipe, a socket or a
// terminal makes a writer wait.
func timeWrites(timeout time.Duration, streams ...*term.Stream) {
	until := time.Now().Add(timeout)
	for _, stream := range streams {
		file, ok := stream.Writer.(*os.File)
		if !ok {
			continue
		}
		info, err := file.Stat()
		if err != nil || info.Mode().IsRegular() {
			continue
		}
		timed := &timedWriter{Writer: file, pipe: -1, until: until}
		if info.Mode()&os.ModeNamedPipe != 0 {
			timed.pipe = int(file.Fd())
		}
		stream.Writer = timed
	}
}

// endWrites has writes that are timed end soon once the context has ended.
func endWrites(ctx context.Context, streams ...*term.Stream) {
	for _, stream := range streams {
		if timed, ok := stream.Writer.(*timedWriter); ok {
			timed.ended = ctx.Done()
		}
	}
}

// timedWriter gives up on a reader that takes nothing until the call's time is over, or has been ended by a signal. What
// it gave up on is lost, and nothing more is written: the write may still go through.
type timedWriter struct {
	io.Writer
	pipe  int // its descriptor, -1 where the writer is no pipe
	until time.Time
	ended <-chan struct{}
	stuck error
}

// lastWords is how long a write may take when the time is over: the result of the call is still to be reported.
const lastWords = 2 * time.Second

func (w *timedWriter) Write(p []byte) (int, error) {
	switch {
	case w.stuck != nil:
		return 0, w.stuck
	case w.pipe >= 0 && takes(w.pipe, len(p)): // nearly always, and a goroutine costs more than the write
		return w.Writer.Write(p)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	text := bytes.Clone(p) // p is the caller's again when this returns
	go func() {
		n, err := w.Writer.Write(text)
		done <- result{n, err}
	}()
	late := time.NewTimer(max(time.Until(w.until), lastWords))
	defer late.Stop()
	for ended := w.ended; ; {
		select {
		case got := <-done:
			return got.n, got.err
		case <-ended:
			ended = nil
			late.Reset(lastWords)
		case <-late.C:
			w.stuck = errors.New("its reader took nothing more until the call was over")
			return 0, w.stuck
		}
	}
}
