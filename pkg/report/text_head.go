package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// head says what was run.
func (p *page) head() {
	for _, line := range [][2]string{{"model", p.model()}, {"plan", p.plan()}, {"from", p.from()}, {"run", p.run()}} {
		if line[1] == "" {
			continue
		}
		const column = 7
		value := line[1]
		if p.facts.TTY {
			value = term.Wrap(value, p.facts.Width-column, 0)
		}
		p.b.WriteString(p.style.Dim.Render(line[0]) + strings.Repeat(" ", column-len(line[0])) +
			strings.ReplaceAll(value, "\n", "\n"+strings.Repeat(" ", column)) + "\n")
	}
}

func (p *page) model() string {
	h := p.s.Header
	var parts []string
	switch {
	case modelsDiffer(p.s):
		parts = append(parts, "different ones")
	case p.s.Model != "":
		parts = append(parts, visible(p.s.Model))
	default:
		parts = append(parts, "the node's own")
	}
	if h.PromptSHA256 != "" {
		parts = append(parts, "prompt "+ansi.Truncate(visible(h.PromptSHA256), 12, ""))
	}
	if h.MaxTokens > 0 {
		parts = append(parts, fmt.Sprintf("at most %s", text.Count(h.MaxTokens, "token")))
	}
	if h.Stream {
		return strings.Join(append(parts, "streamed"), ", ")
	}
	return strings.Join(append(parts, "whole answers"), ", ")
}

func (p *page) plan() string {
	h := p.s.Header
	work := text.Count(h.Requests, "request")
	if h.Requests == 0 {
		work = "requests for " + span(h.Duration.Seconds())
	}
	if n := len(nodeNames(p.s)); n > 1 {
		work += " to each of " + text.Count(n, "node")
	}
	parts := []string{work, p.connections()}
	if h.Race {
		parts = append(parts, "handshakes raced")
	}
	if h.Rate > 0 {
		parts = append(parts, rate(h.Rate)+" a second, at most "+fmt.Sprint(h.Concurrency)+" at a time")
	} else {
		parts = append(parts, fmt.Sprint(h.Concurrency)+" at a time")
	}
	if h.Warmup > 0 {
		parts = append(parts, text.Count(h.Warmup, "warm-up round"))
	}
	if h.Attempts > 1 {
		parts = append(parts, fmt.Sprintf("up to %d attempts", h.Attempts))
	} else {
		parts = append(parts, "one attempt")
	}
	return strings.Join(parts, ", ")
}

func (p *page) connections() string {
	switch {
	case p.s.BothConnections():
		return "over new connections and reused ones"
	case len(p.s.Rows) > 0 && p.s.Rows[0].Node.Connection == bench.Reused:
		return "over reused connections"
	}
	return "a new connection each"
}

func (p *page) from() string {
	var places []string
	for _, v := range p.s.Vantages {
		if v != "" {
			places = append(places, visible(v))
		}
	}
	if proxy := p.s.Header.Proxy; proxy != "" {
		places = append(places, "through the proxy "+visible(proxy))
	}
	return strings.Join(places, ", ")
}

func (p *page) run() string {
	run := p.s.Header.Started.UTC().Format("2006-01-02 15:04:05 UTC") + ", " + span(p.s.Elapsed)
	if p.s.Runs > 1 {
		run = fmt.Sprintf("%d runs since %s in all", p.s.Runs, run)
	}
	if p.s.Stopped != "" {
		run += ", " + stopped(p.s.Stopped)
	}
	return run
}

// stopped says why a run ended before its plan did.
func stopped(why string) string {
	said := map[string]string{
		"interrupted": "interrupted before its end", "max tokens": "ended by the cap on tokens",
		"precision": "ended when it was precise enough",
	}[why]
	return cmp.Or(said, "ended early: "+visible(why))
}
