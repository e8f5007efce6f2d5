package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/bench"
)

// describeRequest returns what each node was asked for.
func (l language) describeRequest(s *bench.Summary) string {
	h := s.Header
	parts := []string{visible(l.model(s))}
	if h.PromptSHA256 != "" {
		parts = append(parts, l.translate("prompt %s", ansi.Truncate(visible(h.PromptSHA256), 12, "")))
	}
	if h.MaxTokens > 0 {
		parts = append(parts, l.translate("at most %s", bench.Count{N: h.MaxTokens, Noun: "token"}))
	}
	return strings.Join(append(parts, l.answers(h)), l.translate(", "))
}

func (l language) model(s *bench.Summary) string {
	if modelsDiffer(s) {
		return l.translate("different per node")
	}
	return cmp.Or(s.Model, l.translate("node default"))
}

func (l language) answers(h bench.Header) string {
	if h.Stream {
		return l.translate("streaming")
	}
	return l.translate("non-streaming")
}

// plan returns how much was to be sent, and how.
func (l language) plan(s *bench.Summary) string {
	h := s.Header
	work := l.work(h, "request")
	if n := len(nodeNames(s)); n > 1 {
		work = l.translate("%s to each of %s", work, bench.Count{N: n, Noun: "node"})
	}
	parts := []string{work, l.connections(s), l.load(h)}
	if h.Warmup > 0 {
		parts = append(parts, l.count(h.Warmup, "warm-up round"))
	}
	return strings.Join(append(parts, l.attempts(h)), l.translate(", "))
}

// work returns how much each node was sent; noun names what is counted. Merged runs of different plans have no common
// number.
func (l language) work(h bench.Header, noun string) string {
	switch {
	case h.Requests > 0:
		return l.count(h.Requests, noun)
	case h.Duration > 0:
		return l.translate("requests for %s", span(h.Duration.Seconds()))
	}
	return l.translate("different numbers of requests")
}

// connections returns the kind of the connections, and whether a second handshake was started when the first was late.
func (l language) connections(s *bench.Summary) string {
	kind, raced := l.translate("new connection per request"), l.translate("handshakes not raced")
	switch {
	case s.BothConnections():
		kind = l.translate("new and reused connections")
	case len(s.Rows) > 0 && s.Rows[0].Node.Connection == bench.Reused:
		kind = l.translate("reused connections")
	}
	if s.Header.Race {
		raced = l.translate("handshakes raced")
	}
	return kind + l.translate(", ") + raced
}

func (l language) load(h bench.Header) string {
	if h.Rate > 0 {
		switch n, unit := rateUnit(h.Rate); unit {
		case "hour":
			return l.translate("%s requests/hour, at most %d in flight", rate(n), h.Concurrency)
		case "min":
			return l.translate("%s requests/min, at most %d in flight", rate(n), h.Concurrency)
		default:
			return l.translate("%s requests/s, at most %d in flight", rate(n), h.Concurrency)
		}
	}
	return l.translate("concurrency %d", max(h.Concurrency, 1))
}

func (l language) attempts(h bench.Header) string {
	if h.Attempts > 1 {
		return l.translate("up to %d attempts", h.Attempts)
	}
	return l.translate("one attempt")
}

// vantages returns the vantages that have a name.
func vantages(s *bench.Summary) []string {
	return slices.DeleteFunc(append([]string{}, s.Vantages...), func(v string) bool { return v == "" })
}

// from returns the vantages and the proxy.
func (l language) from(s *bench.Summary) string {
	places := each(vantages(s), visible)
	if proxy := s.Header.Proxy; proxy != "" {
		places = append(places, l.translate("proxy %s", visible(proxy)))
	}
	return strings.Join(places, l.translate(", "))
}

// run returns when the run began, how long it took and why it ended.
func (l language) run(s *bench.Summary) string {
	run := s.Started.UTC().Format("2006-01-02 15:04:05 UTC") + l.translate(", ") + span(s.Elapsed)
	if s.Runs > 1 {
		run = l.translate("%d runs since %s in total", s.Runs, run)
	}
	if s.Stopped != "" {
		run += l.translate(", ") + l.stopped(s.Stopped)
	}
	return run
}

// stopped returns why a run ended before its plan.
func (l language) stopped(why string) string {
	said := map[string]string{
		"interrupted": "interrupted", "max tokens": "stopped at the token limit",
		"precision": "stopped at the requested precision",
	}[why]
	if said == "" {
		return l.translate("stopped early: %s", visible(why))
	}
	return l.translate(said)
}
