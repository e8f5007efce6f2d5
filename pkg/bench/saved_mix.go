package bench

import (
	"cmp"
	"fmt"
	"slices"

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
		differ := func(from int, why string) error {
			return mixError(names[from], names[i], why, "only runs of the same request, asked in the same way, can be merged")
		}
		if why := difference(&runs[0].Header, &run.Header); why != "" {
			return differ(0, why)
		}
		for _, n := range run.Header.Nodes {
			known, ok := first[n.Name]
			if !ok {
				first[n.Name] = firstSeen{i, n}
			} else if why := nodeDifference(known.node, n); why != "" {
				return differ(known.file, why)
			}
		}
	}
	return overlap(runs, names)
}

// difference says in what two runs are not the same measurement, "" for nothing.
func difference(a, b *Header) string {
	switch {
	case a.PromptSHA256 != b.PromptSHA256:
		return "their prompts differ"
	case a.MaxTokens != b.MaxTokens:
		return fmt.Sprintf("max_tokens is %d and %d", a.MaxTokens, b.MaxTokens)
	case a.Stream != b.Stream:
		return "only one of them streamed"
	case a.Attempts != b.Attempts:
		return fmt.Sprintf("a request had up to %d and up to %d attempts", a.Attempts, b.Attempts)
	case a.Race != b.Race:
		return "only one of them raced handshakes"
	case (a.Rate > 0) != (b.Rate > 0):
		return "only one of them sent at a fixed rate"
	case a.Rate != b.Rate:
		return fmt.Sprintf("they sent at %g and %g requests per second", a.Rate, b.Rate)
	}
	return ""
}

// nodeDifference says in what two nodes of one name are not the same, "" for nothing. The label is only what it is
// called, and the connection makes another series of it.
func nodeDifference(a, b Node) string {
	for _, f := range []struct{ what, a, b string }{
		{"host", a.Host, b.Host}, {"API", a.API, b.API}, {"model", a.Model, b.Model}, {"HTTP/3 setting", a.HTTP3, b.HTTP3},
	} {
		if f.a != f.b {
			return fmt.Sprintf("the %s of %s is %s and %s", f.what, a.Name, cmp.Or(f.a, "none"), cmp.Or(f.b, "none"))
		}
	}
	return ""
}

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
