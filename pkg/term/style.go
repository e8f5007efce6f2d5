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

// Style paints a line; the zero Style changes nothing.
type Style = lipgloss.Style

// Styles paint the few things that ferry paints. On a plain stream they change nothing.
type Styles struct {
	Good, Bad, Dim, Strong Style
}

// NewStyles gives the styles of a stream. The colours are the terminal's own sixteen, so that they suit its background
// without ferry asking for it.
func NewStyles(f Facts) Styles {
	if f.Plain {
		return Styles{}
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.ANSI) // set, so that lipgloss does not look at the environment
	return Styles{
		Good:   r.NewStyle().Foreground(lipgloss.Color("2")),
		Bad:    r.NewStyle().Foreground(lipgloss.Color("1")),
		Dim:    r.NewStyle().Faint(true),
		Strong: r.NewStyle().Bold(true),
	}
}

// gap stands between two columns.
const gap = "  "

// Table lays cells out in columns of display width, the first row being the heading, and ends each line without
// trailing spaces. Columns in which nothing stands are left out. Where the table would pass the width, the cells of its
// widest column are cut with an ellipsis, down to a few columns, but for the first keep columns, which stay whole; a
// terminal narrower than that wraps.
func Table(rows [][]string, width, keep int, heading Style) string {
	rows, keep = dropEmpty(rows, keep)
	widths := columnWidths(rows)
	shrink(widths, width, keep)
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			if c > 0 {
				line.WriteString(gap)
			}
			cell = text.Cut(cell, widths[c])
			line.WriteString(cell + strings.Repeat(" ", widths[c]-text.Width(cell)))
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 {
			text = heading.Render(text)
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// TableOrCards is Table where it fits into the width uncut, and else a card for each row: the first keep cells on a line of
// their own, the others below it, each behind its heading.
func TableOrCards(rows [][]string, width, keep int, heading Style) string {
	shown, kept := dropEmpty(rows, keep)
	if tableWidth(columnWidths(shown)) <= width {
		return Table(rows, width, keep, heading)
	}
	label := 0
	for _, title := range shown[0][kept:] {
		label = max(label, text.Width(title))
	}
	var b strings.Builder
	for _, row := range shown[1:] {
		b.WriteString(heading.Render(strings.TrimSpace(strings.Join(row[:kept], " "))) + "\n")
		for c, cell := range row[kept:] {
			if cell != "" {
				title := shown[0][kept+c]
				b.WriteString(gap + title + strings.Repeat(" ", label-text.Width(title)) + gap + cell + "\n")
			}
		}
	}
	return b.String()
}

// dropEmpty leaves out the columns that have a heading at the most; keep counts on.
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

// narrowest is the width under which a column is not cut further.
const narrowest = 8

// shrink cuts the widest column, again and again, so that two long ones share the loss.
func shrink(widths []int, width, keep int) {
	for over := tableWidth(widths) - width; over > 0 && keep < len(widths); over-- {
		widest := keep + slices.Index(widths[keep:], slices.Max(widths[keep:]))
		if widths[widest] <= narrowest {
			return
		}
		widths[widest]--
	}
}

// Wrap breaks a text at spaces so that no line passes the width; the lines that it makes begin with indent spaces. A
// number stays with the word behind it, a name is not broken at a hyphen, and only a word that is longer than a line is
// broken inside. A tab, whose width depends on where it stands, becomes spaces.
func Wrap(text string, width, indent int) string {
	if width-indent < narrowest {
		return text // the terminal breaks it as well as anything would
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
	room := width // what is left of this line
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

// phrases are the parts of a line that stay whole: its words, each number with the word that follows it.
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

// numeric reports whether a word is a number, or the two of an interval.
func numeric(word string) bool {
	return strings.Trim(word, "(0123456789.–") == "" && strings.ContainsAny(word, "0123456789")
}
