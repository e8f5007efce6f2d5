// Package gateway owns the reverse proxy between many callers and one model API. It converts the gateway: section of
// the configuration, its nodes and its roles to an nginx configuration, manages the callers' API tokens, and writes
// both to files. It does not start, reload or query nginx, does not read a node's key itself, and writes nothing if
// any value is invalid.
//
// Values are refused rather than escaped for nginx's syntax. The only exception is the keys, which must be used
// unchanged: they are in a geo block, where nginx expands no variables.
package gateway

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/state"
	"ferry/pkg/wire"
)

// Node is one upstream of the gateway.
type Node struct {
	config.Node // its TLS paths are absolute; CA is "" if the node has none and the system has no bundle
	// Headers are the key and other headers that the node needs. Their values may be empty if only the public part of the
	// configuration is wanted.
	Headers []Header
}

// Header is a header that the gateway adds. Its value may be secret.
type Header struct{ Name, Value string }

// NewNode returns a node that g names, with absolute TLS paths. Errors are *config.Error at the node's name.
func NewNode(g *config.Gateway, node config.Node) (Node, error) {
	n := Node{Node: node}
	n.TLS.Groups = "" // nginx uses its own
	for _, path := range []*string{&n.TLS.CA, &n.TLS.Cert, &n.TLS.Key} {
		if *path == "" {
			continue
		}
		var err error
		if *path, err = config.NginxPath(*path); err != nil {
			return n, g.FaultOf(err, "upstream/"+node.Name, "has a tls path that cannot be made absolute", "")
		}
	}
	n.TLS.CA = cmp.Or(n.TLS.CA, systemBundle())
	return n, nil
}

// systemBundle returns the path of the system's CA bundle, because nginx accepts only a single file: Debian, Fedora,
// Alpine and the BSDs, openSUSE. It returns "" if there is none, as on Windows.
func systemBundle() string {
	for _, path := range []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem",
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// The files of a gateway, besides the file of API tokens.
const (
	MainFile = "nginx.conf"
	KeysFile = "keys.conf"
)

// Files is a complete nginx configuration. Main is public; Keys contains the keys of the nodes. Main includes Keys by
// a relative name, so that both stay in one folder.
type Files struct{ Main, Keys []byte }

// plan contains everything that the text is generated from.
type plan struct {
	*config.Gateway
	Nodes  []upstream
	Routes []route
}

// upstream is a node in nginx's terms.
type upstream struct {
	Node
	Block  string // the name of its block
	Server string // host:port
	SNI    string // the name in the certificate
	Host   string // the Host header
	Base   string // the path before the API's path, without a trailing slash
}

// Generate returns the configuration for the nodes that g names, in the order of g. To make sure that nginx can use
// them, it reads the certificate and checks the log folder; it reads no other file. Errors are *config.Error at the
// invalid key.
func Generate(g *config.Gateway, nodes []Node) (*Files, error) {
	for _, check := range []func(*config.Gateway) *config.Error{checkRequired, checkCertificate, checkLogs} {
		if err := check(g); err != nil {
			return nil, err
		}
	}
	p, err := newPlan(g, nodes)
	if err != nil {
		return nil, err
	}
	return &Files{Main: p.main(), Keys: p.keys()}, nil
}

func newPlan(g *config.Gateway, nodes []Node) (*plan, error) {
	p := &plan{Gateway: g}
	if err := p.addNodes(nodes); err != nil {
		return nil, err
	}
	if err := checkSameSettings(p); err != nil {
		return nil, err
	}
	if err := p.addRoutes(); err != nil {
		return nil, err
	}
	return p, nil
}

func checkRequired(g *config.Gateway) *config.Error {
	for _, need := range []struct {
		key, hint string
		missing   bool
	}{
		{"server_name", "the name that callers use, such as ai.example.com", g.ServerName == ""},
		{"cert", "the PEM file with the certificate chain", g.Cert == ""},
		{"key", "the PEM file with the certificate's private key", g.Key == ""},
		{"upstream", "the name of a node, or a list of names", len(g.Upstream) == 0},
		{"roles", "what tokens may do, such as {dev: [messages, models]}", len(g.Roles) == 0},
	} {
		if need.missing {
			return g.Fault(need.key, "is required", need.hint)
		}
	}
	return nil
}

// checkCertificate detects problems that would otherwise appear only in nginx or at the first caller.
func checkCertificate(g *config.Gateway) *config.Error {
	for _, file := range []struct{ key, path string }{{"cert", g.Cert}, {"key", g.Key}} {
		if _, err := os.Stat(file.path); err != nil {
			return g.FaultOf(state.StripPath(err), file.key, "names a file that cannot be read",
				"ferry checks the file before it writes the configuration of nginx")
		}
	}
	pair, err := tls.LoadX509KeyPair(g.Cert, g.Key)
	if err != nil {
		return g.FaultOf(state.StripPath(err), "cert", "does not work with the key", "")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil || leaf.VerifyHostname(g.ServerName) != nil {
		return g.Fault("cert", "is not a certificate for "+g.ServerName, "server_name and the certificate must agree")
	}
	return nil
}

// checkLogs detects a missing log folder, because nginx does not create it. The default is nginx's own folder. It is
// not checked, because nginx may be installed later.
func checkLogs(g *config.Gateway) *config.Error {
	if !g.IsSet("logs") {
		return nil
	}
	info, err := os.Stat(g.Logs)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = mkdirCommand(g.Logs)
		}
		return g.FaultOf(state.StripPath(err), "logs", "names a folder that cannot be used", hint)
	}
	if !info.IsDir() {
		return g.Fault("logs", "names a file", "name the folder; nginx puts access.log and error.log into it")
	}
	return nil
}

func (p *plan) addNodes(nodes []Node) *config.Error {
	for i, n := range nodes {
		fault := func(msg, hint string) *config.Error {
			return p.Fault("upstream/"+p.Upstream[i], "node "+n.Name+" "+msg, hint)
		}
		u := upstream{Node: n, Block: "ferry_upstream_" + strconv.Itoa(i+1)}
		at, err := n.Address()
		switch {
		case err != nil || n.IsDemo():
			return fault("has no network address", "")
		case at.Scheme != "https":
			return fault("has no TLS", "its url has to begin with https://")
		case n.TLS.CA == "":
			return fault("has no tls.ca, and the system's CA bundle is not in a usual place", "ferry config set tls.ca PATH")
		case at.RawQuery != "":
			return fault("has a query in its url", "a gateway cannot forward it; give the node another url")
		case n.Proxy != "" && n.Proxy != "none":
			return fault("is behind a proxy", "nginx does not use a proxy")
		}
		u.Host, u.SNI, u.Base = at.Host, at.Hostname(), at.EscapedPath()
		u.Server = u.SNI + ":" + cmp.Or(at.Port(), "443")
		if !isHost(u.SNI) {
			return fault("has an address that is not a host name", "nginx checks the certificate against a name")
		}
		if !isPlainPath(u.Base) {
			return fault("has a path with characters that are special in nginx", "letters, digits, - _ . ~ and / are allowed")
		}
		for _, h := range n.Headers {
			if !isPlainWord(h.Name) {
				return fault("has a header whose name has characters that are special in nginx", "letters, digits and - are allowed")
			}
			if len(h.Value) > maxValue {
				return fault("has a key or header that is too long for nginx", "at most "+strconv.Itoa(maxValue)+" bytes")
			}
		}
		p.Nodes = append(p.Nodes, u)
	}
	return nil
}

// maxValue is the maximum length of a key: nginx reads no word of 4096 bytes or more, and quoting may double the
// length.
const maxValue = 2000

// checkSameSettings checks that all nodes agree on the settings that a server block can have only once.
func checkSameSettings(p *plan) *config.Error {
	first := p.Nodes[0]
	for i, u := range p.Nodes {
		key := "upstream/" + p.Upstream[i]
		for _, path := range []string{u.TLS.CA, u.TLS.Cert, u.TLS.Key} {
			if !isPlainFile(path) {
				return p.Fault(key, "node "+u.Name+" has a tls path with characters that are special in nginx", "use a plain path")
			}
		}
		if u.TLS != first.TLS {
			return p.Fault(key, "node "+u.Name+" has other tls settings than "+first.Name,
				"nginx uses the same tls settings for all upstreams")
		}
		if u.API.Dialect().Facts().ModelsPath != first.API.Dialect().Facts().ModelsPath {
			return p.Fault(key, "node "+u.Name+" speaks another API than "+first.Name,
				"a gateway has one; write another gateway for it")
		}
	}
	return nil
}

// route is what a permission allows: one method on one path, after the gateway's prefix and the node's address.
type route struct{ Permission, Method, Path string }

// routesOf returns all routes under the address of an API: the routes of each API that lists its models at the same
// path, such as complete and messages.
func routesOf(api wire.API) []route {
	models := api.Dialect().Facts().ModelsPath
	var routes []route
	for _, other := range wire.APIs() {
		d := other.Dialect()
		if d.Facts().ModelsPath != models {
			continue
		}
		isFirst := len(routes) == 0
		routes = append(routes, route{string(other), "POST", d.Facts().Path[1:]})
		if other == wire.Messages {
			routes = append(routes, route{"count_tokens", "POST", d.Facts().Path[1:] + "/count_tokens"})
		}
		if isFirst {
			routes = append(routes, route{"models", "GET", models[1:]})
		}
	}
	return routes
}

// find returns the index of a permission's route, or -1.
func find(routes []route, permission string) int {
	return slices.IndexFunc(routes, func(r route) bool { return r.Permission == permission })
}

// addRoutes adds only the routes that some role has.
func (p *plan) addRoutes() *config.Error {
	var granted []string
	routes := routesOf(p.Nodes[0].API)
	for _, role := range p.Roles {
		for _, name := range role.Permissions {
			if find(routes, name) < 0 {
				return p.Fault("roles."+role.Name+"/"+name,
					"the permission "+name+" is for another API than "+p.Nodes[0].Name+" speaks", "")
			}
			granted = append(granted, name)
		}
	}
	p.Routes = slices.DeleteFunc(routes, func(r route) bool { return !slices.Contains(granted, r.Permission) })
	return nil
}

const wordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// containsOnly reports whether s contains only bytes of allowed.
func containsOnly(s, allowed string) bool { return strings.Trim(s, allowed) == "" }

func isPlainWord(s string) bool { return s != "" && containsOnly(s, wordBytes) }

func isPlainPath(s string) bool {
	return containsOnly(s, wordBytes+"./~") && !strings.Contains(s, "//")
}

// isPlainFile reports whether s is a path that config allows, or "".
func isPlainFile(s string) bool { return !strings.ContainsAny(s, "\"'\\$;{}#*?[]`\r\n\x00") }

// isHost reports whether s is a name and not an IP address: as nginx calls it, OpenSSL never finds an IP address in a
// certificate.
func isHost(s string) bool {
	return s != "" && containsOnly(s, wordBytes+".") && !containsOnly(s, "0123456789.")
}

// quoted returns s as an nginx word in double quotes. Only values of geo may be unchecked, because nginx expands no
// variables there.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
