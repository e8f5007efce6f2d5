package guard

import "strings"

// keyShape is how a provider's keys begin, and what it takes for a word that begins so to be one.
type keyShape struct {
	prefix string
	least  int  // letters, digits, "_" and "-" behind the prefix
	digit  bool // one of them at least is a digit: prose could begin like this too
}

// keyShapes are the keys of model providers, of clouds, and of the services whose keys end up in prompts.
var keyShapes = [...]keyShape{
	{"sk-ant-", 8, false}, // Anthropic
	{"sk-", 12, true},     // OpenAI, DashScope, DeepSeek, Moonshot
	{"sk_live_", 8, false}, {"sk_test_", 8, false}, {"rk_live_", 8, false},
	{"AIza", 30, false},                      // Google
	{"AKIA", 12, false}, {"ASIA", 12, false}, // AWS
	{"AKID", 13, true}, {"LTAI", 12, true}, // Tencent, Alibaba
	{"ALTAK-", 10, false}, // Baidu
	{"ghp_", 16, false}, {"gho_", 16, false}, {"ghu_", 16, false}, {"ghs_", 16, false}, {"ghr_", 16, false},
	{"github_pat_", 16, false}, {"glpat-", 12, false},
	{"xoxa-", 8, true}, {"xoxb-", 8, true}, {"xoxe-", 8, true}, {"xoxp-", 8, true}, {"xoxr-", 8, true},
	{"xoxs-", 8, true}, {"xapp-", 8, true},
	{"hf_", 20, false}, {"gsk_", 20, false}, {"xai-", 20, true}, {"r8_", 20, false}, {"nvapi-", 20, false},
	{"npm_", 20, false}, {"pplx-", 20, true},
}

// beginsKey reports whether a key can begin with those two bytes: nearly every word of a text cannot be one.
func beginsKey(one, two byte) bool {
	switch one {
	case 's':
		return two == 'k'
	case 'r':
		return two == 'k' || two == '8'
	case 'A':
		return two == 'I' || two == 'K' || two == 'S' || two == 'L'
	case 'L':
		return two == 'T'
	case 'g':
		return two == 'h' || two == 'i' || two == 'l' || two == 's'
	case 'x':
		return two == 'o' || two == 'a'
	case 'h':
		return two == 'f'
	case 'n':
		return two == 'v' || two == 'p'
	case 'p':
		return two == 'p'
	case 'e':
		return two == 'y'
	case 'b', 'B':
		return two == 'c' || two|0x20 == 'e'
	}
	return false
}

// key finds a key at i, where a word begins.
func (p *pass) key(i int) span {
	if !beginsKey(p.text[i], p.byteAt(i+1)) {
		return span{}
	}
	for k := range keyShapes {
		shape := &keyShapes[k]
		if p.text[i] != shape.prefix[0] || !strings.HasPrefix(p.text[i:], shape.prefix) {
			continue
		}
		from := i + len(shape.prefix)
		if end, digit := p.run(from); end-from >= shape.least && (digit || !shape.digit) {
			return span{i, end}
		}
	}
	switch p.text[i] {
	case 'e':
		return p.jwt(i)
	case 'b', 'B':
		if strings.HasPrefix(p.text[i:], "bce-v3/") {
			return p.qianfan(i)
		}
		return p.bearer(i)
	}
	return span{}
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

// pem finds a private key in PEM, or what came of one.
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
