package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// showRequest prints what is sent, for -v.
func (a *app) showRequest(_ *client.Endpoint, p *client.Prepared) {
	a.say("> " + p.Method + " " + p.URL.String())
	for _, f := range p.Header {
		a.say("> " + f.Name + ": " + f.Public())
	}
	if len(p.Body) > 0 {
		a.say(fmt.Sprintf("> (%d bytes)", len(p.Body)))
	}
}

// showAttempt prints how an attempt ended, for -v.
func (a *app) showAttempt(at *client.Attempt, attempts int) {
	line := fmt.Sprintf("* attempt %d of %d: %s, %s", at.Number, attempts, at.Reason(), text.Latency(at.Latency))
	ph := at.Phases
	line += fmt.Sprintf(" (DNS %s, connect %s, TLS %s, wait %s, transfer %s)",
		text.Latency(ph.DNS), text.Latency(ph.Connect), text.Latency(ph.TLS), text.Latency(ph.Wait), text.Latency(ph.Transfer))
	a.say(line)
	var about []string
	if at.Remote != "" {
		about = append(about, at.Remote)
	}
	if at.TLS != "" {
		about = append(about, at.TLS)
	}
	switch {
	case at.Held && at.Reused:
		about = append(about, "held connection")
	case at.Held:
		about = append(about, "held from now on")
	case at.Reused:
		about = append(about, "reused connection")
	}
	if len(about) > 0 {
		a.say("* " + strings.Join(about, ", "))
	}
	if at.Reconnected {
		a.say("* a kept connection was closed before an answer came; asked once more on a new one")
	}
	if at.HTTPStatus != 0 {
		a.say(fmt.Sprintf("< HTTP %d", at.HTTPStatus))
	}
	header := at.Header()
	for _, f := range header {
		a.say("< " + f.Name + ": " + f.Public())
	}
	var refused *wire.APIError
	if errors.As(at.Err, &refused) && at.HTTPStatus != http.StatusOK && len(refused.Body) > 0 {
		a.say("< " + text.ShownOf(string(refused.Body[:min(len(refused.Body), 2*text.MostShown)]), text.MostShown, len(refused.Body)))
	}
	if line := client.ServerLimits(header, a.Clock.Now()); line != "" {
		a.say("* " + line)
	}
}

// showUsage prints the tokens of an answer, for -u.
func (a *app) showUsage(u *wire.Usage) {
	if u == nil {
		a.say("tokens: the server reported none")
		return
	}
	line := fmt.Sprintf("tokens: %d in, %d out", u.Input, u.Output)
	if u.CacheRead > 0 || u.CacheCreation > 0 {
		line += fmt.Sprintf(" (of the input %d read from the cache, %d written to it)", u.CacheRead, u.CacheCreation)
	}
	a.say(line)
}

// wait waits between two attempts: a wait of more than a second with a countdown on a terminal, and with one plain line
// elsewhere.
func (a *app) wait(ctx context.Context, p client.Pause) error {
	if p.Limit != "" {
		return a.waitTurn(ctx, p)
	}
	if a.quiet || p.Wait <= time.Second {
		return a.Clock.Sleep(ctx, p.Wait)
	}
	what := fmt.Sprintf("%s: %s; attempt %d of %d", p.Node, p.Reason, p.Attempt+1, p.Attempts)
	if a.err.Plain {
		a.note("%s in %s", what, text.Seconds(p.Wait))
		return a.Clock.Sleep(ctx, p.Wait)
	}
	ctx, stop := a.Catch(ctx) // the countdown's line is cleared before a signal kills
	defer stop()
	until := a.Clock.Now().Add(p.Wait)
	left := func() time.Duration { return until.Sub(a.Clock.Now()) }
	if term.Countdown(ctx, a.err, left, "ferry: "+what, a.Clock.Sleep) != nil {
		return context.Cause(ctx)
	}
	return nil
}
