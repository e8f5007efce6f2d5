package bench

import (
	"fmt"
	"slices"
	"strings"

	"ferry/pkg/text"
)

// checkMergeable refuses runs that cannot be merged: runs with different settings, and files that contain the same
// attempts, which would count twice. names are the files. Runs from different places can be merged, and so can the
// parts of one run.
func checkMergeable(runs []*Run, names []string) error {
	type firstSeen struct {
		file int
		node Node
	}
	first := map[string]firstSeen{}
	for i, run := range runs {
		differ := func(from int, s Settings) error {
			return text.Errorf("only runs of the same request, sent in the same way, can be merged",
				"%s and %s cannot be merged: they differ in %s", names[from], names[i], s)
		}
		if s := differences(&runs[0].Header, &run.Header); len(s) > 0 {
			return differ(0, s)
		}
		for _, n := range run.Header.Nodes {
			known, ok := first[n.Name]
			if !ok {
				first[n.Name] = firstSeen{i, n}
			} else if s := known.node.differences(n); len(s) > 0 {
				return differ(known.file, s)
			}
		}
	}
	return checkOverlap(runs, names)
}

// Settings are the settings that differ, each with its two values.
type Settings []string

func (s Settings) String() string { return strings.Join(s, ", ") }

func (s *Settings) add(name string, a, b any) {
	if a != b {
		*s = append(*s, fmt.Sprintf("%s (%s and %s)", name, value(a), value(b)))
	}
}

// differences returns the settings in which two runs differ: all settings that affect a result, of the runs and of the
// nodes that both have. Runs without a difference measured the same thing in the same way.
func differences(a, b *Header) Settings {
	s := Settings{}
	s.add("prompt", abbreviated(a.PromptSHA256), abbreviated(b.PromptSHA256))
	s.add("max_tokens", a.MaxTokens, b.MaxTokens)
	s.add("stream", a.Stream, b.Stream)
	s.add("concurrency", a.Concurrency, b.Concurrency)
	s.add("rate", a.Rate, b.Rate)
	s.add("warmup", a.Warmup, b.Warmup)
	s.add("race", a.Race, b.Race)
	s.add("attempts", a.Attempts, b.Attempts)
	if a.Attempts > 1 && b.Attempts > 1 {
		s.add("retry_policy", a.Policy, b.Policy)
		s.add("retry_delay", a.RetryDelay, b.RetryDelay)
	}
	s.add("timeout", a.Timeout, b.Timeout)
	s.add("connect_timeout", a.ConnectTimeout, b.ConnectTimeout)
	s.add("idle_timeout", a.IdleTimeout, b.IdleTimeout)
	for _, n := range b.Nodes {
		if i := slices.IndexFunc(a.Nodes, func(m Node) bool { return m.Name == n.Name }); i >= 0 {
			for _, field := range a.Nodes[i].differences(n) {
				if !slices.Contains(s, field) { // a node over both kinds of connection is listed twice
					s = append(s, field)
				}
			}
		}
	}
	return s
}

// differences returns the settings in which two nodes of the same name differ. The label is only a name, and a
// different connection is a different series.
func (n Node) differences(m Node) Settings {
	s, of := Settings{}, " of "+n.Name
	s.add("url_host"+of, n.Host, m.Host)
	s.add("api"+of, n.API, m.API)
	s.add("model"+of, n.Model, m.Model)
	s.add("http3"+of, n.HTTP3, m.HTTP3)
	s.add("proxy"+of, n.Proxy, m.Proxy)
	s.add("limit"+of, n.Limit, m.Limit)
	s.add("request_sha256"+of, abbreviated(n.RequestSHA256), abbreviated(m.RequestSHA256))
	return s
}

// value returns a setting as text.
func value(v any) string {
	if text := fmt.Sprint(v); text != "" && text != "0s" {
		return text
	}
	return "none"
}

// abbreviated returns enough of a checksum to distinguish it from another.
func abbreviated(sum string) string { return sum[:min(len(sum), 12)] }

// checkOverlap returns an error if two files contain the same attempt. Only parts of one run can.
func checkOverlap(runs []*Run, names []string) error {
	for i, run := range runs {
		for j, other := range runs[:i] {
			if run.Header.ID == other.Header.ID && run.Header.Vantage != other.Header.Vantage {
				return text.Errorf("name each run once", "%s and %s cannot be merged: they are the same run with two vantages", names[j], names[i])
			}
		}
	}
	for _, c := range seriesOf(runs) {
		for _, run := range c.runs() {
			parts := c.inRun(run).parts
			if len(parts) < 2 {
				continue
			}
			var held []uint64 // round<<32 | index of the file: after sorting, equal rounds are neighbours
			for _, p := range parts {
				file := slices.Index(runs, p.run)
				for s := range p.series.samples.all() {
					held = append(held, uint64(s.Round)<<32|uint64(file))
				}
			}
			slices.Sort(held)
			for j, b := range held[min(1, len(held)):] {
				if a := held[j]; a>>32 == b>>32 && a != b {
					return text.Errorf("name each run once", "%s and %s cannot be merged: both contain round %d of %s (%s) of the same run",
						names[uint32(a)], names[uint32(b)], b>>32, c.node.Name, c.node.Connection)
				}
			}
		}
	}
	return nil
}
