package term

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// style is a set of the ways in which a piece of text differs.
type style uint8

const (
	bold style = 1 << iota
	italic
	struck
	code
	link
	dim
)

// bar stands left of a quotation.
const bar = "│"

// piece is text in one style.
type piece struct {
	text  string
	style style
}

// paint gives a piece its style, with the terminal's own colours. lipgloss, which the other styles use, would paint
// underlined text rune by rune and so take joined emoji apart.
func paint(text string, st style, plain bool) string {
	if plain || st == 0 || text == "" {
		return text
	}
	s := termenv.ANSI.String()
	if st&bold != 0 {
		s = s.Bold()
	}
	if st&italic != 0 {
		s = s.Italic()
	}
	if st&struck != 0 {
		s = s.CrossOut()
	}
	if st&link != 0 {
		s = s.Underline()
	}
	if st&dim != 0 {
		s = s.Faint()
	}
	if st&code != 0 {
		s = s.Foreground(termenv.ANSICyan)
	}
	return s.Styled(text)
}

func marginStyle(text string) style {
	switch {
	case strings.HasPrefix(text, bar):
		return dim
	case strings.HasPrefix(text, "#"):
		return bold
	}
	return 0
}

// prose writes the text under a node, wrapped.
func (r *renderer) prose(n *node, st style) {
	var p prose
	r.inline(&p, n, st)
	r.write(&p)
}

// text writes words that are no Markdown, wrapped.
func (r *renderer) text(s string, st style) {
	var p prose
	p.append(s, st)
	r.write(&p)
}

func (r *renderer) write(p *prose) {
	text := p.text.String()
	next := 0
	for _, s := range wrap(text, r.room()) {
		var pieces []piece
		pieces, next = p.pieces(text, s, next)
		r.line(pieces)
	}
}

// pieces gives the styled parts of a slice of the text. from is the run to begin at, as the last call returned it.
func (p *prose) pieces(text string, s slice, from int) ([]piece, int) {
	var pieces []piece
	for from+1 < len(p.runs) && p.runs[from+1].start <= s.start {
		from++
	}
	at := from
	for start := s.start; start < s.end; at++ {
		end := s.end
		if at+1 < len(p.runs) {
			end = min(end, p.runs[at+1].start)
		}
		if end > start {
			pieces = append(pieces, piece{text[start:end], p.runs[at].style})
		}
		start = end
	}
	return pieces, from
}

// slice is a part of a text.
type slice struct{ start, end int }

// wrap breaks a text into lines of at most room columns: at spaces, between Chinese or Japanese characters where their
// typography allows it, and anywhere in a word that is longer than a line.
func wrap(text string, room int) []slice {
	var (
		lines  []slice
		line   slice // being filled; end is where its words end
		column int
		resume int // where the next line would begin if this one were broken at its last chance; 0: none
		passed int // the columns up to there
		before rune
	)
	for i := 0; i < len(text); {
		size, w := cluster(text[i:])
		r, _ := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n':
			lines = append(lines, slice{line.start, max(line.start, wordsEnd(text[:i], line.start))})
			line.start, column, resume = i+1, 0, 0
		case r == ' ':
			if before != ' ' && i > line.start {
				line.end = i
			}
			column++
			if line.end > line.start {
				resume, passed = i+1, column
			}
		default:
			if i > line.start && w > 0 && before != ' ' && breakable(before, r) {
				resume, passed, line.end = i, column, i
			}
			for column+w > room && i > line.start {
				if resume > line.start {
					lines = append(lines, slice{line.start, wordsEnd(text[:resume], line.start)})
					line.start, column = resume, column-passed
				} else {
					lines = append(lines, slice{line.start, i})
					line.start, column = i, 0
				}
				resume = 0
			}
			column += w
		}
		i += size
		before, _ = utf8.DecodeLastRuneInString(text[:i])
	}
	if end := wordsEnd(text, line.start); end > line.start || len(lines) == 0 {
		lines = append(lines, slice{line.start, end})
	}
	return lines
}

// wordsEnd is where the text ends without its trailing spaces, but not before start.
func wordsEnd(text string, start int) int {
	return start + len(strings.TrimRight(text[start:], " "))
}

// cluster measures the character at the head of s, in bytes and columns.
func cluster(s string) (size, width int) {
	if s[0] < utf8.RuneSelf {
		return 1, 1
	}
	_, width, size, _ = ansi.DecodeSequence(s, 0, nil)
	return max(size, 1), width
}

const (
	// notFirst are the characters that begin no line, notLast those that end none.
	notFirst = "，。、！？；：）」』】》〉”’…—·～％,.!?;:)]}%`"
	notLast  = "（「『【《〈“‘([{$#"
)

// breakable reports whether a line may end between two characters that no space parts.
func breakable(before, after rune) bool {
	return (wide(before) || wide(after)) && !strings.ContainsRune(notLast, before) && !strings.ContainsRune(notFirst, after)
}
