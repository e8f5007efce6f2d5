package main

import (
	"fmt"
	"regexp"
	"strings"

	"ferry/pkg/term"
)

// roff is a page as it grows, in the macros that both groff and mandoc know.
type roff struct{ strings.Builder }

func (b *roff) line(text string) { b.WriteString(text + "\n") }

// special are the characters that roff reads or replaces: a hyphen, quotes and accents have to arrive as typed, since
// people copy commands from here.
var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

// escape makes a text mean itself, in ASCII: man asks the locale what other bytes are.
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

// entry is a tag with what is said of it beside or below; the tag is escaped already.
func (b *roff) entry(tag, text string) {
	b.line(".TP")
	b.line(tag)
	b.prose(escape(text))
}

// prose writes escaped text in source lines of moderate length, none of which begins like a request.
func (b *roff) prose(escaped string) {
	const most = 76
	line := ""
	for _, word := range strings.Fields(escaped) {
		if line != "" && len(line)+1+len(word) > most {
			b.line(line)
			line = ""
		}
		switch {
		case line != "":
			line += " " + word
		case strings.HasPrefix(word, "."):
			line = `\&` + word
		default:
			line = word
		}
	}
	if line != "" {
		b.line(line)
	}
}

// row is a line of two columns. What has more gaps is a table, whose lines stay as they are.
var row = regexp.MustCompile(`^ *(\S+(?: \S+)*) {2,}(\S+(?: \S+)*)$`)

// text writes a help text, paragraph by paragraph: two columns become a list that fills the screen, what is set out with
// spaces stays as it is, and the rest is filled.
func (b *roff) text(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\n\n", "\x00")), "\x00") {
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
			for k, line := range lines { // prose is one line; commands and rows stay as they are
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

// columns is the rows of a paragraph of two columns, or nil; setOut says that spaces carry its form.
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

// verbatim keeps lines as they are. What begins each one makes it neither empty nor a request.
func (b *roff) verbatim(text string) {
	b.line(".nf")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		b.line(`\&` + escape(strings.TrimRight(line, " ")))
	}
	b.line(".fi")
}
