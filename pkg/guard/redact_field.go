package guard

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// fieldNames are the names of fields whose values are removed, in lower case. A "_" matches "_", "-" or nothing.
var fieldNames = [...]string{"api_key", "access_token", "authorization", "client_secret", "refresh_token", "secret_key", "secret_access_key",
	"token", "password", "passwd", "secret", "key", "key provided", "姓名", "电话", "手机", "身份证"}

// field finds the value of a field whose name, or the end of its name, is at i.
func (p *pass) field(i int, name string) span {
	for k := range len(name) {
		switch c := p.byteAt(i); {
		case c == name[k] || isLetter(c) && c|0x20 == name[k]:
			i++
		case name[k] != '_':
			return span{}
		case c == '-':
			i++
		}
	}
	if name[0] >= utf8.RuneSelf && strings.HasPrefix(p.text[i:], "号") {
		i = len(p.text) - len(strings.TrimPrefix(p.text[i+len("号"):], "码"))
	}
	if i = p.separator(i); i == 0 {
		return span{}
	}
	switch name {
	case "authorization":
		return p.secretValue(i, p.credentials)
	case "token", "password", "passwd", "secret", "key", "key provided": // these names also precede other text
		return p.keyValue(i)
	case "姓名":
		return p.personalValue(i, 0)
	case "电话", "手机":
		return p.personalValue(i, 11)
	case "身份证":
		return p.personalValue(i, 18)
	}
	return p.secretValue(i, p.word)
}

// separator returns where the value begins after a name that ends at i, 0 if no ":" or "=" separates them. A quote
// and a bracket may close the name: "api_key": and headers["x-api-key"] =.
func (p *pass) separator(i int) int {
	if strings.IndexByte(quotes, p.byteAt(i)) >= 0 {
		i++
	}
	if p.byteAt(i) == ']' {
		i++
	}
	i = p.spaces(i)
	if c := p.byteAt(i); c != ':' && c != '=' {
		return 0
	}
	i++
	if c := p.byteAt(i); c == ':' || c == '=' || c == '>' {
		i++
	}
	return p.spaces(i)
}

// The characters that end a value: the end of the line, plus the quotes around it, a bracket, or all that ends a
// word.
const (
	lineEnds     = "\r\n"
	quotes       = "\"'`"
	wordEnds     = " \t\"'`,;&<>(){}|]" + lineEnds
	personalEnds = " \t\"`,;&<>(){}|]!?" + lineEnds // of personal data
	bracketEnds  = quotes + "]" + lineEnds
)

// until returns the position of the first character of ends from i on, or the end of the text. It skips a
// "[REDACTED]" at i.
func (p *pass) until(i int, ends string) int {
	if strings.HasPrefix(p.text[i:], redacted) {
		i += len(redacted)
	}
	if n := strings.IndexAny(p.text[i:], ends); n >= 0 {
		return i + n
	}
	return len(p.text)
}

// spaces returns the end of the spaces and tabs at i.
func (p *pass) spaces(i int) int {
	for p.byteAt(i) == ' ' || p.byteAt(i) == '\t' {
		i++
	}
	return i
}

// quoted finds a value in quotes; the opening quote is at i.
func (p *pass) quoted(i int) (span, bool) {
	c := p.byteAt(i)
	if strings.IndexByte(quotes, c) < 0 {
		return span{}, false
	}
	return span{i + 1, p.until(i+1, string(c)+lineEnds)}, true
}

// word returns where the word at i ends.
func (p *pass) word(i int) int { return p.until(i, wordEnds) }

// secretValue finds the value at i: in quotes, in brackets (a list, or a header that Go printed), or up to its end.
func (p *pass) secretValue(i int, end func(i int) int) span {
	bracket := p.byteAt(i) == '[' && !strings.HasPrefix(p.text[i:], redacted)
	if bracket {
		i++
	}
	cut, ok := p.quoted(i)
	switch {
	case ok:
	case bracket:
		cut = span{i, p.until(i, bracketEnds)}
	default:
		cut = span{i, end(i)}
	}
	if isNoValue(p.text[cut.from:cut.to]) {
		return span{}
	}
	return cut
}

// A value can be a key if it has at least minKeyValue bytes and a run of letters and digits of at least minKeyRun
// bytes.
const (
	minKeyValue = 16
	minKeyRun   = 8
)

// keyValue finds the value at i if it has the shape of a key: it is long, and not only words, numbers and a path. It
// does not read past the point where the next name could begin, so that a text of many names is not read again at
// each name.
func (p *pass) keyValue(i int) span {
	for strings.IndexByte(quotes+"[", p.byteAt(i)) >= 0 {
		i++
	}
	to, mixed := i, false
	for isAlnum(p.byteAt(to)) || to > i && strings.IndexByte("_-.~+/%", p.byteAt(to)) >= 0 {
		from, digits := to, 0
		for ; isAlnum(p.byteAt(to)); to++ {
			if isDigit(p.byteAt(to)) {
				digits++
			}
		}
		mixed = mixed || to-from >= minKeyRun && digits > 0 && digits < to-from
		if to == from {
			to++
		}
	}
	if !mixed || to-i < minKeyValue {
		return span{}
	}
	if p.text[to-1] == '.' { // the end of the sentence
		return span{i, to - 1}
	}
	for p.byteAt(to) == '=' {
		to++
	}
	return span{i, to}
}

// isNoValue reports whether s stands for a missing value: null, a mask, or the placeholder of an example.
func isNoValue(s string) bool {
	if scheme, rest, ok := strings.Cut(s, " "); ok && rest == masked {
		return isScheme(scheme)
	}
	return s == "null" || s == masked || s == "…"
}

// schemes are the schemes of the Authorization header whose credentials follow on the same line.
var schemes = [...]string{"basic", "bearer", "digest", "token", "apikey", "negotiate", "ntlm", "hawk", "dpop", "oauth", "aws4-hmac-sha256", "bce-auth-v1"}

func isScheme(s string) bool {
	return slices.ContainsFunc(schemes[:], func(scheme string) bool { return strings.EqualFold(scheme, s) })
}

// parameters matches to the end of the line, or to the closing quote of the header. The quotes of a parameter, such
// as Digest's username="…", follow a "=".
var parameters = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:="[^"\r\n]*"?|[^"'` + "`" + `\r\n])*`)
})

// credentials returns where the value of an Authorization header at i ends. After an unknown scheme, the value
// includes only the words that could be a key, and not prose such as "authorization: required".
func (p *pass) credentials(i int) int {
	end := p.word(i)
	if isScheme(p.text[i:end]) {
		return end + len(parameters().FindString(p.text[end:]))
	}
	for {
		from := p.spaces(end)
		to := p.word(from)
		word := p.text[from:to]
		if from == end || len(word) < 20 && !strings.ContainsAny(word, "0123456789") {
			return end
		}
		end = to
	}
}

// personalValue finds the value at i. digits is the number of digits in a complete value, 0 for a name.
func (p *pass) personalValue(i, digits int) span {
	if cut, ok := p.quoted(i); ok {
		return cut
	}
	end := p.personalWord(i)
	for words := 1; ; words++ {
		next := p.spaces(end)
		to := p.personalWord(next)
		if next == end || to == next || !isContinuation(p.text[i:end], p.text[next:to], digits, words) {
			return span{i, end}
		}
		end = to
	}
}

// personalWord returns where a word of personal data ends. A ")" belongs to the word if its "(" does.
func (p *pass) personalWord(i int) int {
	if p.byteAt(i) == '(' {
		i = p.until(i, ")"+lineEnds)
		if p.byteAt(i) == ')' {
			i++
		}
	}
	to := p.until(i, personalEnds)
	for _, stop := range []string{"。", "、"} {
		if at := strings.Index(p.text[i:to], stop); at >= 0 {
			to = i + at
		}
	}
	return to
}

// isContinuation reports whether the next word belongs to the value so far, which has the given number of words.
func isContinuation(value, next string, digits, words int) bool {
	first, c := value[0], next[0]
	switch {
	case strings.ContainsRune(next, ':'):
		return false // the name of the next field
	case isDigit(first) || first == '+' || first == '(':
		have := 0
		for i := range len(value) {
			if isDigit(value[i]) {
				have++
			}
		}
		return have < digits && (isDigit(c) || c == '(' || c == '-')
	case isLetter(first):
		return digits == 0 && words < 4 && isLetter(c) && c&0x20 == first&0x20
	}
	// 张 三: a surname of one character, then a space.
	return digits == 0 && words == 1 && utf8.RuneCountInString(value) == 1 && c >= utf8.RuneSelf
}

const beginPEM = "-----BEGIN "

// pem finds a private key in PEM, or a part of one; beginPEM is at i.
func (p *pass) pem(i int) span {
	title := p.text[i+len(beginPEM):]
	if !strings.Contains(title[:min(len(title), 40)], "PRIVATE KEY-----") {
		return span{}
	}
	_, rest, ok := strings.Cut(title, "-----END ")
	if !ok {
		return span{i, len(p.text)}
	}
	to := p.until(len(p.text)-len(rest), "-\"'"+lineEnds)
	for p.byteAt(to) == '-' {
		to++
	}
	return span{i, to}
}

// userinfo finds the user and password of a URL; i is after its "://".
func (p *pass) userinfo(i int) span {
	to := p.until(i, "/?# \t\"'`<>,;"+lineEnds)
	return span{i, i + max(0, strings.LastIndexByte(p.text[i:to], '@'))}
}

// mail finds the e-mail address whose "@" is at i.
func (p *pass) mail(i int) span {
	from := i
	for from > p.last && (isRun(p.text[from-1]) || strings.IndexByte(".%+", p.text[from-1]) >= 0) {
		from--
	}
	// The domain ends after the last label that has only letters. A digit or a dash after it does not belong to the
	// domain.
	end := 0
	for dot := i; ; {
		label := dot + 1
		for dot = label; isAlnum(p.byteAt(dot)) || p.byteAt(dot) == '-'; dot++ {
		}
		if dot == label || p.byteAt(dot) != '.' {
			break
		}
		last := dot + 1
		for isLetter(p.byteAt(last)) {
			last++
		}
		if last-dot > 2 {
			end = last
		}
	}
	if from == i || end == 0 {
		return span{}
	}
	return span{from, end}
}
