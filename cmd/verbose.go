package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// showRequest prints a request, for -v.
func (a *app) showRequest(_ *client.Endpoint, p *client.Prepared) {
	a.writeErrLine("> " + p.Method + " " + p.URL.String())
	for _, f := range p.Header {
		a.writeErrLine("> " + f.Name + ": " + f.Public())
	}
	if p.Body != nil {
		a.writeErrLine(fmt.Sprintf("> (%d bytes)", p.Body.Len()))
	}
}

// showAttempt prints how an attempt ended, for -v.
func (a *app) showAttempt(at *client.Attempt, attempts int) {
	line := fmt.Sprintf("* attempt %d of %d: %s, %s", at.Number, attempts, at.Reason(), text.Latency(at.Latency))
	ph := at.Phases
	line += fmt.Sprintf(" (DNS %s, connect %s, TLS %s, wait %s, transfer %s)",
		text.Latency(ph.DNS), text.Latency(ph.Connect), text.Latency(ph.TLS), text.Latency(ph.Wait), text.Latency(ph.Transfer))
	a.writeErrLine(line)
	about := joinParts(", ",
		part{at.Remote != "", at.Remote},
		part{at.TLS != "", at.TLS},
		part{at.HTTP3, "HTTP/3"},
		part{at.Handshakes > 1, fmt.Sprintf("%d handshakes raced", at.Handshakes)},
		part{at.Held && at.Reused, "held connection"},
		part{at.Held && !at.Reused, "held from now on"},
		part{at.Reused && !at.Held, "reused connection"},
	)
	if about != "" {
		a.writeErrLine("* " + about)
	}
	if at.Reconnected {
		a.writeErrLine("* a kept connection was closed before an answer arrived; the request was sent again on a new one")
	}
	if at.StreamOnly {
		a.writeErrLine("* the model answers only as a stream, so ferry requests one now; stream: only of the node does this at once")
	}
	if at.HTTPStatus != 0 {
		a.writeErrLine(fmt.Sprintf("< HTTP %d", at.HTTPStatus))
	}
	header := at.Header()
	for _, f := range header {
		a.writeErrLine("< " + f.Name + ": " + f.Public())
	}
	if refused, ok := errors.AsType[*wire.APIError](at.Err); ok && at.HTTPStatus != http.StatusOK && len(refused.Body) > 0 {
		a.writeErrLine("< " + text.ShownOf(string(refused.Body[:min(len(refused.Body), 2*text.MaxShown)]), text.MaxShown, len(refused.Body)))
	}
	if line := client.ServerLimits(header, a.Clock.Now()); line != "" {
		a.writeErrLine("* " + line)
	}
}

// showConnected prints when a node was connected, or why not, for -v.
func (a *app) showConnected(r client.ConnectResult) {
	if r.Err != nil {
		a.writeErrLine(fmt.Sprintf("* %s: no connection after %s: %s", r.Node, text.Latency(r.Took), r.Err))
		return
	}
	a.writeErrLine(fmt.Sprintf("* %s: connected in %s", r.Node, text.Latency(r.Took)))
}

// showUsage prints the token counts of an answer, for -u.
func (a *app) showUsage(u *wire.Usage) {
	if u == nil {
		a.writeErrLine("tokens: the server reported none")
		return
	}
	line := fmt.Sprintf("tokens: %d in, %d out", u.Input, u.Output)
	if u.CacheRead > 0 || u.CacheCreation > 0 {
		line += fmt.Sprintf(" (of the input %d read from the cache, %d written to it)", u.CacheRead, u.CacheCreation)
	}
	a.writeErrLine(line)
}

// minShownWait is the shortest wait for the rate limit that is printed.
const minShownWait = 100 * time.Millisecond

// wait waits between two attempts or for the rate limit. On a terminal it counts down a wait of a second or more;
// elsewhere it prints one line.
func (a *app) wait(ctx context.Context, p client.Pause) error {
	countdown := !a.quiet && !a.err.Plain && p.Wait >= time.Second
	if p.Limit != "" || countdown {
		// On a signal, first cancel the reservation and clear the countdown's line.
		var stop func()
		ctx, stop = a.Catch(ctx)
		defer stop()
	}
	until := a.Clock.Now().Add(p.Wait)
	left := func() time.Duration { return until.Sub(a.Clock.Now()) }
	what := fmt.Sprintf(": %s; attempt %d of %d", p.Reason, p.Attempt+1, p.Attempts)
	if p.Limit != "" {
		what, left = ": the limit is "+p.Limit+"; sending", p.Reserved.Left
	}
	switch {
	case countdown:
		defer a.startDisplay(0, func() []string {
			rest := (max(0, left()) + time.Second - 1).Truncate(time.Second)
			return []string{a.oneLine(p.Node, []string{what + " in " + text.Seconds(rest)})}
		}, nil)()
	case p.Limit != "" && p.Wait >= minShownWait:
		a.note("%s: waiting %s for the limit of %s", p.Node, text.Seconds(p.Wait), p.Limit)
	case p.Limit == "" && p.Wait >= time.Second:
		a.note("%s%s in %s", p.Node, what, text.Seconds(p.Wait))
	}
	err := p.Sleep(ctx, a.Clock.Sleep)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
