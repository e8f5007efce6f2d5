package term

import "strings"

const (
	// longestLabel is how many bytes a link label may have (6.3: 999 characters).
	longestLabel = 999
	// deepestParens is how far parentheses may nest in an address (6.3 asks for three at least). The bound keeps
	// "[](" repeated from being looked through again from each of them.
	deepestParens = 32
)

// finishParagraph takes the definitions off the head of a paragraph that has ended, and makes a table of it if it is
// one.
func (p *blockParser) finishParagraph(n *node) {
	b := n.block
	b.lines[len(b.lines)-1] = strings.TrimRight(b.lines[len(b.lines)-1], " \t")
	if b.lines[0] != "" && b.lines[0][0] == '[' {
		text := strings.Join(b.lines, "\n")
		rest := text
		for {
			size := p.definition(rest)
			if size == 0 {
				break
			}
			rest = rest[size:]
		}
		if b.lines = b.lines[strings.Count(text[:len(text)-len(rest)], "\n"):]; rest == "" {
			n.kind, b.lines = kindDefinition, nil
			return
		}
	}
	makeTable(n)
}

// definition reads the link reference definition (4.7) at the head of s. It returns its size with the line end, or 0.
func (p *blockParser) definition(s string) int {
	end := labelEnd(s, 0)
	if end < 0 || end+1 >= len(s) || s[end+1] != ':' {
		return 0
	}
	label := normalLabel(s[1:end])
	destination, i, ok := readDestination(s, skipBlank(s, end+2))
	if !ok || label == "" {
		return 0
	}
	size := lineRest(s, i)
	if title := skipBlank(s, i); title > i && title < len(s) {
		if titleEnd := readTitle(s, title); titleEnd > 0 {
			size = max(size, lineRest(s, titleEnd))
		}
	}
	if size > 0 {
		if _, ok := p.references[label]; !ok {
			p.references[label] = destination
		}
	}
	return size
}

// lineRest is where the next line begins if nothing but spaces is left of the one at i, or 0.
func lineRest(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	if i == len(s) {
		return i
	}
	if s[i] == '\n' {
		return i + 1
	}
	return 0
}

// labelEnd is where the bracket is that closes the label which begins at i, or -1.
func labelEnd(s string, i int) int {
	if i >= len(s) || s[i] != '[' {
		return -1
	}
	for j := i + 1; j < len(s) && j <= i+longestLabel+1; j++ {
		switch s[j] {
		case '\\':
			j++
		case '[':
			return -1
		case ']':
			return j
		}
	}
	return -1
}

// normalLabel makes labels that match the same: spaces run together, case folded.
func normalLabel(label string) string {
	folded := strings.ToLower(strings.ToUpper(strings.Join(strings.Fields(label), " ")))
	return strings.ReplaceAll(folded, "ß", "ss")
}

// readDestination reads the address of a link at i (6.3).
func readDestination(s string, i int) (destination string, end int, ok bool) {
	if i < len(s) && s[i] == '<' {
		for j := i + 1; j < len(s); j++ {
			switch s[j] {
			case '\\':
				j++
			case '<', '\n':
				return "", 0, false
			case '>':
				return s[i+1 : j], j + 1, true
			}
		}
		return "", 0, false
	}
	depth := 0
	j := i
scan:
	for ; j < len(s); j++ {
		switch c := s[j]; {
		case c == '\\' && j+1 < len(s) && isPunct(s[j+1]):
			j++
		case c == '(':
			if depth++; depth > deepestParens {
				return "", 0, false
			}
		case c == ')':
			if depth--; depth < 0 {
				break scan
			}
		case isBlank(c):
			break scan
		}
	}
	return s[i:j], j, j > i && depth <= 0
}

// readTitle is where the title that begins at i ends (6.3), or 0. Titles are not shown.
func readTitle(s string, i int) int {
	if i >= len(s) || s[i] != '"' && s[i] != '\'' && s[i] != '(' {
		return 0
	}
	closing := s[i]
	if closing == '(' {
		closing = ')'
	}
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case closing:
			return j + 1
		case '(':
			if closing == ')' {
				return 0
			}
		}
	}
	return 0
}

// inlineLink reads what stands in parentheses behind the words of a link. s[i] is the opening one.
func inlineLink(s string, i int) (destination string, end int, ok bool) {
	i = skipBlank(s, i+1)
	if i < len(s) && s[i] == ')' {
		return "", i + 1, true
	}
	destination, i, ok = readDestination(s, i)
	if !ok {
		return "", 0, false
	}
	if next := skipBlank(s, i); next > i {
		i = next
		if title := readTitle(s, i); title > 0 {
			i = skipBlank(s, title)
		}
	}
	if i < len(s) && s[i] == ')' {
		return destination, i + 1, true
	}
	return "", 0, false
}
