package report

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// asBest returns only the name of the best row's node, for `ferry ask -n "$(ferry bench -o best)"`. If several nodes
// are not told apart, it is the node that is typically the fastest. A name that a shell would split, or that a flag
// parser would take for a flag, is refused: a saved run from elsewhere could insert its own words into the command.
func asBest(s *bench.Summary, _ Options) (string, error) {
	if len(s.Best) == 0 {
		return "", noBest(s)
	}
	name := leader(s, s.Best[0]).Node.Name
	for _, c := range s.Best[1:] {
		if other := leader(s, c).Node.Name; other != name {
			hint := "--vantage PLACE selects the runs from one place"
			if slices.Contains(s.Vantages, "") {
				hint += "; for runs without a vantage, name only their files"
			}
			place := func(vantage string) string { return visible(cmp.Or(vantage, "an unnamed place")) }
			return "", text.Errorf(hint, "the best node differs between places: %s at %s, %s at %s",
				visible(name), place(s.Best[0].Vantage), visible(other), place(c.Vantage))
		}
	}
	if name == "" || strings.HasPrefix(name, "-") || name != visible(name) || strings.ContainsFunc(name, unicode.IsSpace) {
		return "", text.Errorf("-o text shows the node and its results",
			"the name of the best node is not a plain word: %s", visible(name))
	}
	return name + "\n", nil
}

func leader(s *bench.Summary, c bench.Choice) *bench.Row { return s.Rows[c.Leader] }

// recommended reports whether a row is the best of its vantage, or not told apart from the best.
func recommended(s *bench.Summary, r *bench.Row) bool {
	return slices.ContainsFunc(s.Best, func(c bench.Choice) bool { return slices.Contains(c.Rows, slices.Index(s.Rows, r)) })
}

func noBest(s *bench.Summary) error {
	switch {
	case !anyRow(s, func(r *bench.Row) bool { return r.OK > 0 }):
		return text.Errorf("-o text shows the failures; ferry config check tests a node", "no best node: no request succeeded")
	case modelsDiffer(s):
		return text.Errorf("use one model for all nodes with -m", "no best node: the nodes use different models")
	}
	return text.Errorf("-o text shows the results",
		"no best node: each node rejected its requests or got only one")
}
