package main

import (
	"fmt"
	"regexp"
	"strings"

	"ferry/pkg/term"
)

// roff is a page that is being built, in the macros that both groff and mandoc support.
type roff struct{ strings.Builder }

func (b *roff) line(text string) { b.WriteString(text + "\n") }

// special escapes the characters that roff interprets or replaces. Hyphens, quotes and accents must arrive as typed,
// because people copy commands from the pages.
var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

// escape makes text literal, in ASCII: man interprets other bytes by the locale.
func escape(text string) string {
	var b strings.Builder
	for _, r := range special.Replace(text) {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

func bold(text string) string   { return `\fB` + escape(text) + `\fR` }
func italic(text string) string { return `\fI` + escape(text) + `\fR` }

// entry adds a tag with its text beside or below it. The tag is already escaped.
func (b *roff) entry(tag, text string) {
	b.line(".TP")
	b.line(tag)
	b.prose(escape(text))
}

// prose writes escaped text in source lines of moderate length. No line begins like a roff request.
func (b *roff) prose(escaped string) {
	const most = 76
	line := ""
	for _, word := range strings.Fields(escaped) {
		if line != "" && len(line)+1+len(word) > most {
			b.line(line)
			line = ""
		}
		if line == "" && strings.HasPrefix(word, ".") {
			word = `\&` + word
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		b.line(line)
	}
}

// row matches a line of two columns. A line with more gaps belongs to a table, whose lines are not changed.
var row = regexp.MustCompile(`^ *(\S+(?: \S+)*) {2,}(\S+(?: \S+)*)$`)

// text writes a help text, paragraph by paragraph: two columns become a list, text laid out with spaces is not changed,
// and other text is filled.
func (b *roff) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(strings.TrimRight(paragraph, "\n "), "\n")
		rows, setOut := columns(lines)
		if i > 0 && rows == nil {
			b.line(".PP")
		}
		switch {
		case rows != nil:
			for _, r := range rows {
				b.entry(bold(r[0]), r[1])
			}
		case setOut:
			for k, line := range lines { // a sentence is wrapped; commands and rows are not changed
				words := strings.TrimLeft(line, " ")
				if strings.HasSuffix(line, ".") && !strings.Contains(words, "  ") {
					lines[k] = term.Wrap(line, 71, len(line)-len(words))
				}
			}
			b.verbatim(strings.Join(lines, "\n"))
		default:
			b.prose(escape(paragraph))
		}
	}
}

// columns returns the rows of a two-column paragraph, or nil. setOut reports whether spaces carry its layout.
func columns(lines []string) (rows [][2]string, setOut bool) {
	for _, line := range lines {
		if match := row.FindStringSubmatch(line); match != nil {
			rows = append(rows, [2]string{match[1], match[2]})
		}
		setOut = setOut || strings.HasPrefix(line, " ") || strings.Contains(line, "  ")
	}
	if len(rows) != len(lines) {
		rows = nil
	}
	return rows, setOut
}

// verbatim keeps lines as they are. It begins each with \&, so that no line is empty or a request.
func (b *roff) verbatim(text string) {
	b.line(".nf")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		b.line(`\&` + escape(strings.TrimRight(line, " ")))
	}
	b.line(".fi")
}
