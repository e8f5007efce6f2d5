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

// Gateway is the gateway: section of the file, from which pkg/gateway generates a reverse proxy. An empty field was
// not set and has no default. No value can end or begin anything in nginx's syntax: such values are refused at their
// position.
type Gateway struct {
	ServerName string
	// Cert and Key are PEM files, Tokens is the file of the callers' API tokens. All are absolute paths.
	Cert, Key, Tokens string
	// Listen contains ports and addresses with a port, in nginx's form.
	Listen []string
	// HTTP3 reports whether HTTP/3 is accepted on the same ports over UDP.
	HTTP3 bool
	// Prefix begins and ends with a slash.
	Prefix string
	// Upstream contains names of nodes. Callers are distributed over them.
	Upstream []string
	// Keepalive is the number of idle connections kept to an upstream.
	Keepalive int
	// Rate is the rate limit of one address, per second or minute. Burst is how many more requests may arrive at once.
	Rate  Rate
	Burst int
	// Connections is the maximum number of concurrent requests of one token.
	Connections int
	// Logs and Temp are folders; without Temp nginx uses its own.
	Logs, Temp string
	Roles      []Role

	file *File
}

// Role is a named set of permissions for tokens.
type Role struct {
	Name        string
	Permissions []string
}

// Permissions returns the permissions that a role can have. Each is a method and a path of an API, defined in
// pkg/gateway.
func Permissions() []string {
	var names []string
	for _, api := range wire.APIs() {
		names = append(names, string(api))
	}
	return slices.Insert(names, 1, "count_tokens", "models")
}

// Gateway returns the file's gateway with defaults and absolute paths, or nil if the file has none. pkg/gateway checks
// whether the required values are set. Errors are *Error.
func (f *File) Gateway(lookup Lookup) (*Gateway, error) {
	if _, ok := f.positions["gateway"]; !ok {
		return nil, nil
	}
	values := map[string]string{}
	for _, e := range f.gatewayEntries() {
		values[e.Key] = e.Value
	}
	text := func(name string) string { return values["gateway."+name] }
	g := &Gateway{
		ServerName: text("server_name"), Cert: text("cert"), Key: text("key"), Listen: itemsOf(text("listen")),
		HTTP3: text("http3") == "true", Prefix: text("prefix"), Upstream: itemsOf(text("upstream")),
		Keepalive: number(text("keepalive")), Connections: number(text("connections")),
		Tokens: text("tokens"), Logs: text("logs"), Temp: text("temp"), file: f,
	}
	g.Rate, _ = parseGatewayRate(text("rate"))
	g.Burst = number(text("burst"))
	if text("burst") == "" {
		// This is the usual meaning of 50 a minute: fifty may arrive together, and more only as time passes.
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

// nginxPath makes a path absolute, because nginx resolves a relative path against a folder of its own. The rule is
// applied again to the result, because the folder that the path is relative to can also break it.
func (f *File) nginxPath(path *string, lookup Lookup) (fault *Error) {
	if *path, fault = f.absPath(*path, lookup); fault != nil {
		return fault
	}
	var err error
	if *path, err = NginxPath(*path); err != nil {
		return newError("cannot be made an absolute path", "write the absolute path")
	}
	return checkNginxPath(*path)
}

// NginxPath returns an absolute path with the slashes that nginx uses on every system. A path that begins with a slash
// may belong to the machine on which nginx runs, and is returned unchanged.
func NginxPath(path string) (string, error) {
	if path = filepath.ToSlash(path); strings.HasPrefix(path, "/") {
		return path, nil
	}
	whole, err := filepath.Abs(path)
	return filepath.ToSlash(whole), err
}

// IsSet reports whether the file sets a key of the section, such as "logs". A default does not count.
func (g *Gateway) IsSet(key string) bool {
	_, isSet := g.file.positions["gateway."+key]
	return isSet
}

// Fault returns an *Error at the position of a key of the section, such as "cert"; of one value of a list, such as
// "upstream/hongkong"; or of the section itself if the key is not set.
func (g *Gateway) Fault(key, msg, hint string) *Error {
	name, _, _ := strings.Cut(key, "/")
	e := newError(msg, hint)
	e.File, e.Key = g.file.Path, "gateway."+name
	for _, at := range []string{"gateway." + key, e.Key, "gateway"} {
		if m, ok := g.file.positions[at]; ok {
			e.Line, e.Column = m.line, m.column
			break
		}
	}
	return e
}

// FaultOf is Fault with the error that caused it.
func (g *Gateway) FaultOf(cause error, key, msg, hint string) *Error {
	e := g.Fault(key, msg, hint)
	e.Err = cause
	return e
}

// Except for paths, the rules of the gateway's values list what is allowed, not what is forbidden: nginx cannot quote
// a dollar sign, and a later release of nginx may give a meaning to a character that has none in this release.

// checkServerName requires a host name (RFC 1123 section 2.1). An IP address is not allowed in TLS's server name, and
// a wildcard would answer for unintended names.
func checkServerName(s string) *Error {
	_, err := netip.ParseAddr(s)
	isName := err != nil && s != "" && len(s) <= 253
	for label := range strings.SplitSeq(s, ".") {
		isName = isName && label != "" && len(label) <= 63 && strings.Trim(label, "-") == label &&
			containsOnly(label, alphanumeric+"-")
	}
	return require(isName, "use a host's name such as ai.example.com")
}

// checkNginxPath requires a path that nginx reads literally, also in include, where * ? and [ would match other files.
func checkNginxPath(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	s = filepath.ToSlash(s) // as it is written for nginx
	if i := strings.IndexAny(s, "\"'\\$;{}#*?[]`"); i >= 0 {
		return newError("has a "+strconv.QuoteRune(rune(s[i]))+", which has a special meaning for nginx", "use a plain path")
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
	return require(isPort, `use a port or an address with a port, such as 443 or "[::]:443"`)
}

func checkPrefix(s string) *Error {
	isPath := s == "/" || strings.HasPrefix(s, "/") && path.Clean(s)+"/" == s
	return require(isPath && len(s) <= 128 && containsOnly(s, alphanumeric+"-_.~/"),
		"use a path such as /api/, with a slash at both ends and plain words between")
}

// checkUpstream requires the name of a node that has an address of its own.
func checkUpstream(s string) *Error {
	return require(isNodeName(s) && s != "demo", "use the names of nodes in this file")
}

func checkGatewayBurst(s string) *Error {
	return require(s == "0" || checkNumber(s, 1000000) == nil, "use a whole number from 0 to 1000000")
}

// parseGatewayRate reads a rate per second or minute: nginx has no other units.
func parseGatewayRate(s string) (Rate, *Error) {
	rate, err := parseRate(s)
	if err != nil || rate.Per != time.Second && rate.Per != time.Minute {
		return Rate{}, newError("use a number of requests per second or minute, such as 50/min", "")
	}
	return rate, nil
}

func checkGatewayRate(s string) *Error {
	_, err := parseGatewayRate(s)
	return err
}

// checkRole requires a lowercase word: the name is used in an nginx map, which ignores case.
func checkRole(s string) *Error {
	isSmall := s == "" || s[0] >= 'a' && s[0] <= 'z' && s == strings.ToLower(s) && containsOnly(s, alphanumeric+"-_")
	return cmp.Or(require(isSmall, "use a name of small letters, digits, - and _"),
		require(s != "" && len(s) <= 32, "use a name of 1 to 32 letters"))
}

func checkPermission(s string) *Error {
	if slices.Contains(Permissions(), s) {
		return nil
	}
	return newError(didYouMean("unknown permission", s, Permissions()), "the permissions are "+strings.Join(Permissions(), ", "))
}
