package report

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// head says what was run.
func (p *page) head() {
	p.headLines([2]string{p.say("model"), p.model()}, [2]string{p.say("plan"), p.plan()}, [2]string{p.say("from"), p.from()},
		[2]string{p.say("run"), p.run()})
}

// headLines are lines of a name and its text, as far as they have one.
func (p *page) headLines(lines ...[2]string) {
	const column = 7
	for _, line := range lines {
		if line[1] == "" {
			continue
		}
		value := line[1]
		if p.facts.TTY {
			value = term.Wrap(value, p.facts.Width-column, 0)
		}
		p.b.WriteString(p.style.Dim.Render(line[0]) + strings.Repeat(" ", column-text.Width(line[0])) +
			strings.ReplaceAll(value, "\n", "\n"+strings.Repeat(" ", column)) + "\n")
	}
}

func (p *page) model() string {
	h := p.s.Header
	var parts []string
	switch {
	case modelsDiffer(p.s):
		parts = append(parts, p.say("different ones"))
	case p.s.Model != "":
		parts = append(parts, visible(p.s.Model))
	default:
		parts = append(parts, p.say("the node's own"))
	}
	if h.PromptSHA256 != "" {
		parts = append(parts, p.say("prompt %s", ansi.Truncate(visible(h.PromptSHA256), 12, "")))
	}
	if h.MaxTokens > 0 {
		parts = append(parts, p.say("at most %s", bench.Count{N: h.MaxTokens, Noun: "token"}))
	}
	how := p.say("whole answers")
	if h.Stream {
		how = p.say("streamed")
	}
	return strings.Join(append(parts, how), p.say(", "))
}

func (p *page) plan() string {
	h := p.s.Header
	work := p.count(h.Requests, "request")
	if h.Requests == 0 {
		work = p.say("requests for %s", span(h.Duration.Seconds()))
	}
	if n := len(nodeNames(p.s)); n > 1 {
		work = p.say("%s to each of %s", work, bench.Count{N: n, Noun: "node"})
	}
	load := p.say("%d at a time", h.Concurrency)
	if h.Rate > 0 {
		load = p.say("%s a second, at most %d at a time", rate(h.Rate), h.Concurrency)
	}
	parts := []string{work, p.connections(p.s), p.raced(&h), load}
	if h.Warmup > 0 {
		parts = append(parts, p.count(h.Warmup, "warm-up round"))
	}
	attempts := p.say("one attempt")
	if h.Attempts > 1 {
		attempts = p.say("up to %d attempts", h.Attempts)
	}
	return strings.Join(append(parts, attempts), p.say(", "))
}

// raced says whether a second handshake began beside one that was late.
func (l language) raced(h *bench.Header) string {
	if h.Race {
		return l.say("raced")
	}
	return l.say("not raced")
}

func (l language) connections(s *bench.Summary) string {
	switch {
	case s.BothConnections():
		return l.say("over new connections and reused ones")
	case len(s.Rows) > 0 && s.Rows[0].Node.Connection == bench.Reused:
		return l.say("over reused connections")
	}
	return l.say("a new connection each")
}

func (p *page) from() string {
	var places []string
	for _, v := range p.s.Vantages {
		if v != "" {
			places = append(places, visible(v))
		}
	}
	if proxy := p.s.Header.Proxy; proxy != "" {
		places = append(places, p.say("through the proxy %s", visible(proxy)))
	}
	return strings.Join(places, p.say(", "))
}

func (p *page) run() string {
	run := p.s.Started.UTC().Format("2006-01-02 15:04:05 UTC") + p.say(", ") + span(p.s.Elapsed)
	if p.s.Runs > 1 {
		run = p.say("%d runs since %s in all", p.s.Runs, run)
	}
	if p.s.Stopped != "" {
		run += p.say(", ") + p.stopped(p.s.Stopped)
	}
	return run
}

// stopped says why a run ended before its plan did.
func (l language) stopped(why string) string {
	said := map[string]string{
		"interrupted": "interrupted before its end", "max tokens": "ended by the cap on tokens",
		"precision": "ended when it was precise enough",
	}[why]
	if said == "" {
		return l.say("ended early: %s", visible(why))
	}
	return l.say(said)
}
