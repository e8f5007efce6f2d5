package term

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// prose is text without markup, with the place where each style begins.
type prose struct {
	text  strings.Builder
	runs  []run
	soft  bool // a line ended in the source; what follows says whether that is a space
	after rune // the last rune
}

type run struct {
	start int
	style style
}

func (p *prose) add(s string, st style) {
	if s == "" {
		return
	}
	first, _ := utf8.DecodeRuneInString(s)
	if p.soft && p.text.Len() > 0 && !(wide(p.after) && wide(first)) {
		p.append(" ", 0) // Chinese and Japanese have no spaces between words
	}
	p.soft = false
	p.append(s, st)
	p.after, _ = utf8.DecodeLastRuneInString(s)
}

func (p *prose) append(s string, st style) {
	if len(p.runs) == 0 || p.runs[len(p.runs)-1].style != st {
		p.runs = append(p.runs, run{p.text.Len(), st})
	}
	p.text.WriteString(s)
}

func wide(r rune) bool { return r >= 0x1100 && ansi.StringWidth(string(r)) == 2 }

// inline gathers the text under a node.
func (r *renderer) inline(p *prose, parent *node, st style) {
	for n := parent.first; n != nil; n = n.next {
		switch n.kind {
		case kindText:
			p.add(decode(n.text), st)
		case kindBreak:
			p.append("\n", st)
		case kindSoftBreak:
			p.soft = true
		case kindCodeSpan:
			p.add(r.codeSpan(n), st|code)
		case kindEmphasis:
			r.inline(p, n, st|[]style{italic, bold}[min(n.level, 2)-1])
		case kindStrike:
			p.add("~~", st|struck) // kept: without it the text would say the opposite where there is no style
			r.inline(p, n, st|struck)
			p.add("~~", st|struck)
		case kindLink:
			r.link(p, n, st)
		case kindAutoLink:
			p.add(oneLine(n.text), st|link)
		case kindVerbatim:
			p.add(oneLine(n.text), st)
		case kindTask:
			if parent.parent.parent.block.ordered {
				p.add(boxText(n), st)
			}
		}
	}
}

// link writes the words of a link or image and its address behind them, unless they are the same.
func (r *renderer) link(p *prose, n *node, st style) {
	start := p.text.Len()
	r.inline(p, n, st|link)
	if r.addresses -= len(n.text); r.addresses < 0 {
		p.add(" (…)", st|dim)
		return
	}
	address := decode(n.text)
	words := strings.TrimSpace(p.text.String()[start:])
	switch {
	case address == "" || address == words || address == "mailto:"+words:
	case words == "":
		p.add(address, st|link)
	default:
		p.add(" ("+address+")", st|dim)
	}
}

// codeSpan keeps the marks, which is what tells code from words where there is no colour.
func (r *renderer) codeSpan(n *node) string {
	text := oneLine(n.text)
	if r.inCell {
		text = strings.ReplaceAll(text, `\|`, "|")
	}
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

func oneLine(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "\t", " ") }

// decode takes backslashes off and resolves character references, in one pass, so that neither makes the other. What
// comes of a reference is made visible: &#27; is no way to an escape sequence.
func decode(s string) string {
	if !strings.ContainsAny(s, "\\&") {
		return oneLine(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && isPunct(s[i+1]) {
			i++
		} else if s[i] == '&' {
			if text, size := reference(s[i:]); size > 0 {
				b.WriteString(visible(text))
				i += size - 1
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return oneLine(b.String())
}

// reference reads the character reference at the head of s: its text and how many bytes it takes, 0 if it is none.
func reference(s string) (text string, size int) {
	end := strings.IndexByte(s[:min(len(s), 40)], ';')
	if end < 2 {
		return "", 0
	}
	name := s[1:end]
	if name[0] != '#' {
		// The table of names is the standard library's, which fills it when it is first asked. It also takes what has a
		// known name at its head; then the semicolon is left over.
		text := html.UnescapeString(s[:end+1])
		if strings.HasSuffix(text, ";") && name != "semi" {
			return "", 0
		}
		return text, end + 1
	}
	digits, base := name[1:], 10
	if digits != "" && (digits[0] == 'x' || digits[0] == 'X') {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || len(digits) > 7 {
		return "", 0
	}
	if n == 0 || n > utf8.MaxRune {
		n = utf8.RuneError
	}
	return string(rune(n)), end + 1
}

// visible shows the characters that a terminal would obey, or that would show others elsewhere, as escapes.
func visible(s string) string {
	if strings.IndexFunc(s, obeyed) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !obeyed(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func obeyed(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f ||
		r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
