package report

import (
	"slices"
	"strings"
	"unicode"

	"ferry/pkg/bench"
)

// best is the best row's node alone, for `ferry ask -n "$(ferry bench -o best)"`. A name that a shell would split, or a
// flag parser take for a flag, is refused: a saved run from elsewhere could bring words of its own into the command.
func best(s *bench.Summary) (string, error) {
	row := s.BestRow()
	if row == nil {
		return "", noBest(s)
	}
	name := row.Node.Name
	if name == "" || strings.HasPrefix(name, "-") || name != visible(name) || strings.ContainsFunc(name, unicode.IsSpace) {
		return "", &Error{"the best node's name is not one plain word: " + visible(name),
			"-o text shows it with its figures"}
	}
	return name + "\n", nil
}

func noBest(s *bench.Summary) error {
	switch {
	case !slices.ContainsFunc(s.Rows, func(r *bench.Row) bool { return r.OK > 0 }):
		return &Error{"there is no best node: none had a success",
			"-o text shows what went wrong; ferry config check looks at a node"}
	case modelsDiffer(s):
		return &Error{"there is no best node: they were asked for different models", "give all of them one model with -m"}
	}
	return &Error{"there is no best node", "-o text shows what was measured"}
}
