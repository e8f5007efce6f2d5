package report

import (
	"strings"
	"unicode"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// asBest is the best row's node alone, for `ferry ask -n "$(ferry bench -o best)"`. A name that a shell would split, or a
// flag parser take for a flag, is refused: a saved run from elsewhere could bring words of its own into the command.
func asBest(s *bench.Summary, _ Options) (string, error) {
	row := s.BestRow()
	if row == nil {
		return "", noBest(s)
	}
	name := row.Node.Name
	if name == "" || strings.HasPrefix(name, "-") || name != visible(name) || strings.ContainsFunc(name, unicode.IsSpace) {
		return "", text.Errorf("-o text shows it with its figures",
			"the best node's name is not one plain word: %s", visible(name))
	}
	return name + "\n", nil
}

func noBest(s *bench.Summary) error {
	const none = "there is no best node"
	switch {
	case !anyRow(s, func(r *bench.Row) bool { return r.OK > 0 }):
		return text.Errorf("-o text shows what went wrong; ferry config check looks at a node", none+": none had a success")
	case modelsDiffer(s):
		return text.Errorf("give all of them one model with -m", none+": they were asked for different models")
	}
	return text.Errorf("-o text shows what was measured", none)
}
