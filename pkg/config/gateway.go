package config

import (
	"cmp"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/wire"
)

// Gateway is the section gateway: of the file, from which pkg/gateway writes a reverse proxy. What is empty was not said
// and has no default. No value here can end or begin anything in the syntax of nginx: those are refused, in their place.
type Gateway struct {
	ServerName string
	// Cert and Key are PEM files, Tokens is the file of the callers' tokens; all are whole paths.
	Cert, Key, Tokens string
	// Listen are ports and addresses with a port, as nginx writes them.
	Listen []string
	// HTTP3 says that it takes HTTP/3 on the same ports of UDP.
	HTTP3 bool
	// Prefix begins and ends with a slash.
	Prefix string
	// Upstream are the names of nodes; callers are spread over several.
	Upstream []string
	// Keepalive is how many idle connections to an upstream are kept.
	Keepalive int
	// Rate is what one address may ask for in a second or a minute, Burst how many requests more may come at once.
	Rate  Rate
	Burst int
	// Connections is how many requests of one token may be under way.
	Connections int
	// Logs and Temp are folders; without Temp nginx uses its own.
	Logs, Temp string
	Roles      []Role

	file *File
}

// Role is what the tokens of a name may do.
type Role struct {
	Name        string
	Permissions []string
}

// Permissions are what a role can be given. Each is a method and a path of an API; pkg/gateway knows which.
func Permissions() []string {
	var names []string
	for _, api := range wire.APIs() {
		names = append(names, string(api))
	}
	return slices.Insert(names, 1, "count_tokens", "models")
}

// Gateway gives the file's gateway, its defaults filled in and its paths made whole, or nil where it has none. Whether
// what must be said was said is left to pkg/gateway. It fails with *Error.
func (f *File) Gateway(lookup Lookup) (*Gateway, error) {
	if _, ok := f.marks["gateway"]; !ok {
		return nil, nil
	}
	texts := map[string]string{}
	for _, e := range f.gatewayEntries() {
		texts[e.Key] = e.Value
	}
	text := func(name string) string { return texts["gateway."+name] }
	g := &Gateway{
		ServerName: text("server_name"), Cert: text("cert"), Key: text("key"), Listen: itemsOf(text("listen")),
		HTTP3: text("http3") == "true", Prefix: text("prefix"), Upstream: itemsOf(text("upstream")),
		Keepalive: number(text("keepalive")), Connections: number(text("connections")),
		Tokens: text("tokens"), Logs: text("logs"), Temp: text("temp"), file: f,
	}
	g.Rate, _ = parseGatewayRate(text("rate"))
	g.Burst = number(text("burst"))
	if text("burst") == "" {
		// What people mean by 50 a minute: fifty may come together, and more only as time passes.
		g.Burst = g.Rate.Events - 1
	}
	for _, role := range f.under("gateway.roles") {
		g.Roles = append(g.Roles, Role{role.Key, itemsOf(role.Value)})
	}
	paths := []*string{&g.Cert, &g.Key, &g.Tokens, &g.Logs, &g.Temp}
	for i, key := range []string{"cert", "key", "tokens", "logs", "temp"} {
		if *paths[i] == "" {
			continue
		}
		if fault := f.nginxPath(paths[i], lookup); fault != nil {
			return nil, g.Fault(key, fault.Msg, fault.Hint())
		}
	}
	return g, nil
}

// nginxPath makes a path whole, from the root on: nginx would look for any other in a folder of its own. The folder that a
// path is relative to has a say in it too, so that the rule is asked again.
func (f *File) nginxPath(path *string, lookup Lookup) (fault *Error) {
	if *path, fault = f.wholePath(*path, lookup); fault != nil {
		return fault
	}
	var err error
	if *path, err = NginxPath(*path); err != nil {
		return bad("cannot be made a whole path", "write the whole path")
	}
	return checkNginxPath(*path)
}

// NginxPath is a path from the root on, with the slashes that nginx reads on every system. One that begins with a slash may be of
// the machine on which nginx runs, and stays as it is.
func NginxPath(path string) (string, error) {
	if path = filepath.ToSlash(path); strings.HasPrefix(path, "/") {
		return path, nil
	}
	whole, err := filepath.Abs(path)
	return filepath.ToSlash(whole), err
}

// Says reports whether the section has a key, such as "logs", and not its default.
func (g *Gateway) Says(key string) bool {
	_, said := g.file.marks["gateway."+key]
	return said
}

// Fault is an *Error at the place of a key of the section, such as "cert"; of one value of a list, such as
// "upstream/hongkong"; or of the section itself, where the key was not said.
func (g *Gateway) Fault(key, msg, hint string) *Error {
	name, _, _ := strings.Cut(key, "/")
	e := bad(msg, hint)
	e.File, e.Key = g.file.Path, "gateway."+name
	for _, at := range []string{"gateway." + key, e.Key, "gateway"} {
		if m, ok := g.file.marks[at]; ok {
			e.Line, e.Column = m.line, m.column
			break
		}
	}
	return e
}

// The rules of the gateway's values say what may stand there, not what may not: nginx has no way of quoting a dollar, and
// its next release may read a character as its own that this one does not.

// checkServerName wants a host's name (RFC 1123 section 2.1). An address has no place in TLS's server name, and a
// wildcard would answer for names that were not meant.
func checkServerName(s string) *Error {
	_, err := netip.ParseAddr(s)
	isName := err != nil && s != "" && len(s) <= 253
	for label := range strings.SplitSeq(s, ".") {
		isName = isName && label != "" && len(label) <= 63 && strings.Trim(label, "-") == label &&
			only(label, alphanumeric+"-")
	}
	return want(isName, "use a host's name such as ai.example.com")
}

// checkNginxPath wants a path that nginx reads as it stands, include included, where * ? and [ would match other files.
func checkNginxPath(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	s = filepath.ToSlash(s) // as it is written
	if i := strings.IndexAny(s, "\"'\\$;{}#*?[]`"); i >= 0 {
		return bad("has a "+strconv.QuoteRune(rune(s[i]))+", which nginx would read as its own", "use a plain path")
	}
	return nil
}

func checkListen(s string) *Error {
	port := s[strings.LastIndexByte(s, ':')+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	isPort := err == nil && n > 0 && port[0] != '0'
	if port != s {
		at, err := netip.ParseAddrPort(s)
		isPort = isPort && err == nil && at.Addr().Zone() == "" && !at.Addr().Is4In6()
	}
	return want(isPort, `use a port or an address with a port, such as 443 or "[::]:443"`)
}

func checkPrefix(s string) *Error {
	isPath := s == "/" || strings.HasPrefix(s, "/") && path.Clean(s)+"/" == s
	return want(isPath && len(s) <= 128 && only(s, alphanumeric+"-_.~/"),
		"use a path such as /api/, with a slash at both ends and plain words between")
}

// checkUpstream wants the name of a node that has an address of its own.
func checkUpstream(s string) *Error {
	return want(isNodeName(s) && s != "demo", "use the names of nodes in this file")
}

func checkGatewayBurst(s string) *Error {
	return want(s == "0" || checkNumber(s, 1000000) == nil, "use a whole number from 0 to 1000000")
}

// parseGatewayRate reads a rate by the second or the minute: nginx has no other measure.
func parseGatewayRate(s string) (Rate, *Error) {
	rate, err := parseRate(s)
	if err != nil || rate.Per != time.Second && rate.Per != time.Minute {
		return Rate{}, bad("use a number of requests per second or minute, such as 50/min", "")
	}
	return rate, nil
}

func checkGatewayRate(s string) *Error {
	_, err := parseGatewayRate(s)
	return err
}

// checkRole wants a small word: the name stands in nginx's map, where the case of letters would not count.
func checkRole(s string) *Error {
	isSmall := s == "" || s[0] >= 'a' && s[0] <= 'z' && s == strings.ToLower(s) && only(s, alphanumeric+"-_")
	return cmp.Or(want(isSmall, "use a name of small letters, digits, - and _"),
		want(s != "" && len(s) <= 32, "use a name of 1 to 32 letters"))
}

func checkPermission(s string) *Error {
	if slices.Contains(Permissions(), s) {
		return nil
	}
	return bad(meant("unknown permission", s, Permissions()), "there are "+strings.Join(Permissions(), ", "))
}
