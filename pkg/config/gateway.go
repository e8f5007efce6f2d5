package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
	// Prefix begins and ends with a slash.
	Prefix string
	// Upstream are the names of nodes; callers are spread over several.
	Upstream []string
	// Keepalive is how many idle connections to an upstream are kept.
	Keepalive int
	// Rate is what one address may ask for in the long run, Burst how many requests more may come at once.
	Rate  GatewayRate
	Burst int
	// Connections is how many requests of one token may be under way.
	Connections int
	// Logs and Temp are folders; without Temp nginx uses its own.
	Logs, Temp string
	Roles      []Role

	file  *File
	texts map[string]string // by key: what was said
	marks map[string]mark   // by key, by key/item and for the section itself by ""
}

// mark is a place in the file.
type mark struct{ line, column int }

// Role is what the tokens of a name may do.
type Role struct {
	Name        string
	Permissions []string
}

// GatewayRate is a number of requests per "second" or "minute": nginx has no other measure.
type GatewayRate struct {
	Requests int
	Per      string
}

// Permissions are what a role can be given. Each is a method and a path of an API; pkg/gateway knows which.
func Permissions() []string {
	var names []string
	for _, api := range wire.APIs() {
		names = append(names, string(api))
	}
	return slices.Insert(names, 1, "count_tokens", "models")
}

// gatewayField is one key of the section.
type gatewayField struct {
	name string
	kind kind
	list bool   // several values are taken, as a YAML list or with commas between them
	def  string // "" for none
	// check is the rule for a value, or for each of a list; set takes what was checked.
	check func(string) *Error
	set   func(*Gateway, []string)
}

// gatewayFields is the one place for the section's keys and defaults; roles, which are a map, stand apart.
func gatewayFields() []gatewayField {
	text := func(name, def string, check func(string) *Error, place func(*Gateway) *string) gatewayField {
		return gatewayField{name, kindText, false, def, check, func(g *Gateway, items []string) { *place(g) = items[0] }}
	}
	list := func(name, def string, check func(string) *Error, place func(*Gateway) *[]string) gatewayField {
		return gatewayField{name, kindText, true, def, check, func(g *Gateway, items []string) { *place(g) = items }}
	}
	number := func(name, def string, check func(string) *Error, place func(*Gateway) *int) gatewayField {
		return gatewayField{name, kindNumber, false, def, check, func(g *Gateway, items []string) {
			*place(g), _ = strconv.Atoi(items[0]) // checked
		}}
	}
	return []gatewayField{
		text("server_name", "", checkServerName, func(g *Gateway) *string { return &g.ServerName }),
		text("cert", "", checkNginxPath, func(g *Gateway) *string { return &g.Cert }),
		text("key", "", checkNginxPath, func(g *Gateway) *string { return &g.Key }),
		list("listen", "443", checkListen, func(g *Gateway) *[]string { return &g.Listen }),
		text("prefix", "/api/", checkPrefix, func(g *Gateway) *string { return &g.Prefix }),
		list("upstream", "", checkUpstream, func(g *Gateway) *[]string { return &g.Upstream }),
		number("keepalive", "16", checkKeepalive, func(g *Gateway) *int { return &g.Keepalive }),
		{"rate", kindText, false, "50/min", checkGatewayRate, func(g *Gateway, items []string) {
			g.Rate, _ = parseGatewayRate(items[0]) // checked
		}},
		number("burst", "", checkGatewayBurst, func(g *Gateway) *int { return &g.Burst }),
		number("connections", "64", checkConnections, func(g *Gateway) *int { return &g.Connections }),
		text("tokens", "gateway-tokens.conf", checkNginxPath, func(g *Gateway) *string { return &g.Tokens }),
		text("logs", "/var/log/nginx", checkNginxPath, func(g *Gateway) *string { return &g.Logs }),
		text("temp", "", checkNginxPath, func(g *Gateway) *string { return &g.Temp }),
	}
}

func findGatewayField(name string) (gatewayField, bool) {
	for _, f := range gatewayFields() {
		if f.name == name {
			return f, true
		}
	}
	return gatewayField{}, false
}

// gatewayNames are the keys of the section.
func gatewayNames() []string {
	var names []string
	for _, f := range gatewayFields() {
		names = append(names, f.name)
	}
	return append(names, "roles")
}

// items are the values in a text of the file.
func (f gatewayField) items(text string) []string {
	if !f.list {
		return []string{text}
	}
	return splitList(text)
}

// splitList takes "a, b" apart.
func splitList(text string) []string {
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// checkAll is the rule for a text of the file.
func (f gatewayField) checkAll(text string) *Error {
	items := f.items(text)
	for i, item := range items {
		if err := f.check(item); err != nil {
			return err
		}
		if slices.Contains(items[:i], item) {
			return bad("names the same twice", "")
		}
	}
	return nil
}

// Gateway gives the file's gateway, its defaults filled in and its paths made whole, or nil where it has none. Whether
// what must be said was said is left to pkg/gateway. It fails with *Error.
func (f *File) Gateway(lookup Lookup) (*Gateway, error) {
	if f.gateway == nil {
		return nil, nil
	}
	g := *f.gateway
	for _, field := range gatewayFields() {
		text := g.texts[field.name]
		if text == "" {
			text = field.def
		}
		if text != "" {
			field.set(&g, field.items(text))
		}
	}
	if g.texts["burst"] == "" {
		// What people mean by 50 a minute: fifty may come together, and more only as time passes.
		g.Burst = g.Rate.Requests - 1
	}
	paths := map[string]*string{"cert": &g.Cert, "key": &g.Key, "tokens": &g.Tokens, "logs": &g.Logs, "temp": &g.Temp}
	for name, path := range paths {
		if *path == "" {
			continue
		}
		whole, err := f.nginxPath(*path, lookup)
		if err != nil {
			return nil, g.Fault(name, err.Msg, err.HintText)
		}
		*path = whole
	}
	return &g, nil
}

// nginxPath makes a path whole, from the root on: nginx would look for any other in a folder of its own. The folder that a
// path is relative to has a say in it too, so that the rule is asked again.
func (f *File) nginxPath(path string, lookup Lookup) (string, *Error) {
	whole, fault := f.wholePath(path, lookup)
	if fault != nil {
		return "", fault
	}
	whole, err := filepath.Abs(whole)
	if err != nil {
		return "", bad("cannot be made a whole path", "write the whole path")
	}
	return whole, checkNginxPath(whole)
}

// Fault is an *Error at the place of a key of the section, such as "cert"; of one value of a list, such as
// "upstream/hongkong"; or of the section itself, where the key was not said.
func (g *Gateway) Fault(key, msg, hint string) *Error {
	name, _, _ := strings.Cut(key, "/")
	e := &Error{File: g.file.Path, Key: "gateway." + name, Msg: msg, HintText: hint}
	for _, at := range []string{key, name, ""} {
		if m, ok := g.marks[at]; ok {
			e.Line, e.Column = m.line, m.column
			break
		}
	}
	return e
}

// entries lists the section's keys for List.
func (g *Gateway) entries() []Entry {
	var list []Entry
	for _, f := range gatewayFields() {
		text, origin := g.texts[f.name], "default"
		if text == "" {
			text = f.def
		} else {
			origin = g.file.origin(g.marks[f.name].line)
		}
		if text != "" {
			list = append(list, Entry{"gateway." + f.name, text, origin})
		}
	}
	for _, r := range g.Roles {
		key := "roles." + r.Name
		list = append(list, Entry{"gateway." + key, strings.Join(r.Permissions, ","), g.file.origin(g.marks[key].line)})
	}
	return list
}
