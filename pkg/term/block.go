package term

import "strings"

// FirstBlock is the content of the first fenced code block of a text (CommonMark section 4.5), false without a whole
// one: a fence of at least three backticks or tildes, closed by one at least as long. It may stand in a list, nested or
// not. The fence's own indentation is taken off each line, as far as the line has it.
func FirstBlock(text string) (string, bool) {
	var block strings.Builder
	var lists []int // the columns at which the content of the open list items begins
	fence, indent := "", 0
	for line := range strings.Lines(text) {
		column, rest := widen(0, line)
		if fence != "" {
			mark := fenceOf(rest)
			if mark != "" && column < inside(lists)+4 && mark[0] == fence[0] && len(mark) >= len(fence) && strings.Trim(rest, mark[:1]+" \t\r\n") == "" {
				return block.String(), true
			}
			block.WriteString(dedent(line, indent))
			continue
		}
		if strings.TrimSpace(rest) == "" {
			continue
		}
		for len(lists) > 0 && column < inside(lists) {
			lists = lists[:len(lists)-1]
		}
		for column < inside(lists)+4 { // one line may begin several items
			content, behind := listItem(column, rest)
			if content == 0 {
				break
			}
			lists = append(lists, content)
			column, rest = content, behind
		}
		if column < inside(lists)+4 {
			fence, indent = fenceOf(rest), column
		}
	}
	return "", false
}

// inside is the column at which the content of the innermost list item begins.
func inside(lists []int) int {
	if len(lists) == 0 {
		return 0
	}
	return lists[len(lists)-1]
}

// dedent takes so many columns of indentation off a line, or all that it has. Of a tab that is cut spaces are left.
func dedent(line string, columns int) string {
	column := 0
	for i := range len(line) {
		switch {
		case column >= columns || line[i] != ' ' && line[i] != '\t':
			return strings.Repeat(" ", max(0, column-columns)) + line[i:]
		case line[i] == ' ':
			column++
		default:
			column += 4 - column%4
		}
	}
	return ""
}

// widen counts on over the spaces and tabs that a text begins with: a tab goes to the next column that four divides.
func widen(column int, text string) (int, string) {
	for i := range len(text) {
		switch text[i] {
		case ' ':
			column++
		case '\t':
			column += 4 - column%4
		default:
			return column, text[i:]
		}
	}
	return column, ""
}

// listItem reads the marker of a list item that begins at a column: where its content begins, 0 for none, and the content.
func listItem(column int, text string) (content int, rest string) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	switch {
	case len(text) <= digits || digits > 9, digits == 0 && !strings.ContainsAny(text[:1], "-+*"), digits > 0 && !strings.ContainsAny(text[digits:digits+1], ".)"):
		return 0, ""
	}
	behind := column + digits + 1
	content, rest = widen(behind, text[digits+1:])
	switch {
	case content == behind && rest != "" && rest[0] != '\n' && rest[0] != '\r':
		return 0, "" // -5 is no item
	case strings.Trim(rest, "\r\n") == "", content > behind+4: // nothing, or code that is indented
		return behind + 1, strings.Repeat(" ", max(0, content-behind-1)) + rest
	}
	return content, rest
}

// fenceOf is the fence that a line begins with, "" without one.
func fenceOf(line string) string {
	line = strings.TrimRight(line, "\r\n")
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(line, mark)
		if n := len(line) - len(rest); n >= 3 && (mark == "~" || !strings.Contains(rest, "`")) {
			return line[:n]
		}
	}
	return ""
}
