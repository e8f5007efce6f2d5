package cmd

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/transport"
)

const (
	// liveEvery is how often the lines on a terminal are redrawn, plainEvery how often a line is printed anywhere else.
	liveEvery  = 150 * time.Millisecond
	plainEvery = 5 * time.Second
	barWidth   = 12
	// showWaitAfter is how long a wait lasts before ferry shows it.
	showWaitAfter = time.Second
)

// startDisplay redraws lines on a terminal, and elsewhere calls printLine every few seconds, until stop is called. Both
// begin after the delay. Without a delay, lines are drawn at once. printLine may be nil.
func (a *app) startDisplay(after time.Duration, lines func() []string, printLine func()) (stop func()) {
	draw, every := printLine, plainEvery
	if a.err.TTY && !a.err.Plain {
		draw, every = func() { a.draw(lines()) }, liveEvery
	}
	if draw == nil || a.quiet || a.Every == nil {
		return func() {}
	}
	if after == 0 && every == liveEvery {
		draw()
	}
	var drawing sync.WaitGroup
	drawing.Add(1)
	ended := make(chan struct{})
	begins := time.AfterFunc(cmp.Or(after, every), func() {
		defer drawing.Done()
		ticks, stopTicks := a.Every(every)
		defer stopTicks()
		for {
			draw()
			select {
			case <-ticks:
			case <-ended:
				return
			}
		}
	})
	return func() {
		if begins.Stop() {
			drawing.Done()
		}
		close(ended)
		drawing.Wait()
		a.draw(nil)
	}
}

// draw replaces the lines at the end of the terminal; nil removes them.
func (a *app) draw(lines []string) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.live == nil {
		a.live = &term.Live{Stream: a.err}
	}
	if lines != nil {
		a.endLine()
	}
	a.live.Draw(lines)
}

// showWait shows on a terminal what ferry waits for, after one second without output, until it is ended or standard
// output is written. what returns the line: with the elapsed time if the line is redrawn, without it if lines are
// added.
func (a *app) showWait(what func(took string) string) (ended func()) {
	a.hideWait()
	began, last := a.Clock.Now(), ""
	stop := a.startDisplay(showWaitAfter,
		func() []string {
			a.beforeWait()
			return []string{what(" " + text.Seconds(a.Clock.Now().Sub(began).Truncate(time.Second)))}
		},
		func() {
			a.beforeWait()
			if line := what(""); line != last {
				a.note("%s", line)
				last = line
			}
		},
	)
	a.stopWait.Store(&stop)
	return a.hideWait
}

func (a *app) hideWait() {
	if stop := a.stopWait.Swap(nil); stop != nil {
		(*stop)()
	}
}

// catchWhileWaiting returns a context that a signal ends, but only once ferry shows that it waits: catching costs a
// thread, which a quick call does not need. On a signal, ferry first removes what it shows on the terminal.
func (a *app) catchWhileWaiting(ctx context.Context) (caught context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.beforeWait = sync.OnceFunc(func() {
		signalled, stop := a.Catch(ctx)
		context.AfterFunc(signalled, func() {
			cancel(context.Cause(signalled))
			stop()
		})
	})
	return ctx, func() { cancel(nil) }
}

// showCall shows the attempts of a call that take long, and before them the race of nodes for the first connection. It
// returns a context that a signal ends while something is shown. It is for a terminal with a person.
func (order *nodeOrder) showCall(ctx context.Context, stages *client.Stages) (context.Context, context.CancelFunc) {
	ctx, release := order.settings.catchWhileWaiting(ctx)
	stages.OnStart = order.settings.showPhase
	if order.Fastest {
		order.settings.showWait(func(took string) string { return fmt.Sprintf("connecting to %d nodes…%s", len(order.nodes), took) })
	}
	return ctx, func() {
		order.settings.hideWait()
		release()
	}
}

// waitsFor describes what an attempt waits for, by its phase.
var waitsFor = [...]string{
	transport.Resolving: "looking up the address", transport.Connecting: "connecting", transport.Securing: "TLS handshake",
	transport.Sending: "sending the request", transport.Waiting: "waiting for the answer", transport.Receiving: "receiving the answer",
}

// showPhase shows an attempt that takes long: what it waits for, its number, and its time limit.
func (s *settings) showPhase(u *client.ActiveAttempt) (ended func()) {
	return s.showWait(func(took string) string {
		phase, most := u.Phase(), u.Limit
		what := waitsFor[phase]
		switch connect := s.values.ConnectTimeout; {
		case phase < transport.Sending && connect > 0 && (most == 0 || connect < most):
			most = connect
		case u.Stream && phase == transport.Waiting:
			what, most = "waiting for the first token", cmp.Or(u.Idle, most)
		case u.Stream && phase == transport.Receiving:
			what = "receiving, no text yet"
		}
		parts := []string{": " + what + "…" + took, "", ""}
		if u.Number > 1 {
			parts[1] = fmt.Sprintf("; attempt %d of %d", u.Number, u.Attempts)
		}
		if most > 0 {
			parts[2] = "; at most " + text.Brief(most.Round(time.Second))
		}
		return s.oneLine(u.Node, parts)
	})
}

// oneLine returns a line for the terminal: the name, the first part, and each further part that fits.
func (a *app) oneLine(name string, parts []string) string {
	name = a.safe(name)
	width, line := a.err.Width-1, parts[0]
	for _, part := range parts[1:] {
		if text.Width(name+line+part) <= width {
			line += part
		}
	}
	return a.translate(text.Cut(name, max(minNameWidth, width-text.Width(line))) + line)
}

// minNameWidth is the minimum width of a node's name, in columns.
const minNameWidth = 8
