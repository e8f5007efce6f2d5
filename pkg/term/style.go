package term

import (
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"ferry/pkg/text"
)

// Style styles a line; the zero Style changes nothing.
type Style = lipgloss.Style

// Styles are the styles that ferry uses. On a plain stream they change nothing.
type Styles struct {
	Good, Bad, Dim, Strong Style
}

// NewStyles returns the styles for a stream. It uses the 16 colours of the terminal, which match its background.
func NewStyles(f Facts) Styles {
	if f.Plain {
		return Styles{}
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.ANSI) // set explicitly, so that lipgloss does not read the environment
	return Styles{
		Good:   r.NewStyle().Foreground(lipgloss.Color("2")),
		Bad:    r.NewStyle().Foreground(lipgloss.Color("1")),
		Dim:    r.NewStyle().Faint(true),
		Strong: r.NewStyle().Bold(true),
	}
}

// gap separates two columns.
const gap = "  "

// Table lays out cells in columns of display width. The first row is the heading. Lines have no trailing spaces.
// Columns with only a heading are left out. If the table is wider than width, the cells of its widest column are cut
// with an ellipsis, down to narrowest columns. The first keep columns are never cut; if they do not fit, the terminal
// wraps the lines.
func Table(rows [][]string, width, keep int, heading Style) string {
	rows, keep = dropEmpty(rows, keep)
	widths := columnWidths(rows)
	shrink(widths, width, keep)
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			cell = text.Cut(cell, widths[c])
			line.WriteString(cell + strings.Repeat(" ", widths[c]-text.Width(cell)) + gap)
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 {
			text = heading.Render(text)
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// TableOrCards returns the table if it fits into the width uncut, else a card for each row: the first keep cells on one
// line, and below it one line for each other cell, with its heading.
func TableOrCards(rows [][]string, width, keep int, heading Style) string {
	rows, keep = dropEmpty(rows, keep)
	if tableWidth(columnWidths(rows)) <= width {
		return Table(rows, width, keep, heading)
	}
	titles := rows[0][keep:]
	label := slices.Max(append(columnWidths([][]string{titles}), 0))
	var b strings.Builder
	for _, row := range rows[1:] {
		b.WriteString(heading.Render(strings.TrimSpace(strings.Join(row[:keep], " "))) + "\n")
		for c, cell := range row[keep:] {
			if title := titles[c]; cell != "" {
				b.WriteString(gap + title + strings.Repeat(" ", label-text.Width(title)) + gap + cell + "\n")
			}
		}
	}
	return b.String()
}

// dropEmpty removes the columns that have at most a heading. It returns keep without the removed columns.
func dropEmpty(rows [][]string, keep int) ([][]string, int) {
	if len(rows) == 0 {
		return rows, keep
	}
	out := make([][]string, len(rows))
	kept := keep
	for c := range rows[0] {
		if !slices.ContainsFunc(rows[1:], func(row []string) bool { return row[c] != "" }) {
			if c < keep {
				kept--
			}
			continue
		}
		for i, row := range rows {
			out[i] = append(out[i], row[c])
		}
	}
	return out, kept
}

func columnWidths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for c, cell := range row {
			if c == len(widths) {
				widths = append(widths, 0)
			}
			widths[c] = max(widths[c], text.Width(cell))
		}
	}
	return widths
}

func tableWidth(columns []int) int {
	total := len(gap) * (len(columns) - 1)
	for _, w := range columns {
		total += w
	}
	return total
}

// narrowest is the width below which a column is not cut.
const narrowest = 8

// shrink cuts the widest column by one until the table fits, so that two long columns are cut equally.
func shrink(widths []int, width, keep int) {
	for over := tableWidth(widths) - width; over > 0 && keep < len(widths); over-- {
		widest := keep + slices.Index(widths[keep:], slices.Max(widths[keep:]))
		if widths[widest] <= narrowest {
			return
		}
		widths[widest]--
	}
}

// Wrap breaks text at spaces so that no line is wider than width. The lines after a break begin with indent spaces. A
// number stays with the next word, a name is not broken at a hyphen, and a word is broken only if it is longer than a
// line. A tab, whose width depends on its position, becomes spaces.
func Wrap(text string, width, indent int) string {
	if width-indent < narrowest {
		return text // too narrow: let the terminal break the lines
	}
	lines := strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n")
	for i, line := range lines {
		lines[i] = wrapLine(line, width, indent)
	}
	return strings.Join(lines, "\n")
}

func wrapLine(line string, width, indent int) string {
	margin := "\n" + strings.Repeat(" ", indent)
	var b strings.Builder
	room := width // columns left in this line
	for i, word := range phrases(line) {
		wide := text.Width(word)
		if i > 0 && 1+wide <= room {
			b.WriteString(" " + word)
			room -= 1 + wide
			continue
		}
		if i > 0 {
			b.WriteString(margin)
			room = width - indent
		}
		if wide > room {
			word = strings.ReplaceAll(ansi.Hardwrap(word, width-indent, true), "\n", margin)
			wide = text.Width(word[strings.LastIndexByte(word, '\n')+1:])
			room = width
		}
		b.WriteString(word)
		room -= wide
	}
	return b.String()
}

// phrases returns the parts of a line that are not broken: words, and numbers together with the next word.
func phrases(line string) []string {
	var all []string
	for word := range strings.SplitSeq(line, " ") {
		if last := len(all) - 1; last >= 0 && numeric(all[last]) {
			all[last] += " " + word
			continue
		}
		all = append(all, word)
	}
	return all
}

// numeric reports whether a word is a number or an interval of two numbers.
func numeric(word string) bool {
	return strings.Trim(word, "(0123456789.–") == "" && strings.ContainsAny(word, "0123456789")
}
