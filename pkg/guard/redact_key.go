package guard

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// keyShape is how a provider's keys begin, and what it takes for a word that begins so to be one.
type keyShape struct {
	prefix string
	least  int  // letters, digits, "_" and "-" behind the prefix
	digit  bool // one of them at least is a digit: prose could begin like this too
	named  bool // names of files, hosts and packages begin like this too: LooksLikeKey looks closer
}

// keyShapes are the keys of model providers, of clouds, and of the services whose keys end up in prompts. This is the one
// table of what looks like a key: redaction, the configuration and what it lists read it.
var keyShapes = [...]keyShape{
	{"sk-ant-", 8, false, false}, // Anthropic
	{"sk-", 12, true, true},      // OpenAI, DashScope, DeepSeek, Moonshot, OpenRouter
	{"sess-", 20, true, true},
	{"sk_live_", 8, false, true}, {"sk_test_", 8, false, true}, {"rk_live_", 8, false, true}, {"rk_test_", 8, false, true},
	{"whsec_", 20, false, true},                                                            // Stripe
	{"AIza", 30, false, false}, {"GOCSPX-", 20, false, false}, {"ya29.", 20, false, false}, // Google
	{"AKIA", 12, false, false}, {"ASIA", 12, false, false}, {"ABSK", 30, false, false}, // AWS, Bedrock
	{"AKID", 13, true, false}, {"LTAI", 12, true, false}, {"AKLT", 20, true, false}, // Tencent, Alibaba, Volcengine
	{"ALTAK-", 10, false, false}, // Baidu
	{"ghp_", 16, false, false}, {"gho_", 16, false, false}, {"ghu_", 16, false, false}, {"ghs_", 16, false, false},
	{"ghr_", 16, false, false}, {"github_pat_", 16, false, false},
	{"glpat-", 12, false, false}, {"glrt-", 12, false, true}, {"gldt-", 12, false, true},
	{"xoxa-", 8, true, false}, {"xoxb-", 8, true, false}, {"xoxe-", 8, true, false}, {"xoxp-", 8, true, false},
	{"xoxr-", 8, true, false}, {"xoxs-", 8, true, false}, {"xapp-", 8, true, true},
	{"hf_", 20, false, true}, {"gsk_", 20, false, true}, {"xai-", 20, true, true}, {"r8_", 20, false, true},
	{"nvapi-", 20, false, true}, {"pplx-", 20, true, true}, {"csk-", 20, true, true}, {"fw_", 20, true, true},
	{"tgp_v1_", 20, false, false}, {"jina_", 20, true, true}, {"vck_", 20, true, true},
	{"npm_", 20, false, true}, {"pypi-", 30, true, true}, {"dckr_pat_", 16, false, false}, {"dop_v1_", 30, false, false},
	{"hvs.", 20, true, true}, {"shpat_", 20, true, true},
}

// keysAt are the shapes by their first byte.
var keysAt = func() (at [256][]keyShape) {
	for _, shape := range keyShapes {
		at[shape.prefix[0]] = append(at[shape.prefix[0]], shape)
	}
	return at
}()

// keyPairs are the two bytes that a key can begin with: nearly every word of a text cannot be one.
var keyPairs = func() (pairs [256][256 / 64]uint64) {
	for _, shape := range keyShapes {
		pairs[shape.prefix[0]][shape.prefix[1]/64] |= 1 << (shape.prefix[1] % 64)
	}
	for _, pair := range []string{"ey", "bc", "be", "bE", "Be", "BE", "ba", "bA", "Ba", "BA"} {
		pairs[pair[0]][pair[1]/64] |= 1 << (pair[1] % 64)
	}
	return pairs
}()

// key finds a key at i, where a word begins. Named is the name of its shape.
func (p *pass) key(i int) (found span, named bool) {
	if second := p.byteAt(i + 1); keyPairs[p.text[i]][second/64]&(1<<(second%64)) == 0 {
		return span{}, false
	}
	for k := range keysAt[p.text[i]] {
		shape := &keysAt[p.text[i]][k]
		if !strings.HasPrefix(p.text[i:], shape.prefix) {
			continue
		}
		from := i + len(shape.prefix)
		if end, digit := p.run(from); end-from >= shape.least && (digit || !shape.digit) {
			return span{i, end}, shape.named
		}
	}
	switch p.text[i] {
	case 'e':
		return p.jwt(i), false
	case 'b', 'B':
		if strings.HasPrefix(p.text[i:], "bce-v3/") {
			return p.qianfan(i), false
		}
		if found := p.basic(i); found.to > 0 {
			return found, false
		}
		return p.bearer(i), true
	}
	return span{}, false
}

// LooksLikeKey reports whether a key stands in a setting that is public, such as a label or an address. What only could
// be one, since names begin so too, counts where it is not made of words and small numbers, as names are.
func LooksLikeKey(s string) bool {
	found := strings.Contains(s, "PRIVATE KEY-----")
	eachKey(s, func(at span, named bool) { found = found || !named || !isName(s[at.from:at.to]) })
	return found
}

// HideKeys replaces what could be a key by "***".
func HideKeys(s string) string {
	var b strings.Builder
	done := 0
	eachKey(s, func(at span, _ bool) {
		b.WriteString(s[done:at.from] + masked)
		done = at.to
	})
	if done == 0 {
		return s
	}
	return b.String() + s[done:]
}

// eachKey visits the keys in s by the table.
func eachKey(s string, visit func(at span, named bool)) {
	p := pass{text: s}
	for i := 0; i < len(s); i++ {
		if begins[s[i]] == nothing || isAlnum(p.before(i, 1)) {
			continue
		}
		if at, named := p.key(i); at.to > 0 {
			visit(at, named)
			p.last, i = at.to, at.to-1
		}
	}
}

// isName reports whether a text is made of words and small numbers between "-", "_" and ".": frankfurt-01, node2, 2026.
func isName(s string) bool {
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		letters := strings.TrimRight(part, "0123456789")
		lower, upper := strings.ToLower(letters), strings.ToUpper(letters)
		word := strings.IndexFunc(letters, func(r rune) bool { return !isLetter(byte(r)) }) < 0
		if !word || len(letters) > 16 || len(part)-len(letters) > 8 || letters != "" && len(part)-len(letters) > 4 ||
			letters != lower && letters != upper && letters[1:] != lower[1:] {
			return false
		}
	}
	return true
}

// basic finds the user and password behind the word Basic (RFC 7617).
func (p *pass) basic(i int) span {
	end := p.name(i, "basic")
	from := p.spaces(end)
	if end == 0 || from == end {
		return span{}
	}
	to := from
	for isAlnum(p.byteAt(to)) || strings.IndexByte("+/=", p.byteAt(to)) >= 0 {
		to++
	}
	pair, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(p.text[from:to], "="))
	if err != nil || !bytes.Contains(pair, []byte(":")) || !utf8.Valid(pair) {
		return span{}
	}
	return span{from, to}
}

// qianfan finds bce-v3/ALTAK-…/…, the key of Baidu's Qianfan.
func (p *pass) qianfan(i int) span {
	id, _ := p.run(i + len("bce-v3/"))
	if p.byteAt(id) != '/' {
		return span{}
	}
	end, _ := p.run(id + 1)
	if end-i < 24 {
		return span{}
	}
	return span{i, end}
}

// jwt finds a JSON web token: three parts, of which the first begins with {" in base64.
func (p *pass) jwt(i int) span {
	if !strings.HasPrefix(p.text[i:], "eyJ") {
		return span{}
	}
	end, _ := p.run(i)
	if end-i < 8 || p.byteAt(end) != '.' {
		return span{}
	}
	for k := 1; k <= 4; k++ {
		if !isRun(p.byteAt(end + k)) {
			return span{}
		}
	}
	for range 2 {
		if p.byteAt(end) == '.' {
			end, _ = p.run(end + 1)
		}
	}
	return span{i, end}
}

// bearer finds the token behind the word Bearer. In prose the word is followed by others: a token has a digit, or is
// longer than words are.
func (p *pass) bearer(i int) span {
	end := p.name(i, "bearer")
	from := p.spaces(end)
	if end == 0 || from == end {
		return span{}
	}
	to, digit := from, false
	for isRun(p.byteAt(to)) || strings.IndexByte(".~+/=", p.byteAt(to)) >= 0 {
		digit = digit || isDigit(p.text[to])
		to++
	}
	if n := to - from; n < 8 || n < 24 && !digit {
		return span{}
	}
	return span{from, to}
}

// pem finds a private key in PEM, or a part of one.
func (p *pass) pem(i int) span {
	const begin, end = "-----BEGIN ", "-----END "
	if !strings.HasPrefix(p.text[i:], begin) {
		return span{}
	}
	title := p.text[i+len(begin):]
	if !strings.Contains(title[:min(len(title), 40)], "PRIVATE KEY-----") {
		return span{}
	}
	at := strings.Index(title, end)
	if at < 0 {
		return span{i, len(p.text)}
	}
	from := i + len(begin) + at + len(end)
	to := p.until(from, "-\"'")
	for p.byteAt(to) == '-' {
		to++
	}
	return span{i, to}
}

// userinfo finds the user and password of a URL whose ":" is at i.
func (p *pass) userinfo(i int) span {
	if !strings.HasPrefix(p.text[i:], "://") {
		return span{}
	}
	from := i + len("://")
	to := p.until(from, "/?# \t\"'`<>,;")
	at := strings.LastIndexByte(p.text[from:to], '@')
	if at <= 0 {
		return span{}
	}
	return span{from, from + at}
}

// mail finds the e-mail address whose "@" is at i.
func (p *pass) mail(i int) span {
	from := i
	for from > p.last && isLocal(p.text[from-1]) {
		from--
	}
	if from == i {
		return span{}
	}
	// The domain ends behind the last label of letters alone: a digit or a dash may follow and be no part of it.
	end, to := 0, i+1
	for isAlnum(p.byteAt(to)) || p.byteAt(to) == '-' || p.byteAt(to) == '.' && to > i+1 {
		if p.text[to] != '.' {
			to++
			continue
		}
		if p.text[to-1] == '.' {
			break
		}
		last := to + 1
		for isLetter(p.byteAt(last)) {
			last++
		}
		if last-to > 2 {
			end = last
		}
		to = max(last, to+1)
	}
	if end == 0 {
		return span{}
	}
	return span{from, end}
}

func isLocal(c byte) bool { return isAlnum(c) || strings.IndexByte("._%+-", c) >= 0 }
