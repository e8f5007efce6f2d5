package term

import "strings"

// FirstBlock returns the content of the first fenced code block of text (CommonMark section 4.5). It returns false if
// there is no complete block: a fence of at least three backticks or tildes, closed by a fence at least as long. The
// block may be in a list, also a nested one. The indentation of the fence is removed from each line, as far as the line
// has it.
func FirstBlock(text string) (string, bool) {
	var block strings.Builder
	lists := []int{0} // the columns where the content of the open list items begins, below the column of the text itself
	inside := func() int { return lists[len(lists)-1] }
	fence, indent := "", 0
	for line := range strings.Lines(text) {
		column, rest := widen(0, line)
		if fence != "" {
			mark := fenceOf(rest)
			if mark != "" && column < inside()+4 && mark[0] == fence[0] && len(mark) >= len(fence) && strings.Trim(rest, mark[:1]+" \t\r\n") == "" {
				return block.String(), true
			}
			block.WriteString(dedent(line, indent))
			continue
		}
		if strings.TrimSpace(rest) == "" {
			continue
		}
		for column < inside() {
			lists = lists[:len(lists)-1]
		}
		for column < inside()+4 { // one line may begin several items
			content, behind := listItem(column, rest)
			if content == 0 {
				break
			}
			lists = append(lists, content)
			column, rest = content, behind
		}
		if column < inside()+4 {
			fence, indent = fenceOf(rest), column
		}
	}
	return "", false
}

// dedent removes up to columns columns of indentation from a line. The rest of a tab that is cut becomes spaces.
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

// widen returns the column after the leading spaces and tabs of text, and the rest. A tab moves to the next multiple of
// four.
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

// listItem reads the marker of a list item that begins at column. It returns the column of the content, 0 if there is
// no marker, and the content.
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
		return 0, "" // -5 is not a list item
	case strings.Trim(rest, "\r\n") == "", content > behind+4: // empty, or indented code
		return behind + 1, strings.Repeat(" ", max(0, content-behind-1)) + rest
	}
	return content, rest
}

// fenceOf returns the fence at the beginning of a line, "" if there is none.
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
