package report

import (
	"strings"
	"unicode"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// asBest is the best row's node alone, for `ferry ask -n "$(ferry bench -o best)"`. Of nodes that cannot be told apart it is
// the one that is typically the fastest. A name that a shell would split, or a flag parser take for a flag, is refused: a
// saved run from elsewhere could bring words of its own into the command.
func asBest(s *bench.Summary, _ Options) (string, error) {
	if len(s.Best) == 0 {
		return "", noBest(s)
	}
	name := leader(s, s.Best[0]).Node.Name
	for _, c := range s.Best[1:] {
		if other := leader(s, c).Node.Name; other != name {
			return "", text.Errorf("--vantage PLACE takes the runs from one", "the best node is not the same everywhere: %s at %s, %s at %s",
				visible(name), visible(s.Best[0].Vantage), visible(other), visible(c.Vantage))
		}
	}
	if name == "" || strings.HasPrefix(name, "-") || name != visible(name) || strings.ContainsFunc(name, unicode.IsSpace) {
		return "", text.Errorf("-o text shows it with its figures",
			"the best node's name is not one plain word: %s", visible(name))
	}
	return name + "\n", nil
}

func leader(s *bench.Summary, c bench.Choice) *bench.Row { return s.Rows[c.Leader] }

// bestLines say which node to take, one line for each vantage, and nothing where only one node was measured.
func (l language) bestLines(s *bench.Summary) []string {
	var lines []string
	for _, c := range s.Best {
		names := each(c.Rows, func(i int) string { return l.title(s, s.Rows[i]) })
		switch {
		case len(s.Rows) == 1:
		case len(names) == 1:
			lines = append(lines, l.say("best")+l.say(": ")+names[0])
		default:
			lines = append(lines, l.say("best")+l.say(": ")+l.say("%s (not told apart)", strings.Join(names, l.say(" or "))))
		}
	}
	return lines
}

func noBest(s *bench.Summary) error {
	switch {
	case !anyRow(s, func(r *bench.Row) bool { return r.OK > 0 }):
		return text.Errorf("-o text shows what went wrong; ferry config check looks at a node", "there is no best node: none had a success")
	case modelsDiffer(s):
		return text.Errorf("give all of them one model with -m", "there is no best node: they were asked for different models")
	}
	return text.Errorf("-o text shows what was measured",
		"there is no best node: each refused the rest of its requests, or was asked only once")
}
