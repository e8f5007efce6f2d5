package report

import (
	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// title names a row so that no other row of the summary has the same name.
func title(s *bench.Summary, r *bench.Row) string { return visible(s.Title(r)) }

// visible makes words from a file or a node fit for one line of a terminal.
func visible(s string) string { return text.Line(s) }
