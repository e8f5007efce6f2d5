package config

import (
	"strings"

	"ferry/pkg/guard"
)

// looksLikeKey holds when s contains something with the shape of a well-known credential. It is a net under the rule
// that the file holds references only: it catches a key pasted into a label, a URL or the place of a reference.
func looksLikeKey(s string) bool {
	if strings.Contains(s, "PRIVATE KEY-----") {
		return true
	}
	if strings.HasPrefix(s, "sha256//") && arePins(s) {
		return false // hashes of public keys, which may hold any letters
	}
	for i := range len(s) {
		if i > 0 && isAlnum(s[i-1]) {
			continue // not the beginning of a word: "task-" holds no "sk-"
		}
		if strings.IndexByte("sAgxhe", s[i]) < 0 {
			continue // no shape begins so
		}
		for _, shape := range shapes {
			if rest, ok := strings.CutPrefix(s[i:], shape.prefix); ok && shape.holds(rest) {
				return true
			}
		}
		if isJWT(s[i:]) {
			return true
		}
	}
	return false
}

func arePins(s string) bool {
	for _, item := range splitCommas(s) {
		if _, err := guard.ParsePin(item); err != nil {
			return false
		}
	}
	return true
}

type shape struct {
	prefix string
	least  int // characters after the prefix
	digit  bool
	dashes bool // whether - and _ count among them
}

var shapes = [...]shape{
	{"sk-ant-", 8, false, true},
	{"sk-", 20, true, true}, // a digit, so that a name made of words is none
	{"sk_live_", 16, false, true},
	{"AKIA", 16, false, false},
	{"ASIA", 16, false, false},
	{"ghp_", 20, false, false},
	{"gho_", 20, false, false},
	{"ghu_", 20, false, false},
	{"ghs_", 20, false, false},
	{"ghr_", 20, false, false},
	{"github_pat_", 20, false, true},
	{"glpat-", 16, false, true},
	{"AIza", 35, false, true},
	{"xoxb-", 10, false, true},
	{"xoxp-", 10, false, true},
	{"xoxa-", 10, false, true},
	{"xoxs-", 10, false, true},
	{"xapp-", 10, false, true},
	{"hf_", 30, false, false},
}

func (sh shape) holds(rest string) bool {
	n, digit := 0, false
	for n < len(rest) && (isAlnum(rest[n]) || sh.dashes && (rest[n] == '-' || rest[n] == '_')) {
		digit = digit || rest[n] >= '0' && rest[n] <= '9'
		n++
	}
	return n >= sh.least && (digit || !sh.digit)
}

// isJWT holds for three base64url parts, the first two of which begin as a JSON object does (RFC 7519).
func isJWT(s string) bool {
	head, rest, ok := strings.Cut(s, ".")
	if !ok || len(head) < 10 || !strings.HasPrefix(head, "eyJ") || !isBase64URL(head) {
		return false
	}
	body, _, ok := strings.Cut(rest, ".")
	return ok && strings.HasPrefix(body, "eyJ") && isBase64URL(body)
}

func isBase64URL(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
