package config

import (
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/guard"
)

const maxText = 4096

// checkText is the rule for all text: something, on one line, within bounds.
func checkText(s string) *Error {
	switch {
	case strings.TrimSpace(s) == "":
		return bad("has no value", "")
	case len(s) > maxText:
		return bad("is longer than 4096 bytes", "")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return bad("has a line break or a control character", "")
	case looksLikeKey(s):
		return bad("this looks like a key to an API, and is not shown", refHint)
	}
	return nil
}

// want fails with a message where something does not hold.
func want(holds bool, msg string) *Error {
	if holds {
		return nil
	}
	return bad(msg, "")
}

// checkSelector says what one node may be called by where it is chosen; whether there is such a node is Select's to say.
func checkSelector(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if isURL(s) || strings.HasPrefix(s, "demo:") {
		return checkURL(s)
	}
	if !isNodeName(strings.TrimPrefix(s, "demo/")) {
		if address := loopbackURL(s); address != "" {
			return bad("use a URL such as "+address, "")
		}
		return bad("use a node's name, demo, or a URL that begins with https://", "")
	}
	return nil
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }

// looksLikeKey is guard's rule for a public setting. It is a net under the rule that the file holds references only: it
// catches a key pasted into a label, a URL or the place of a reference. Pins are hashes of public keys, which may hold
// any letters.
func looksLikeKey(s string) bool {
	if len(s) < guard.ShortestKey {
		return false
	}
	isPins := strings.HasPrefix(s, "sha256//") &&
		!slices.ContainsFunc(kindCommas.split(s), func(pin string) bool { return checkPin(pin) != nil })
	return !isPins && guard.LooksLikeKey(s)
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// only holds for text of these bytes alone.
func only(s, allowed string) bool { return strings.Trim(s, allowed) == "" }

// isNodeName holds for letters and digits of any script, - and _, the first a letter or digit: what is left has a
// meaning in a selector, a dotted key, a threshold or a shell.
func isNodeName(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	}
	return len(s) <= 64 && (unicode.IsLetter(first) || unicode.IsDigit(first)) && !strings.ContainsFunc(s, odd)
}

// checkURL is the rule for a node's address. Whether plain http may be used is decided at dial time, by the address
// that is really dialled. No message repeats any of it: a password may stand in it.
func checkURL(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if address := loopbackURL(s); address != "" {
		return bad("use a URL such as "+address, "")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("use a URL such as https://host/api", "")
	}
	switch {
	case u.User != nil:
		return bad("must not hold a user name or password", refHint)
	case u.Fragment != "" || strings.Contains(s, "#"):
		return bad("must not hold a #fragment", "")
	case u.Scheme == "demo":
		if u.Opaque != "" || u.Host != "" || u.Path != "" {
			return bad("use demo: or demo:?faults", "")
		}
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("use a URL that begins with https:// or http://, or demo:", "")
	case !hasHost(u):
		return bad("use a URL such as https://host/api", "")
	}
	return checkQuery(u.RawQuery)
}

// loopbackURL is the URL of a server on this machine that is given as HOST:PORT, without the path behind it; "" for
// anything else.
func loopbackURL(s string) string {
	at, _, _ := strings.Cut(s, "/")
	host, port, err := net.SplitHostPort(at)
	if err != nil || !only(host, alphanumeric+".:-") || !guard.IsLoopback(host) || checkNumber(port, 65535) != nil {
		return ""
	}
	return "http://" + at
}

// hasHost also holds the port to what a port can be.
func hasHost(u *url.URL) bool {
	if u.Hostname() == "" || strings.ContainsAny(u.Host, " \t\\") || strings.HasSuffix(u.Host, ":") {
		return false
	}
	return u.Port() == "" || checkNumber(u.Port(), 65535) == nil
}

// checkQuery refuses parameters that are credentials: a URL is printed, logged and kept in histories.
func checkQuery(raw string) *Error {
	params, err := url.ParseQuery(raw)
	if err != nil {
		return bad("has a query that cannot be read", "")
	}
	for name := range params {
		if isCredentialName(name) {
			return bad("has a literal key in its query", "use key: or headers: with a reference; "+refHint)
		}
	}
	return nil
}

func isCredentialName(name string) bool {
	name = strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
	words := []string{"key", "sig", "pwd", "pass", "auth", "authorization", "jwt", "bearer", "credential", "credentials"}
	ends := []string{"apikey", "accesskey", "privatekey", "subscriptionkey", "secretkey", "token", "secret", "password", "passwd", "signature"}
	return slices.Contains(words, name) || slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(name, end) })
}

// checkProxy is the rule for a proxy, whose URL may hold a user name and password.
func checkProxy(s string) *Error {
	if s == "none" || s == "" {
		return nil
	}
	if err := checkText(s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	isProxy := err == nil && hasHost(u) && (u.Path == "" || u.Path == "/") && u.RawQuery == "" &&
		!strings.Contains(s, "#") && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
	return want(isProxy, "use none or a URL such as http://host:3128 or socks5h://host:1080")
}

// ShowProxy is a proxy's URL without its password, and without a user that has none: that can be a token.
func ShowProxy(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	rest := s[strings.LastIndex(s, "@"):]
	if password, _ := u.User.Password(); password == "" {
		return u.Scheme + "://***" + rest
	}
	return u.Scheme + "://" + u.User.Username() + ":***" + rest
}

// isWord holds for what may be repeated in a message as a misspelt key or name.
func isWord(s string) bool {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	}
	return s != "" && utf8.RuneCountInString(s) <= 40 && guard.HideKeys(s) == s && !strings.ContainsFunc(s, odd)
}

// meant adds the nearest of names to a message about name, when one is near enough to be what was meant.
func meant(msg, name string, names []string) string {
	if n := Nearest(name, names); n != "" {
		return msg + "; did you mean " + n + "?"
	}
	return msg
}

// Nearest returns the first of names that is name but for a slip or two, or one where it is very short; "" for none.
func Nearest(name string, names []string) string {
	return closest(min(2, utf8.RuneCountInString(name)/2), name, names)
}

// Closest returns the first name at the smallest distance from s, which is at most half of its length, "" for none.
func Closest(s string, names []string) string { return closest(utf8.RuneCountInString(s)/2, s, names) }

// mostCompared is the most characters of a name that is compared: the cost grows with the product of two.
const mostCompared = 40

// closest returns the first name at the smallest distance from s, at most so many and less than the name's length.
func closest(most int, s string, names []string) string {
	best, found := most+1, ""
	if utf8.RuneCountInString(s) > mostCompared {
		return ""
	}
	for _, n := range names {
		if len(n) > 4*mostCompared {
			continue
		}
		if d := distance(s, n); d < best && d < utf8.RuneCountInString(n) {
			best, found = d, n
		}
	}
	return found
}

// distance counts the insertions, deletions, changes and swaps of neighbours that turn a into b (the optimal string
// alignment form of Damerau and Levenshtein).
func distance(a, b string) int {
	s, t := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
			case s[i-1] == t[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j], d[i][j-1], d[i-1][j-1])
			}
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}

func checkHTTP3(s string) *Error {
	return checkOneOf(s, "use true, false or only", "true", "false", "only")
}

func checkPick(s string) *Error { return checkOneOf(s, "use order or fastest", "order", "fastest") }

func checkAddress(s string) *Error {
	if _, err := netip.ParseAddr(s); err != nil {
		return bad("use IP addresses, such as 203.0.113.7", "")
	}
	return nil
}

const maxSystem = 1 << 20

// checkSystem is the rule for a system prompt, which may have lines.
func checkSystem(s string) *Error {
	return want(len(s) <= maxSystem && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0, "use a text of at most 1 MiB, or @FILE")
}

// checkJSON is the rule for a value of any form. What names it can have depends on the node's api: see checkNode.
func checkJSON(s string) *Error { return want(json.Valid([]byte(s)), "is no JSON") }
