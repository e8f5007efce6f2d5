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

// checkText is the rule for all text: not empty, one line, within the size limit, and not like a key.
func checkText(s string) *Error {
	switch {
	case strings.TrimSpace(s) == "":
		return newError("has no value", "")
	case len(s) > maxText:
		return newError("is longer than 4096 bytes", "")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return newError("has a line break or a control character", "")
	case looksLikeKey(s):
		return newError("this looks like a key to an API, and is not shown", refHint)
	}
	return nil
}

// require returns an error with msg unless cond is true.
func require(cond bool, msg string) *Error {
	if cond {
		return nil
	}
	return newError(msg, "")
}

// checkSelector checks the form of a node selector. Select checks whether there is such a node.
func checkSelector(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if isURL(s) || strings.HasPrefix(s, "demo:") {
		return checkURL(s)
	}
	if !isNodeName(strings.TrimPrefix(s, "demo/")) {
		if address := loopbackURL(s); address != "" {
			return newError("use a URL such as "+address, "")
		}
		return newError("use a node's name, demo, or a URL that begins with https://", "")
	}
	return nil
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }

// looksLikeKey applies guard's rule for a public setting. The file may contain only references; this check also
// catches a key that was pasted into a label, a URL or a reference. Pins are hashes of public keys, which may contain
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

// containsOnly reports whether s contains only bytes of allowed.
func containsOnly(s, allowed string) bool { return strings.Trim(s, allowed) == "" }

// isNodeName reports whether s has only letters and digits of any script, - and _, and begins with a letter or digit.
// All other characters have a meaning in a selector, a dotted key, a threshold or a shell.
func isNodeName(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	}
	return len(s) <= 64 && (unicode.IsLetter(first) || unicode.IsDigit(first)) && !strings.ContainsFunc(s, odd)
}

// checkURL is the rule for a node's address. Whether plain http is allowed is decided at dial time, from the address
// actually dialed. No message repeats any part of the address, because it may contain a password.
func checkURL(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if address := loopbackURL(s); address != "" {
		return newError("use a URL such as "+address, "")
	}
	u, err := url.Parse(s)
	if err != nil {
		return newError("use a URL such as https://host/api", "")
	}
	switch {
	case u.User != nil:
		return newError("must not contain a user name or password", refHint)
	case u.Fragment != "" || strings.Contains(s, "#"):
		return newError("must not contain a #fragment", "")
	case u.Scheme == "demo":
		if u.Opaque != "" || u.Host != "" || u.Path != "" {
			return newError("use demo: or demo:?faults", "")
		}
	case u.Scheme != "https" && u.Scheme != "http":
		return newError("use a URL that begins with https:// or http://, or demo:", "")
	case !hasHost(u):
		return newError("use a URL such as https://host/api", "")
	}
	return checkQuery(u.RawQuery)
}

// loopbackURL returns the URL, without the path, of a server on this machine that is given as HOST:PORT, or "".
func loopbackURL(s string) string {
	at, _, _ := strings.Cut(s, "/")
	host, port, err := net.SplitHostPort(at)
	if err != nil || !containsOnly(host, alphanumeric+".:-") || !guard.IsLoopback(host) || checkNumber(port, 65535) != nil {
		return ""
	}
	return "http://" + at
}

// hasHost reports whether u has a host name without spaces, and a valid port or none.
func hasHost(u *url.URL) bool {
	if u.Hostname() == "" || strings.ContainsAny(u.Host, " \t\\") || strings.HasSuffix(u.Host, ":") {
		return false
	}
	return u.Port() == "" || checkNumber(u.Port(), 65535) == nil
}

// checkQuery refuses parameters that are credentials: URLs are printed, logged and kept in histories.
func checkQuery(raw string) *Error {
	params, err := url.ParseQuery(raw)
	if err != nil {
		return newError("has a query that cannot be read", "")
	}
	for name := range params {
		if isCredentialName(name) {
			return newError("has a literal key in its query", "use key: or headers: with a reference; "+refHint)
		}
	}
	return nil
}

func isCredentialName(name string) bool {
	name = strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
	words := []string{"key", "sig", "pwd", "pass", "auth", "authorization", "jwt", "bearer", "credential", "credentials"}
	ends := []string{"apikey", "accesskey", "privatekey", "subscriptionkey", "secretkey", "token", "secret", "password", "passwd", "signature",
		"auth", "authkey", "authorization", "functionskey", "masterkey", "litellmkey"}
	return slices.Contains(words, name) || slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(name, end) })
}

// checkProxy is the rule for a proxy, whose URL may contain a user name and password.
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
	return require(isProxy, "use none or a URL such as http://host:3128 or socks5h://host:1080")
}

// ShowProxy returns a proxy's URL without its password. A user name without a password is also hidden, because it can
// be a token.
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

// isWord reports whether a message may repeat s as a misspelled key or name.
func isWord(s string) bool {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	}
	return s != "" && utf8.RuneCountInString(s) <= 40 && guard.HideKeys(s) == s && !strings.ContainsFunc(s, odd)
}

// didYouMean adds the nearest of names to a message about name, if one is similar enough.
func didYouMean(msg, name string, names []string) string {
	if n := TypoOf(name, names); n != "" {
		return msg + "; did you mean " + n + "?"
	}
	return msg
}

// TypoOf returns which of the names is probably meant by a mistyped name, or "": the first at the smallest distance. The
// distance is at most 2 and at most half of the length of name.
func TypoOf(name string, names []string) string {
	return nearest(min(2, utf8.RuneCountInString(name)/2), name, names)
}

// NearestName returns the first of the names at the smallest distance from s, or "". The distance is at most half of
// the length of s.
func NearestName(s string, names []string) string {
	return nearest(utf8.RuneCountInString(s)/2, s, names)
}

// maxCompared is the maximum length of a typed name in characters. A name to compare it with may have four times as
// many bytes. The cost grows with the product of two lengths.
const maxCompared = 40

// nearest returns the first of the names at the smallest distance from s, or "". The distance is at most limit and
// less than the length of the name.
func nearest(limit int, s string, names []string) string {
	best, found := limit+1, ""
	if utf8.RuneCountInString(s) > maxCompared {
		return ""
	}
	for _, n := range names {
		if len(n) > 4*maxCompared {
			continue
		}
		if d := distance(s, n); d < best && d < utf8.RuneCountInString(n) {
			best, found = d, n
		}
	}
	return found
}

// distance counts the insertions, deletions, substitutions and swaps of neighbors that turn a into b (the optimal
// string alignment variant of the Damerau-Levenshtein distance).
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
	_, err := netip.ParseAddr(s)
	return require(err == nil, "use IP addresses, such as 203.0.113.7")
}

const maxSystem = 1 << 20

// checkSystem is the rule for a system prompt, which may have several lines.
func checkSystem(s string) *Error {
	return require(len(s) <= maxSystem && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0, "use a text of at most 1 MiB, or @FILE")
}

// checkJSON is the rule for a value of any type. Its valid names depend on the node's api: see checkNode.
func checkJSON(s string) *Error { return require(json.Valid([]byte(s)), "is not JSON") }
