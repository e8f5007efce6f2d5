package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"ferry/pkg/bench"
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

// visible makes words from a file or a node fit for one line of a terminal: whatever a terminal would obey instead of
// showing it, line ends among it, becomes an escape (\x1b, \u202e), and so does a byte that is not UTF-8.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case obeyed(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// obeyed reports whether a rune beyond ASCII moves or turns other runes: C1 controls, the bidi controls of UAX #9, line
// and paragraph separators, and the two noncharacters that XML forbids too.
func obeyed(r rune) bool {
	switch {
	case r >= 0x80 && r <= 0x9f, r == 0x061c, r == 0x200e, r == 0x200f, r == 0xfeff:
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return r == 0xfffe || r == 0xffff
}
