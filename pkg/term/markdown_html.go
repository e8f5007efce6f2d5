package term

import "strings"

// beginsHTML says which of the seven kinds of HTML block begins with a line (4.6), or 0.
func beginsHTML(s string) uint8 {
	switch {
	case strings.HasPrefix(s, "<!--"):
		return 2
	case strings.HasPrefix(s, "<?"):
		return 3
	case strings.HasPrefix(s, "<![CDATA["):
		return 5
	case len(s) > 2 && s[1] == '!' && isLetter(s[2]):
		return 4
	}
	closing := strings.HasPrefix(s, "</")
	start := 1
	if closing {
		start = 2
	}
	end := start
	for end < len(s) && (isLetter(s[end]) || end > start && isDigit(s[end])) {
		end++
	}
	name, rest := strings.ToLower(s[start:end]), s[end:]
	if rest == "" || rest[0] == ' ' || rest[0] == '\t' || rest[0] == '>' {
		if !closing && isVerbatimTag(name) {
			return 1
		}
		if isBlockTag(name) {
			return 6
		}
	} else if strings.HasPrefix(rest, "/>") && isBlockTag(name) {
		return 6
	}
	tags := tagScanner{}
	if size := tags.tag(s); size > 0 && strings.Trim(s[size:], " \t") == "" && (closing || !isVerbatimTag(name)) {
		return 7
	}
	return 0
}

// endsHTML reports whether a line ends the HTML block of this kind. Kinds 6 and 7 end before a blank line.
func endsHTML(which uint8, line string) bool {
	switch which {
	case 1:
		lower := strings.ToLower(line)
		return strings.Contains(lower, "</script>") || strings.Contains(lower, "</pre>") ||
			strings.Contains(lower, "</style>") || strings.Contains(lower, "</textarea>")
	case 2:
		return strings.Contains(line, "-->")
	case 3:
		return strings.Contains(line, "?>")
	case 4:
		return strings.Contains(line, ">")
	case 5:
		return strings.Contains(line, "]]>")
	}
	return false
}

func isVerbatimTag(name string) bool {
	switch name {
	case "pre", "script", "style", "textarea":
		return true
	}
	return false
}

// isBlockTag: a switch, because a map would be built whenever the program starts.
func isBlockTag(name string) bool {
	switch name {
	case "address", "article", "aside", "base", "basefont", "blockquote", "body", "caption", "center", "col",
		"colgroup", "dd", "details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer",
		"form", "frame", "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "iframe",
		"legend", "li", "link", "main", "menu", "menuitem", "meta", "nav", "noframes", "ol", "optgroup", "option", "p",
		"param", "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "title", "tr", "track",
		"ul":
		return true
	}
	return false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// isPunct reports whether a backslash may stand before c (2.1, ASCII punctuation).
func isPunct(c byte) bool {
	return c >= '!' && c <= '/' || c >= ':' && c <= '@' || c >= '[' && c <= '`' || c >= '{' && c <= '~'
}

// tagScanner measures raw HTML at the head of a text (6.6). It remembers which ends do not occur in what is left of
// the text, so that it looks for each of them in vain only once.
type tagScanner struct {
	missing [6]bool
}

const (
	endComment = iota
	endInstruction
	endDeclaration
	endSection
	endSingle
	endDouble
)

// until is the size of s up to and with the end, or 0.
func (t *tagScanner) until(s string, from int, end string, which int) int {
	if t.missing[which] || from > len(s) {
		return 0
	}
	i := strings.Index(s[from:], end)
	if i < 0 {
		t.missing[which] = true
		return 0
	}
	return from + i + len(end)
}

// html is the size of the raw HTML at the head of s, or 0.
func (t *tagScanner) html(s string) int {
	switch {
	case strings.HasPrefix(s, "<!-->"):
		return len("<!-->")
	case strings.HasPrefix(s, "<!--->"):
		return len("<!--->")
	case strings.HasPrefix(s, "<!--"):
		return t.until(s, 4, "-->", endComment)
	case strings.HasPrefix(s, "<?"):
		return t.until(s, 2, "?>", endInstruction)
	case strings.HasPrefix(s, "<![CDATA["):
		return t.until(s, 9, "]]>", endSection)
	case len(s) > 2 && s[1] == '!' && isLetter(s[2]):
		return t.until(s, 3, ">", endDeclaration)
	}
	return t.tag(s)
}

// tag is the size of the opening or closing tag at the head of s, or 0.
func (t *tagScanner) tag(s string) int {
	i := 1
	closing := strings.HasPrefix(s, "</")
	if closing {
		i = 2
	}
	if i >= len(s) || !isLetter(s[i]) {
		return 0
	}
	for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '-') {
		i++
	}
	for !closing {
		next := t.attribute(s, i)
		if next < 0 {
			return 0
		}
		if next == i {
			break
		}
		i = next
	}
	i = skipBlank(s, i)
	if !closing && i < len(s) && s[i] == '/' {
		i++
	}
	if i < len(s) && s[i] == '>' {
		return i + 1
	}
	return 0
}

// attribute is where the attribute that begins at i ends: i if there is none, -1 if it has no end.
func (t *tagScanner) attribute(s string, i int) int {
	start := skipBlank(s, i)
	if start == i || start == len(s) || !isLetter(s[start]) && s[start] != '_' && s[start] != ':' {
		return i
	}
	end := start
	for end < len(s) && (isLetter(s[end]) || isDigit(s[end]) || strings.IndexByte("_:.-", s[end]) >= 0) {
		end++
	}
	value := skipBlank(s, end)
	if value == len(s) || s[value] != '=' {
		return end
	}
	value = skipBlank(s, value+1)
	if value == len(s) {
		return -1
	}
	size := 0
	switch s[value] {
	case '\'':
		size = t.until(s[value:], 1, "'", endSingle)
	case '"':
		size = t.until(s[value:], 1, `"`, endDouble)
	default:
		for value+size < len(s) && s[value+size] > ' ' && strings.IndexByte("\"'=<>`", s[value+size]) < 0 {
			size++
		}
	}
	if size == 0 {
		return -1
	}
	return value + size
}

func skipBlank(s string, i int) int {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	return i
}

// autoLink is the size of the address in angle brackets at the head of s (6.5), or 0.
func autoLink(s string) int {
	end := strings.IndexAny(s[1:], "<> \t\n") + 1
	if end < 2 || s[end] != '>' {
		return 0
	}
	address := s[1:end]
	scheme := 0
	for scheme < len(address) && (isLetter(address[scheme]) ||
		scheme > 0 && strings.IndexByte("0123456789+.-", address[scheme]) >= 0) {
		scheme++
	}
	if scheme >= 2 && scheme <= 32 && scheme < len(address) && address[scheme] == ':' || isMail(address) {
		return end + 1
	}
	return 0
}

// isMail reports whether s is an address of mail, by the grammar that HTML has for them.
func isMail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" {
		return false
	}
	for i := range len(local) {
		if c := local[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(".!#$%&'*+/=?^_`{|}~-", c) < 0 {
			return false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isLetter(c) && !isDigit(c) && c != '-' {
				return false
			}
		}
	}
	return true
}
