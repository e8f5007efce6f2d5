package report

import (
	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// title names a row so that no other row of the summary has the same name: its node, the connection where both kinds
// were measured, the vantage where there are several.
func title(s *bench.Summary, r *bench.Row) string {
	name := visible(r.Node.Name)
	if bothConnections(s) {
		name += " (" + visible(string(r.Node.Connection)) + ")"
	}
	if len(s.Vantages) > 1 {
		name += " @" + visible(r.Vantage)
	}
	return name
}

func bothConnections(s *bench.Summary) bool {
	for _, r := range s.Rows[min(1, len(s.Rows)):] {
		if r.Node.Connection != s.Rows[0].Node.Connection {
			return true
		}
	}
	return false
}

// visible makes words from a file or a node fit for one line of a terminal.
func visible(s string) string { return text.Line(s) }
