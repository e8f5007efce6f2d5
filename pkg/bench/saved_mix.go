package bench

import (
	"fmt"
	"slices"
	"strings"

	"ferry/pkg/text"
)

// mixError says why two files are not one measurement.
func mixError(first, second, why, hint string) error {
	return text.Errorf(hint, "%s and %s cannot be merged: %s", first, second, why)
}

// mixable refuses runs that a merge would make one thing of though they are not, and those that hold the same attempts,
// which would count twice. names are the files. Runs from different places mix, and so do parts of one run.
func mixable(runs []*Run, names []string) error {
	type firstSeen struct {
		file int
		node Node
	}
	first := map[string]firstSeen{}
	for i, run := range runs {
		differ := func(from int, fields []string) error {
			return mixError(names[from], names[i], "they differ in "+strings.Join(fields, ", "),
				"only runs of the same request, asked in the same way, can be merged")
		}
		if fields := Differences(&runs[0].Header, &run.Header); len(fields) > 0 {
			return differ(0, fields)
		}
		for _, n := range run.Header.Nodes {
			known, ok := first[n.Name]
			if !ok {
				first[n.Name] = firstSeen{i, n}
			} else if fields := known.node.differences(n); len(fields) > 0 {
				return differ(known.file, fields)
			}
		}
	}
	return overlap(runs, names)
}

// Differences names the settings in which two runs differ, each with its two values: all that changes a figure, of the
// runs and of the nodes that both have. Runs without a difference measured the same in the same way.
func Differences(a, b *Header) []string {
	f := fields{}
	f.add("prompt", abbreviated(a.PromptSHA256), abbreviated(b.PromptSHA256))
	f.add("max_tokens", a.MaxTokens, b.MaxTokens)
	f.add("stream", a.Stream, b.Stream)
	f.add("concurrency", a.Concurrency, b.Concurrency)
	f.add("rate", a.Rate, b.Rate)
	f.add("warmup", a.Warmup, b.Warmup)
	f.add("race", a.Race, b.Race)
	f.add("attempts", a.Attempts, b.Attempts)
	if a.Attempts > 1 && b.Attempts > 1 {
		f.add("retry_policy", a.Policy, b.Policy)
		f.add("retry_delay", a.RetryDelay, b.RetryDelay)
	}
	f.add("timeout", a.Timeout, b.Timeout)
	f.add("connect_timeout", a.ConnectTimeout, b.ConnectTimeout)
	f.add("idle_timeout", a.IdleTimeout, b.IdleTimeout)
	for _, n := range b.Nodes {
		if i := slices.IndexFunc(a.Nodes, func(m Node) bool { return m.Name == n.Name }); i >= 0 {
			for _, field := range a.Nodes[i].differences(n) {
				if !slices.Contains(f, field) { // a node over both kinds of connection stands twice
					f = append(f, field)
				}
			}
		}
	}
	return f
}

// differences names the settings in which two nodes of one name differ. The label is only what it is called, and the
// connection makes another series of it.
func (n Node) differences(m Node) []string {
	f, of := fields{}, " of "+n.Name
	f.add("url_host"+of, n.Host, m.Host)
	f.add("api"+of, n.API, m.API)
	f.add("model"+of, n.Model, m.Model)
	f.add("http3"+of, n.HTTP3, m.HTTP3)
	f.add("proxy"+of, n.Proxy, m.Proxy)
	f.add("limit"+of, n.Limit, m.Limit)
	f.add("request_sha256"+of, abbreviated(n.RequestSHA256), abbreviated(m.RequestSHA256))
	return f
}

// fields are settings that differ.
type fields []string

func (f *fields) add(name string, a, b any) {
	if a != b {
		*f = append(*f, fmt.Sprintf("%s (%s and %s)", name, value(a), value(b)))
	}
}

// value is a setting in words.
func value(v any) string {
	if text := fmt.Sprint(v); text != "" && text != "0s" {
		return text
	}
	return "none"
}

// abbreviated is enough of a sum to tell it from another.
func abbreviated(sum string) string { return sum[:min(len(sum), 12)] }

// overlap finds attempts that two files hold. Only parts of one run can have the same.
func overlap(runs []*Run, names []string) error {
	parts := map[string]int{}
	for _, run := range runs {
		parts[run.Header.ID]++
	}
	type seriesKey struct {
		run, node  string
		connection Connection
	}
	var order []seriesKey
	held := map[seriesKey][]uint64{} // the round above, the file's index below: sorted, equal rounds are neighbours
	for i, run := range runs {
		if parts[run.Header.ID] < 2 {
			continue
		}
		for _, s := range run.Series {
			key := seriesKey{run.Header.ID, s.Node.Name, s.Node.Connection}
			if held[key] == nil {
				order = append(order, key)
			}
			for sample := range s.All() {
				held[key] = append(held[key], uint64(sample.Round)<<32|uint64(i))
			}
		}
	}
	for _, key := range order {
		slices.Sort(held[key])
		for j, b := range held[key] {
			if j == 0 || held[key][j-1]>>32 != b>>32 || held[key][j-1] == b {
				continue
			}
			why := fmt.Sprintf("both hold round %d of %s (%s) of the same run", b>>32, key.node, key.connection)
			return mixError(names[uint32(held[key][j-1])], names[uint32(b)], why, "name each run once")
		}
	}
	return nil
}
