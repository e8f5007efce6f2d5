package guard

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// wordEnds end a value that has no quotes, as white space does.
const wordEnds = " \t\"'`,;&<>(){}|]"

// named finds the value of a field whose name, or the end of it, is at i.
func (p *pass) named(i int) span {
	names := [2]string{}
	switch pair := [2]byte{p.text[i] | 0x20, p.byteAt(i+1) | 0x20}; pair {
	case [2]byte{'a', 'u'}:
		if end := p.name(i, "authorization"); end > 0 {
			return p.value(end, true)
		}
		return span{}
	case [2]byte{'a', 'p'}:
		names[0] = "api_key"
	case [2]byte{'a', 'c'}:
		names[0] = "access_token"
	case [2]byte{'r', 'e'}:
		names[0] = "refresh_token"
	case [2]byte{'c', 'l'}:
		names[0] = "client_secret"
	case [2]byte{'s', 'e'}:
		names = [2]string{"secret_key", "secret_access_key"}
	}
	for _, name := range names {
		if name == "" {
			break
		}
		if end := p.name(i, name); end > 0 {
			return p.value(end, false)
		}
	}
	return span{}
}

// name returns where a name at i ends, 0 where there is another. A "_" in it stands for "_", "-" or nothing.
func (p *pass) name(i int, name string) int {
	for k := range len(name) {
		switch c := p.byteAt(i); {
		case c|0x20 == name[k] && name[k] != '_':
			i++
		case name[k] != '_':
			return 0
		case c == '_' || c == '-':
			i++
		}
	}
	return i
}

// separator returns where the value begins behind a name that ends at i, 0 where no ":" or "=" separates them. A quote
// and a bracket may close the name: "api_key": and headers["x-api-key"] =.
func (p *pass) separator(i int) int {
	if c := p.byteAt(i); c == '"' || c == '\'' || c == '`' {
		i++
	}
	if p.byteAt(i) == ']' {
		i++
	}
	i = p.spaces(i)
	if c := p.byteAt(i); c != ':' && c != '=' {
		return 0
	}
	for range 2 { // := and =>
		if c := p.byteAt(i); c == ':' || c == '=' || c == '>' {
			i++
		}
	}
	return p.spaces(i)
}

// quoted finds a value in quotes whose opening one is at i.
func (p *pass) quoted(i int) (span, bool) {
	switch c := p.byteAt(i); c {
	case '"', '\'', '`':
		return span{i + 1, p.until(i+1, string(c))}, true
	}
	return span{}, false
}

// value finds the value of a name that ends at i. A header's may be several words.
func (p *pass) value(i int, header bool) span {
	if i = p.separator(i); i == 0 {
		return span{}
	}
	bracket := p.byteAt(i) == '[' && !strings.HasPrefix(p.text[i:], redacted)
	if bracket { // a list, or a header as Go prints one
		i++
	}
	cut, ok := p.quoted(i)
	switch {
	case ok:
	case bracket:
		cut = span{i, p.until(i, "\"'`]")}
	case header:
		cut = span{i, p.credentials(i)}
	default:
		cut = span{i, p.until(i, wordEnds)}
	}
	if isNoValue(p.text[cut.from:cut.to]) {
		return span{}
	}
	return cut
}

// isNoValue holds for what stands where a value would: nothing, a mask, or the mark in an example of what to type.
func isNoValue(s string) bool {
	if scheme, rest, ok := strings.Cut(s, " "); ok && rest == masked {
		return slices.ContainsFunc(schemes[:], func(known string) bool { return strings.EqualFold(scheme, known) })
	}
	return s == "null" || s == masked || s == "…"
}

// schemes are schemes of the Authorization header whose credentials follow them on the line.
var schemes = [...]string{"basic", "bearer", "digest", "token", "apikey", "negotiate", "ntlm", "hawk", "dpop", "oauth", "aws4-hmac-sha256", "bce-auth-v1"}

// credentials returns where the value of an Authorization header that begins at i ends. Behind a scheme that is not
// known it is the words that could be a key, and not the prose behind "authorization: required".
func (p *pass) credentials(i int) int {
	end := p.until(i, wordEnds)
	for _, scheme := range schemes {
		if strings.EqualFold(p.text[i:end], scheme) {
			return p.parameters(end)
		}
	}
	for {
		from := p.spaces(end)
		to := p.until(from, wordEnds)
		word := p.text[from:to]
		if from == end || word == redacted || len(word) < 20 && !strings.ContainsAny(word, "0123456789") {
			return end
		}
		end = to
	}
}

// parameters returns where the line ends, or the quotes that a header stands in. The quotes of a parameter, such as
// Digest's username="…", are those behind a "=".
func (p *pass) parameters(i int) int {
	for {
		i = p.until(i, "\"'`")
		if c := p.byteAt(i); c != '"' || p.text[i-1] != '=' {
			return i
		}
		if i = p.until(i+1, "\""); p.byteAt(i) == '"' {
			i++
		}
	}
}

// label is the name of a field with personal data.
type label struct {
	name   string
	digits int // of a whole value, 0 for a value that is no number
}

var labels = [...]label{{"姓名", 0}, {"电话", 11}, {"手机", 11}, {"身份证", 18}}

// labelled finds the value of a label at i.
func (p *pass) labelled(i int) span {
	for _, l := range labels {
		if !strings.HasPrefix(p.text[i:], l.name) {
			continue
		}
		i += len(l.name)
		if strings.HasPrefix(p.text[i:], "号") {
			i += len("号")
			if strings.HasPrefix(p.text[i:], "码") {
				i += len("码")
			}
		}
		if i = p.separator(i); i == 0 {
			return span{}
		}
		if cut, ok := p.quoted(i); ok {
			return cut
		}
		return span{i, p.field(i, l.digits)}
	}
	return span{}
}

// field returns where a field that begins at i ends. Digits is how many a whole value has.
func (p *pass) field(i, digits int) int {
	end := p.fieldWord(i)
	for words := 1; ; words++ {
		next := p.spaces(end)
		to := p.fieldWord(next)
		if next == end || to == next || !continues(p.text[i:end], p.text[next:to], digits, words) {
			return end
		}
		end = to
	}
}

// fieldWord returns where a word of a field ends. A ")" belongs to it where a "(" does.
func (p *pass) fieldWord(i int) int {
	ends := " \t\"`,;&<>(){}|]!?"
	if p.byteAt(i) == '(' {
		i = p.until(i, ")")
		if p.byteAt(i) == ')' {
			i++
		}
	}
	to := p.until(i, ends)
	for at, r := range p.text[i:to] {
		if r == '。' || r == '、' {
			return i + at
		}
	}
	return to
}

// continues reports whether the next word belongs to the value so far, which has so many words.
func continues(value, next string, digits, words int) bool {
	first, have := value[0], 0
	for i := range len(value) {
		if isDigit(value[i]) {
			have++
		}
	}
	switch c := next[0]; {
	case strings.ContainsRune(next, ':'):
		return false // the next label
	case isDigit(first) || first == '+' || first == '(':
		return have < digits && (isDigit(c) || c == '(' || c == '-')
	case isLetter(first):
		return digits == 0 && words < 4 && isLetter(c) && c&0x20 == first&0x20
	}
	// 张 三: a surname of one character, and a space before the rest.
	return digits == 0 && words == 1 && utf8.RuneCountInString(value) == 1 && next[0] >= utf8.RuneSelf
}
