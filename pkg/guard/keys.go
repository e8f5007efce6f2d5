package guard

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// keyShape describes how a provider's keys begin, and when a word with that prefix is a key.
type keyShape struct {
	prefix     string
	minLength  int  // minimum number of letters, digits, "_" and "-" after the prefix
	needsDigit bool // at least one of them must be a digit: prose could begin like this too
	ambiguous  bool // names of files, hosts and packages begin like this too: LooksLikeKey checks that it is not a name
}

// keyShapes are the keys of model providers, of clouds, and of the services whose keys appear in prompts. This is the
// only table of key shapes: redaction, the configuration and its listings use it.
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

// key finds a key at i, where a word begins. ambiguous is the field of its shape.
func (p *pass) key(i int) (found span, ambiguous bool) {
	for _, shape := range keysAt[p.text[i]] {
		if !strings.HasPrefix(p.text[i:], shape.prefix) {
			continue
		}
		from := i + len(shape.prefix)
		if end, digit := p.run(from); end-from >= shape.minLength && (digit || !shape.needsDigit) {
			return span{i, end}, shape.ambiguous
		}
	}
	switch p.text[i] {
	case 'e':
		return p.jwt(i), false
	case 'b', 'B':
		if found := p.token(i, "basic", "+/="); isBasic(p.text[found.from:found.to]) {
			return found, false
		}
		if found := p.token(i, "bearer", "_-.~+/="); isBearer(p.text[found.from:found.to]) {
			return found, true
		}
		return p.qianfan(i), false
	}
	return span{}, false
}

// token finds the text after the scheme name at i, as far as it has letters, digits and the characters in others.
func (p *pass) token(i int, scheme, others string) span {
	after := i + len(scheme)
	if after > len(p.text) || !strings.EqualFold(p.text[i:after], scheme) {
		return span{}
	}
	from := p.spaces(after)
	if from == after {
		return span{}
	}
	to := from
	for isAlnum(p.byteAt(to)) || strings.IndexByte(others, p.byteAt(to)) >= 0 {
		to++
	}
	return span{from, to}
}

// isBasic reports whether s is a user and a password in base64 (RFC 7617).
func isBasic(s string) bool {
	pair, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return err == nil && bytes.Contains(pair, []byte(":")) && utf8.Valid(pair)
}

// isBearer reports whether s is a token, and not a word after Bearer in prose: it has a digit, or is longer than
// words are.
func isBearer(s string) bool {
	return len(s) >= 24 || len(s) >= 8 && strings.ContainsAny(s, "0123456789")
}

// qianfan finds bce-v3/ALTAK-…/…, the key of Baidu's Qianfan.
func (p *pass) qianfan(i int) span {
	const prefix = "bce-v3/"
	if !strings.HasPrefix(p.text[i:], prefix) {
		return span{}
	}
	id, _ := p.run(i + len(prefix))
	if p.byteAt(id) != '/' {
		return span{}
	}
	end, _ := p.run(id + 1)
	if end-i < 24 {
		return span{}
	}
	return span{i, end}
}

// jwt finds a JSON web token: three parts, the first of which begins with {" in base64.
func (p *pass) jwt(i int) span {
	if !strings.HasPrefix(p.text[i:], "eyJ") {
		return span{}
	}
	end, _ := p.run(i)
	if end-i < 8 || p.byteAt(end) != '.' {
		return span{}
	}
	for n := 1; n <= 4; n++ {
		if !isRun(p.byteAt(end + n)) {
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

// ShortestKey is the length of the shortest text that counts as a key: an empty user and an empty password.
const ShortestKey = len("Basic Og")

// LooksLikeKey reports whether a public setting, such as a label or an address, contains a key. A shape that names
// can have too does not count if the text consists of words and small numbers, as names do.
func LooksLikeKey(s string) bool {
	found := strings.Contains(s, "PRIVATE KEY-----")
	eachKey(s, func(at span, ambiguous bool) {
		found = found || !ambiguous || !nameOnly().MatchString(s[at.from:at.to])
	})
	return found
}

// nameOnly matches words and small numbers separated by "-", "_" and ".": frankfurt-01, node2, 2026.
var nameOnly = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:(?:(?:[A-Za-z][a-z]{0,15}|[A-Z]{1,16})[0-9]{0,4}|[0-9]{0,8})(?:[-_.]|$))*$`)
})

// HideKeys replaces everything that could be a key with "***".
func HideKeys(s string) string {
	var b strings.Builder
	done := 0
	eachKey(s, func(at span, _ bool) {
		b.WriteString(s[done:at.from] + masked)
		done = at.to
	})
	return b.String() + s[done:]
}

// eachKey calls visit for each key in s that matches the table.
func eachKey(s string, visit func(at span, ambiguous bool)) {
	p := pass{text: s}
	for i := 0; i < len(s); i++ {
		if !canBegin[s[i]] || isAlnum(p.before(i, 1)) {
			continue
		}
		if at, ambiguous := p.key(i); at.to > 0 {
			visit(at, ambiguous)
			p.last, i = at.to, at.to-1
		}
	}
}
