//go:build unix

package cmd_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// glyph is one column of a screen. The second column of a wide character has no text.
type glyph struct{ text, style string }

// screen is a terminal that grows downwards and obeys what ferry sends to one, and nothing else: what it does not know is
// an error, so that no picture is wrong unseen.
type screen struct {
	columns  int
	rows     [][]glyph
	row, col int
	style    string
}

// write shows what a program sent.
func (s *screen) write(sent string) error {
	for len(sent) > 0 {
		if rest, ok := strings.CutPrefix(sent, "\x1b["); ok {
			end := strings.IndexAny(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
			if end < 0 {
				return fmt.Errorf("an escape sequence without an end: %q", rest)
			}
			if err := s.obey(rest[end], rest[:end]); err != nil {
				return err
			}
			sent = rest[end+1:]
			continue
		}
		r := []rune(sent[:min(len(sent), 4)])[0]
		sent = sent[len(string(r)):]
		switch {
		case r == '\r':
			s.col = 0
		case r == '\n':
			s.row++
		case r < ' ':
			return fmt.Errorf("a control character: %q", r)
		default:
			s.put(r)
		}
	}
	return nil
}

func (s *screen) obey(command byte, argument string) error {
	switch {
	case command == 'm':
		name, known := map[string]string{"": "", "0": "", "1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow"}[argument]
		if !known {
			return fmt.Errorf("a style that the picture does not have: %q", argument)
		}
		s.style = name
	case command == 'K' && argument == "":
		s.line()
		s.rows[s.row] = s.rows[s.row][:min(s.col, len(s.rows[s.row]))]
	case command == 'J' && argument == "":
		s.line()
		s.rows = s.rows[:s.row+1]
		s.rows[s.row] = s.rows[s.row][:min(s.col, len(s.rows[s.row]))]
	case command == 'A':
		up, err := strconv.Atoi(argument)
		if err != nil || up > s.row {
			return fmt.Errorf("cursor up by %q from row %d", argument, s.row)
		}
		s.row -= up
	default:
		return fmt.Errorf("an escape sequence that is not known: %q", argument+string(command))
	}
	return nil
}

// line makes sure that the cursor's row is there.
func (s *screen) line() {
	for len(s.rows) <= s.row {
		s.rows = append(s.rows, nil)
	}
}

func (s *screen) put(r rune) {
	width := lipgloss.Width(string(r))
	if s.col+width > s.columns {
		s.row, s.col = s.row+1, 0
	}
	s.line()
	for len(s.rows[s.row]) < s.col+width {
		s.rows[s.row] = append(s.rows[s.row], glyph{" ", ""})
	}
	s.rows[s.row][s.col] = glyph{string(r), s.style}
	for k := 1; k < width; k++ {
		s.rows[s.row][s.col+k] = glyph{"", s.style}
	}
	s.col += width
}

// piece is a part of a row in one style, at a column.
type piece struct {
	text, style   string
	column, width int
}

// pieces are the parts of a row: two spaces, a change of style and one between narrow and wide characters end one, so that
// no font can move the next.
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
			column++
			if wide {
				column++
			}
		}
		trimmed := strings.TrimRight(text, " ")
		all = append(all, piece{trimmed, row[start].style, start, column - start - (len(text) - len(trimmed))})
	}
	return all
}

func isWide(row []glyph, column int) bool { return column+1 < len(row) && row[column+1].text == "" }
