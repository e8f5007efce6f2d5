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

// app is one run of the program: its environment and streams, and what keeps secrets out of them.
type app struct {
	Env
	args     []string // of the command line
	out, err term.Stream
	// masker hides every secret that this run has read.
	masker *guard.Masker
	// redactor removes keys and personal data from text that is logged or shown beside an answer.
	redactor *guard.Redactor
	quiet    bool
	// lang is the language of --lang, or else of the locale; "" if ferry has no messages in it.
	lang string
	// closed is the error of commands that print, if standard output cannot be written: an answer would be paid for and
	// lost.
	closed error
	// sent reports that a request was sent or is about to be sent.
	sent atomic.Bool
	// writing guards standard error and live, the lines that are redrawn there. live is nil until there are such lines.
	writing sync.Mutex
	live    *term.Live
	// open reports that the last line of standard error is reasoning that has not ended.
	open bool
	// stopWait removes the display of a wait. beforeWait is called before that display is shown.
	stopWait   atomic.Pointer[func()]
	beforeWait func()
}

func newApp(env Env) *app {
	plain := env.Lookup.Get("NO_COLOR") != "" || env.Lookup.Get("TERM") == "dumb" // no-color.org: any value but ""
	a := &app{
		Env:    env,
		out:    term.Stream{Writer: env.Stdout, Facts: term.FactsOf(env.Stdout, plain)},
		err:    term.Stream{Writer: env.Stderr, Facts: term.FactsOf(env.Stderr, plain)},
		masker: &guard.Masker{}, redactor: &guard.Redactor{}, beforeWait: func() {},
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

// closedStream fails every write, like a stream that was closed when ferry started.
type closedStream struct{}

func (closedStream) Write([]byte) (int, error) { return 0, syscall.EBADF }

// note prints a message on standard error, made safe, unless -q is set.
func (a *app) note(format string, args ...any) { a.noteSafe(a.safe(fmt.Sprintf(format, args...))) }

// noteSafe is note for text that is already safe. It indents all lines but the first, including lines made by wrapping.
func (a *app) noteSafe(text string) {
	const who = "ferry: "
	if a.quiet {
		return
	}
	text = indented(who+a.translate(text), len(who))
	if a.err.TTY {
		text = a.err.Wrap(text, len(who))
	}
	a.writeErr(text + "\n")
}

// writeErrLine writes a line to standard error, with secrets masked and made safe for a terminal.
func (a *app) writeErrLine(line string) { a.writeErr(a.err.Wrap(indented(a.safe(line), 2), 2) + "\n") }

// writeErr writes to standard error, from any goroutine. A closed standard error is not a failure.
func (a *app) writeErr(text string) {
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

// endLine ends an open line. The caller has locked writing.
func (a *app) endLine() {
	if a.open {
		_, _ = io.WriteString(a.err, "\n")
		a.open = false
	}
}

// indented indents all lines but the first, so that no line of a server's or a model's text looks like ferry's own.
func indented(text string, by int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", by))
}

// part is a part of a message, which has it only if when is true.
type part struct {
	when bool
	text string
}

// joinParts joins the parts that a message has.
func joinParts(separator string, parts ...part) string {
	var texts []string
	for _, p := range parts {
		if p.when {
			texts = append(texts, p.text)
		}
	}
	return strings.Join(texts, separator)
}

func (a *app) outStyles() term.Styles { return term.NewStyles(a.out.Facts) }

// printError prints an error and, below it, its hint.
func (a *app) printError(err error) {
	styles := term.NewStyles(a.err.Facts)
	said := styles.Bad.Render("Error:") + " " + indented(a.translate(a.errorText(err)), len("Error: "))
	if hint := text.Hint(err); hint != "" {
		said += "\n" + hintText(styles, 0, a.translate(a.safe(hint)))
	}
	a.writeErr(a.err.Wrap(said, hintIndent) + "\n")
}

// hintIndent is the indentation of the further lines of a hint.
const hintIndent = len("hint: ")

// hintText returns a hint with its label and its further lines indented.
func hintText(styles term.Styles, indent int, hint string) string {
	margin := strings.Repeat(" ", indent)
	return margin + styles.Dim.Render("hint:") + " " + indented(hint, indent+hintIndent)
}

// redacted removes from text what must not be logged or shown beside an answer: the known secrets, and everything that
// looks like a key or personal data.
func (a *app) redacted(text string) string { return a.redactor.String(a.masker.String(text)) }

// maxMessage is the maximum size of one message in bytes: a server's text and what ferry says about it.
const maxMessage = 3 * text.MaxShown

// safe returns text that can be shown on standard error: bounded, redacted, without terminal control characters.
func (a *app) safe(s string) string {
	if len(s) > maxMessage {
		s = text.Shown(s, maxMessage)
	}
	return text.Shown(a.redactor.String(a.masker.String(s)), maxMessage)
}

// errorText returns an error's text, made safe. A key of the file, such as nodes.hk.headers.x-api-key, is redacted
// separately from its message: together they would look like the name of a secret and its value.
func (a *app) errorText(err error) string {
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

// timeWrites limits all later writes to the streams to the call's timeout. Only writes to a pipe, a socket or a
// terminal can block.
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

// endWrites makes timed writes give up soon after the context has ended.
func endWrites(ctx context.Context, streams ...*term.Stream) {
	for _, stream := range streams {
		if timed, ok := stream.Writer.(*timedWriter); ok {
			timed.ended = ctx.Done()
		}
	}
}

// timedWriter gives up if its reader does not read until the call's time is over or a signal has ended the call. The
// data is then lost, and nothing more is written: the abandoned write may still succeed.
type timedWriter struct {
	io.Writer
	pipe  int // its descriptor, -1 if the writer is not a pipe
	until time.Time
	ended <-chan struct{}
	stuck error
}

// writeGrace is how long a write may take after the time is over: the result of the call still has to be reported.
const writeGrace = 2 * time.Second

func (w *timedWriter) Write(p []byte) (int, error) {
	switch {
	case w.stuck != nil:
		return 0, w.stuck
	case w.pipe >= 0 && canWriteNow(w.pipe, len(p)): // the usual case, and a goroutine costs more than the write
		return w.Writer.Write(p)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	text := bytes.Clone(p) // the caller may reuse p when this returns
	go func() {
		n, err := w.Writer.Write(text)
		done <- result{n, err}
	}()
	late := time.NewTimer(max(time.Until(w.until), writeGrace))
	defer late.Stop()
	for ended := w.ended; ; {
		select {
		case got := <-done:
			return got.n, got.err
		case <-ended:
			ended = nil
			late.Reset(writeGrace)
		case <-late.C:
			w.stuck = errors.New("its reader stopped reading until the call was over")
			return 0, w.stuck
		}
	}
}
