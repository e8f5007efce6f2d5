package term

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// Styles paint the few things that ferry paints. On a plain stream they change nothing.
type Styles struct {
	Good, Bad, Dim, Strong lipgloss.Style
}

// NewStyles gives the styles of a stream. The colours are the terminal's own sixteen, so that they suit its background
// without ferry asking for it.
func NewStyles(f Facts) Styles {
	profile := termenv.ANSI
	if f.Plain {
		profile = termenv.Ascii
	}
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(profile) // said, so that lipgloss does not go and find out
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
// trailing spaces. Where the widest column would pass the width, its cells are cut with an ellipsis, down to a few
// columns; a terminal narrower than that wraps.
func Table(rows [][]string, width int, heading lipgloss.Style) string {
	widths := columnWidths(rows)
	shrink(widths, width)
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			if c > 0 {
				line.WriteString(gap)
			}
			cell = Cut(cell, widths[c])
			line.WriteString(cell + strings.Repeat(" ", widths[c]-lipgloss.Width(cell)))
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 {
			text = heading.Render(text)
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

func columnWidths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for c, cell := range row {
			if c == len(widths) {
				widths = append(widths, 0)
			}
			widths[c] = max(widths[c], lipgloss.Width(cell))
		}
	}
	return widths
}

// narrowest is the width under which a column is not cut further.
const narrowest = 8

func shrink(widths []int, width int) {
	for {
		total, widest := len(gap)*(len(widths)-1), 0
		for c, w := range widths {
			total += w
			if w > widths[widest] {
				widest = c
			}
		}
		if total <= width || len(widths) == 0 || widths[widest] <= narrowest {
			return
		}
		widths[widest] = max(narrowest, widths[widest]-(total-width))
	}
}

// Cut shortens a text to so many columns, with an ellipsis where something is missing.
func Cut(text string, columns int) string {
	if lipgloss.Width(text) <= columns {
		return text
	}
	var b strings.Builder
	used := 0
	for _, r := range text {
		w := lipgloss.Width(string(r))
		if used+w > columns-1 {
			break
		}
		b.WriteRune(r)
		used += w
	}
	return b.String() + "…"
}
