package term

import "strings"

const (
	// deepest is how many block quotes and list items may stand in each other; more is nobody's text.
	deepest = 100
	// deepLines bounds depth times lines, on which the time to find the blocks depends. All else takes time linear in
	// the length of the text.
	deepLines = 1 << 20
)

// tooCostly reports whether a text nests so deep that it would not be laid out in reasonable time, nor be of use in
// the columns that are left. No answer to a question looks like that.
func tooCostly(s string) bool {
	depth, lines := 0, 0
	for line := range strings.Lines(s) {
		lines++
		depth = max(depth, lineDepth(line))
	}
	return depth > deepest || depth*lines > deepLines
}

// lineDepth estimates in how many containers the text of a line stands if it opens one.
func lineDepth(line string) int {
	indent, markers := 0, 0
scan:
	for i := 0; i < len(line); i++ {
		c := line[i]
		last := i+1 == len(line) || strings.IndexByte(" \t\n", line[i+1]) >= 0
		switch {
		case c == '>', last && strings.IndexByte("-+*.)", c) >= 0:
			markers++
		case c == '\t':
			indent += 4
		case c == ' ':
			indent++
		case c < '0' || c > '9':
			break scan
		}
	}
	if markers == 0 || strings.Trim(line, "-*_ \t\n") == "" { // the latter is a thematic break
		return 0
	}
	return markers + indent/4
}
