// Package gateway owns the reverse proxy between many callers and one model API: it turns the section gateway: of the
// configuration, its nodes and its roles into a configuration of nginx, keeps the callers' tokens, and puts both into
// files. It refuses to start, reload or ask nginx, to read a node's key by itself, and to write anything where one value
// is not as it must be.
//
// No value is ever escaped into nginx's syntax where a rule can refuse it instead. The one exception is what must be
// taken as it is, the keys: they stand in a block of the kind geo, whose values nginx does not expand.
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
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Node is one upstream as the gateway sends to it.
type Node struct {
	config.Node // the paths of its TLS settings are whole, and CA is never empty
	// Headers carry the key and what else the node wants sent. Their values may be empty where only the public part of
	// the configuration is wanted.
	Headers []Header
}

// Header is a header that the gateway adds. Its value may be secret.
type Header struct{ Name, Value string }

// NewNode is a node that g names, with whole paths of its TLS settings. It fails with *config.Error at the node's name.
func NewNode(g *config.Gateway, node config.Node) (Node, error) {
	n := Node{Node: node}
	n.TLS.Groups = "" // nginx offers its own
	for _, path := range []*string{&n.TLS.CA, &n.TLS.Cert, &n.TLS.Key} {
		if *path == "" {
			continue
		}
		var err error
		if *path, err = config.NginxPath(*path); err != nil {
			fault := g.Fault("upstream/"+node.Name, "has a tls path that cannot be made whole", "")
			fault.Err = err
			return n, fault
		}
	}
	if n.TLS.CA = cmp.Or(n.TLS.CA, systemBundle()); n.TLS.CA == "" {
		const msg = "names a node without a tls.ca, and the system's authorities are not in a usual place"
		return n, g.Fault("upstream/"+node.Name, msg, "ferry config set tls.ca PATH")
	}
	return n, nil
}

// systemBundle is where this system keeps its authorities in one file, which is all that nginx takes: Debian, Fedora,
// Alpine and the BSDs, openSUSE.
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

// The files that a gateway consists of, beside the file of the tokens.
const (
	MainFile = "nginx.conf"
	KeysFile = "keys.conf"
)

// Files are a whole configuration of nginx. Main is public; Keys holds the keys of the nodes. Main includes Keys by a
// relative name, so that the two stay together.
type Files struct{ Main, Keys []byte }

// plan is what the text is written from.
type plan struct {
	*config.Gateway
	Nodes  []upstream
	Routes []route
}

// upstream is a node in the words of nginx.
type upstream struct {
	Node
	Block  string // the name of its block
	Server string // host:port
	SNI    string // the name in the certificate
	Host   string // the Host header
	Base   string // the path before the API's, without a slash at its end
}

// Generate writes the configuration for the nodes that g names, in its order. It reads the certificate, and looks for the
// folder of the logs, to see that nginx will be able to use them, and reads no other file. It fails with *config.Error, at
// the place of the key at fault.
func Generate(g *config.Gateway, nodes []Node) (*Files, error) {
	if err := checkRequired(g); err != nil {
		return nil, err
	}
	if err := checkCertificate(g); err != nil {
		return nil, err
	}
	if err := checkLogs(g); err != nil {
		return nil, err
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
	if err := checkAgree(p); err != nil {
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
		{"cert", "the PEM file with the certificate and those above it", g.Cert == ""},
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

// checkCertificate finds out now what nginx, or the first caller, would find out later.
func checkCertificate(g *config.Gateway) *config.Error {
	for _, file := range []struct{ key, path string }{{"cert", g.Cert}, {"key", g.Key}} {
		if _, err := os.Stat(file.path); err != nil {
			fault := g.Fault(file.key, "names a file that cannot be read", "it is looked at here before nginx is given it")
			fault.Err = state.Bare(err)
			return fault
		}
	}
	pair, err := tls.LoadX509KeyPair(g.Cert, g.Key)
	if err != nil {
		fault := g.Fault("cert", "does not work with the key", "")
		fault.Err = state.Bare(err)
		return fault
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil || leaf.VerifyHostname(g.ServerName) != nil {
		return g.Fault("cert", "is no certificate of "+g.ServerName, "server_name and the certificate must agree")
	}
	return nil
}

// checkLogs finds out now that the folder of the logs is missing, which nginx does not make. The default is nginx's own: it
// comes with nginx, which may be installed later.
func checkLogs(g *config.Gateway) *config.Error {
	if !g.Says("logs") {
		return nil
	}
	info, err := os.Stat(g.Logs)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "mkdir -p " + text.ShellWord(g.Logs)
		}
		fault := g.Fault("logs", "names a folder that cannot be used", hint)
		fault.Err = state.Bare(err)
		return fault
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
			return fault("has no address of its own", "")
		case at.Scheme != "https":
			return fault("has no TLS", "its url has to begin with https://")
		case at.RawQuery != "":
			return fault("has a query in its url", "a gateway cannot send it along; give the node another url")
		case n.Proxy != "" && n.Proxy != "none":
			return fault("is behind a proxy", "nginx sends through none")
		}
		port := at.Port()
		if u.Host = at.Host; port == "" {
			port = "443"
		}
		u.SNI, u.Base = at.Hostname(), at.EscapedPath()
		u.Server = u.SNI + ":" + port
		if !isHost(u.SNI) {
			return fault("has an address that is no host's name", "nginx checks the certificate against a name")
		}
		if !isPlainPath(u.Base) {
			return fault("has a path that nginx would read as its own", "letters, digits, - _ . ~ and / are taken")
		}
		for _, h := range n.Headers {
			if !isPlainWord(h.Name) {
				return fault("has a header whose name nginx would read as its own", "letters, digits and - are taken")
			}
			if len(h.Value) > maxValue {
				return fault("has a key or header that is too long for nginx", "at most "+strconv.Itoa(maxValue)+" bytes")
			}
		}
		p.Nodes = append(p.Nodes, u)
	}
	return nil
}

// maxValue is how long a key may be: nginx reads no word of 4096 bytes or more, and quotes may double it.
const maxValue = 2000

// checkAgree holds several nodes to what one server block can say only once.
func checkAgree(p *plan) *config.Error {
	first := p.Nodes[0]
	for i, u := range p.Nodes {
		key := "upstream/" + p.Upstream[i]
		for _, path := range []string{u.TLS.CA, u.TLS.Cert, u.TLS.Key} {
			if !isPlainFile(path) {
				return p.Fault(key, "node "+u.Name+" has a tls path that nginx would read as its own", "use a plain path")
			}
		}
		if u.TLS != first.TLS {
			return p.Fault(key, "node "+u.Name+" has other tls settings than "+first.Name,
				"nginx has one set of them for all upstreams")
		}
		if u.API.Dialect().Facts().ModelsPath != first.API.Dialect().Facts().ModelsPath {
			return p.Fault(key, "node "+u.Name+" speaks another API than "+first.Name,
				"a gateway has one; write another gateway for it")
		}
	}
	return nil
}

// route is what a permission opens: one method on one path, behind the gateway's prefix and behind the node's address.
type route struct{ Permission, Method, Path string }

// routesOf are all routes under the address of an API: those of each API that lists its models there too, as the
// script's complete does beside messages.
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

// find gives the place of a permission's route, -1 where there is none.
func find(routes []route, permission string) int {
	return slices.IndexFunc(routes, func(r route) bool { return r.Permission == permission })
}

// addRoutes keeps the routes that some role has: the others need not be there.
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

// only holds for text of these bytes alone.
func only(s, allowed string) bool { return strings.Trim(s, allowed) == "" }

func isPlainWord(s string) bool { return s != "" && only(s, wordBytes) }

func isPlainPath(s string) bool { return only(s, wordBytes+"./~") && !strings.Contains(s, "//") }

// isPlainFile holds for a path that config allows, and for "".
func isPlainFile(s string) bool { return !strings.ContainsAny(s, "\"'\\$;{}#*?[]`\r\n\x00") }

// isHost holds for a name, not for an address: OpenSSL, as nginx calls it, never finds an address in a certificate.
func isHost(s string) bool {
	return s != "" && only(s, wordBytes+".") && !only(s, "0123456789.")
}

// quoted is a word of nginx's in double quotes. Only values of geo pass here unchecked: nginx expands no variable there.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
