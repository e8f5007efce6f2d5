//go:build !windows

package cmd_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"ferry/pkg/text"
)

// recorded are the commands of the README's picture. cut removes lines from the output: from one that begins with the
// first word up to one that begins with the second, or all lines after it if there is none.
var recorded = []struct {
	line string
	cut  [][2]string
}{
	{line: `ferry ask -n 'demo:?status=429,503,200' "Is the ferry running today?"`},
	{line: `ferry ask -q -n demo "渡轮今天开吗？"`},
	{
		`ferry bench -q -r 100 -c 100 demo/direct demo/hongkong demo/singapore`,
		[][2]string{{"model", "node "}, {"latency", "demo/direct: reference"}, {"warning:", "best:"}},
	},
}

const recordedColumns = 103

// TestRecording runs the commands of the README's picture in a real terminal. With -update it draws the picture.
func TestRecording(t *testing.T) {
	skipIfShort(t, "types the whole recording")
	t.Parallel()
	path := filepath.Join(checkout, "testdata", "recording", "ferry.svg")
	rows := record(t)
	if *update {
		check(t, os.WriteFile(path, []byte(picture(rows)), 0o644))
	}
	want, err := textOf(read(t, path))
	check(t, err)
	got, err := textOf(picture(rows))
	check(t, err)
	fatalIf(t, len(want) < 20, "the picture has %d rows of text, want 20 at least: it was misread", len(want))
	// Line breaks depend on the figures in the lines.
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the picture is not current (make recording); ferry prints:\n%s\nthe picture shows:\n%s",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// record returns the rows of the terminal after all commands.
func record(t *testing.T) [][]glyph {
	here := newPlace(t)
	var rows [][]glyph
	for i, command := range recorded {
		if i > 0 {
			rows = append(rows, nil)
		}
		typed, err := rowsOf("\x1b[2m$\x1b[0m \x1b[1m" + command.line + "\x1b[0m")
		check(t, err)
		c := exec.CommandContext(t.Context(), "sh", "-c", command.line)
		c.Dir, c.Env = here.dir, append(slices.Clone(here.env), "TERM=xterm")
		sent, err := onTerminal(t, recordedColumns, c)
		fatalIf(t, err != nil, "%s: %v\n%s", command.line, err, sent)
		shown, err := rowsOf(sent)
		fatalIf(t, err != nil, "%s: %v", command.line, err)
		rows = slices.Concat(rows, typed, shortened(shown, command.cut))
	}
	return rows
}

// shortened replaces the removed lines with a mark.
func shortened(rows [][]glyph, cuts [][2]string) [][]glyph {
	var kept [][]glyph
	until, cutting := "", false
	for _, row := range rows {
		var text strings.Builder
		for _, c := range row {
			text.WriteString(c.text)
		}
		if cutting && until != "" && strings.HasPrefix(text.String(), until) {
			cutting = false
		}
		for _, cut := range cuts {
			if !cutting && strings.HasPrefix(text.String(), cut[0]) {
				kept = append(kept, []glyph{{"⋮", "dim"}})
				cutting, until = true, cut[1]
			}
		}
		if !cutting {
			kept = append(kept, row)
		}
	}
	return kept
}

// Sizes of the picture, in pixels.
const (
	cellWidth, rowHeight = 8.4, 20
	margin, titleHeight  = 20, 38
)

// The picture has its own background, so that it can be read on a light or dark page.
const pictureStyle = `
  .ground { fill: #fdfdfc; stroke: #d4d4d0 } .bar { fill: #f0f0ee }
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace; fill: #24292f }
  .bold { font-weight: 600 } .dim { fill: #6a737d } .red { fill: #c62828 } .green { fill: #1a7f37 } .yellow { fill: #8a6100 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #15191f; stroke: #343b44 } .bar { fill: #1f252d } text { fill: #e2e6ea }
    .dim { fill: #8b949e } .red { fill: #ff8178 } .green { fill: #56d364 } .yellow { fill: #e3b341 }
  }
`

// picture draws rows as an SVG. Text stays text, and each piece has fixed columns, whatever the font.
func picture(rows [][]glyph) string {
	columns := float64(recordedColumns)
	width, height := columns*cellWidth+2*margin, titleHeight+len(rows)*rowHeight+2*margin-8
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %d" width="%g" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>ferry in a terminal</title>\n<style>%s</style>\n", pictureStyle)
	fmt.Fprintf(&b, `<rect class="ground" x=".5" y=".5" width="%g" height="%d" rx="9"/>`+"\n", width-1, height-1)
	fmt.Fprintf(&b, `<path class="bar" d="M1 %d V10 a9 9 0 0 1 9 -9 H%g a9 9 0 0 1 9 9 V%d z"/>`+"\n", titleHeight-6, width-10, titleHeight-6)
	for i, colour := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="16.5" r="5.5" fill="%s"/>`+"\n", 20+18*i, colour)
	}
	for i, row := range rows {
		parts := pieces(row)
		if len(parts) == 0 {
			continue
		}
		fmt.Fprintf(&b, `<text y="%d">`, titleHeight+margin+i*rowHeight+4)
		for _, p := range parts {
			class := ""
			if p.style != "" {
				class = ` class="` + p.style + `"`
			}
			var text strings.Builder
			_ = xml.EscapeText(&text, []byte(p.text)) // a Builder never fails
			adjust := "spacingAndGlyphs"
			if p.wide { // they are slightly narrower than two columns, and would be stretched
				adjust = "spacing"
			}
			fmt.Fprintf(&b, `<tspan%s x="%.1f" textLength="%.1f" lengthAdjust="%s">%s</tspan>`,
				class, margin+float64(p.column)*cellWidth, float64(p.width)*cellWidth, adjust, text.String())
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

var (
	measuredTime = regexp.MustCompile(`\d+(\.\d+)?(–\d+(\.\d+)?)? (ms|s)\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|\d\.\d\d( ×|–\d\.\d\d\))`)
	drawnChart   = regexp.MustCompile(`[.▁▂▃▄▅▆▇█]{20,}`)
)

// textOf returns the rows of a picture with their styles, without what differs between runs.
func textOf(svg string) ([]string, error) {
	type drawing struct {
		Rows []struct {
			Parts []struct {
				Style string `xml:"class,attr"`
				Text  string `xml:",chardata"`
			} `xml:"tspan"`
		} `xml:"text"`
	}
	var d drawing
	if err := xml.Unmarshal([]byte(svg), &d); err != nil {
		return nil, err
	}
	var rows []string
	style := ""
	for _, row := range d.Rows {
		line := ""
		for _, part := range row.Parts {
			if part.Style != style {
				line, style = line+"<"+part.Style+">", part.Style
			}
			line += part.Text + " "
		}
		line = drawnChart.ReplaceAllString(measuredTime.ReplaceAllString(line, "TIME"), "CHART")
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	return rows, nil
}

// glyph is one column of a screen. The second column of a wide character has no text.
type glyph struct{ text, style string }

// pictureStyles are the styles that the picture has, by their number in an escape sequence.
var pictureStyles = map[string]string{"": "", "0": "", "1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow"}

var styleSequence = regexp.MustCompile("^\x1b\\[([0-9;]*)m")

// rowsOf returns the rows that the output of a program leaves on the screen.
func rowsOf(sent string) (rows [][]glyph, err error) {
	_, left := drawnInPlace(sent)
	style := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(left, "\n"), "\n") {
		var row []glyph
		for line != "" {
			if found := styleSequence.FindStringSubmatch(line); found != nil {
				var known bool
				if style, known = pictureStyles[found[1]]; !known {
					return nil, fmt.Errorf("a style that the picture does not have: %q", found[0])
				}
				line = line[len(found[0]):]
				continue
			}
			r, size := utf8.DecodeRuneInString(line)
			if r < ' ' {
				return nil, fmt.Errorf("a control character: %q", line)
			}
			line = line[size:]
			width := text.Width(string(r))
			if len(row)+width > recordedColumns {
				rows, row = append(rows, row), nil
			}
			row = append(row, glyph{string(r), style})
			for range width - 1 {
				row = append(row, glyph{"", style})
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// piece is a part of a row in one style, at a column.
type piece struct {
	text, style   string
	column, width int
	wide          bool
}

// pieces returns the parts of a row. A part ends at two spaces, at a change of style and between narrow and wide
// characters, so that no font can shift the next part.
func pieces(row []glyph) []piece {
	var all []piece
	for column := 0; column < len(row); {
		if row[column].text == " " {
			column++
			continue
		}
		start, text := column, ""
		wide := isWide(row, column)
		for column < len(row) && row[column].style == row[start].style && (row[column].text == " " || isWide(row, column) == wide) {
			if row[column].text == " " && (column+1 == len(row) || row[column+1].text == " ") {
				break
			}
			text += row[column].text
			if isWide(row, column) { // but not a space between wide characters
				column++
			}
			column++
		}
		trimmed := strings.TrimRight(text, " ")
		all = append(all, piece{trimmed, row[start].style, start, column - start - (len(text) - len(trimmed)), wide})
	}
	return all
}

func isWide(row []glyph, column int) bool { return column+1 < len(row) && row[column+1].text == "" }
