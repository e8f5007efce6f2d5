package config

import (
	"slices"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/wire"

	"go.yaml.in/yaml/v4"
)

// The schemes of Auth.
const (
	AuthXAPIKey = "x-api-key"
	AuthBearer  = "bearer"
	AuthHeader  = "header"
	AuthNone    = "none"
)

// Auth says how the key is sent: as x-api-key, as a bearer token, in the header that Header names, or not at all.
type Auth struct{ Scheme, Header string }

// String is the form in the file, such as "header:X-Gate".
func (a Auth) String() string {
	if a.Scheme == AuthHeader {
		return a.Scheme + ":" + a.Header
	}
	return a.Scheme
}

// HeaderName is the header that carries the key, "" for none.
func (a Auth) HeaderName() string {
	switch a.Scheme {
	case AuthXAPIKey:
		return "x-api-key"
	case AuthBearer:
		return "Authorization"
	}
	return a.Header
}

// Header is an extra header: a public Value, or a secret that Ref leads to.
type Header struct {
	Name, Value string
	Ref         Ref
}

// Alias is a short name for a model.
type Alias struct{ Name, Model string }

// alias is the model that a name stands for, the name itself where it is none.
func (n Node) alias(name string) string {
	for _, a := range n.Aliases {
		if a.Name == name {
			return a.Model
		}
	}
	return name
}

// TLS is a node's TLS settings; what is empty is not said. The files are PEM.
type TLS struct{ Min, CA, Cert, Key string }

// Node is a way to a model. Those of a File are as written; Select gives one that is ready for use, its defaults filled
// in and its paths made whole.
type Node struct {
	Name    string
	Label   string
	Zone    string // where it is, such as cn; failover stays there
	URL     string // https://…, http://… or demo:?…
	API     wire.API
	Key     Ref // zero: no key is known
	Model   string
	Auth    Auth
	Headers []Header
	Proxy   string // a URL, none, or "": not said
	Version string
	TLS     TLS
	// Pins are the public keys of which one has to be in the chain of the node's certificate; none is any.
	Pins      []guard.Pin
	Insecure  bool
	MaxTokens int // 0: not said
	// Rate is the rate limit of its address, "" for none, else such as "50/min", with at least 1 request in Burst.
	Rate  string
	Burst int
	// Budget is the token budget of its address, such as "200000 tokens/day", or "" for none.
	Budget string
	// Hold is how long a connection to it is kept without use, 0 for not beyond the command.
	Hold time.Duration
	// Sticky says that a gateway behind this node keeps a conversation on one upstream by its token.
	Sticky bool
	// Aliases are models by the short names they are asked for.
	Aliases []Alias

	// InFile says that the file defines the node. The others are direct, the demo nodes and URLs.
	InFile bool

	limit, budget, hold string            // as in the file
	origins             map[string]string // field → where it was said
}

// Origin says where a field such as "url" was said: "config.yaml:12", a variable, "built in", or "default".
func (n Node) Origin(field string) string {
	if o := n.origins[field]; o != "" {
		return o
	}
	return "default"
}

// IsDemo reports whether the node is the demo node in this process.
func (n Node) IsDemo() bool { return strings.HasPrefix(n.URL, "demo:") }

// fill sets what follows from the rest where it was not said.
func (n *Node) fill() {
	if n.API == "" {
		n.API = wire.APIs()[0]
	}
	if n.Auth.Scheme != "" {
		return
	}
	switch {
	case n.IsDemo() && n.Key.IsZero():
		n.Auth.Scheme = AuthNone
	case n.API.Dialect().Defaults().Bearer:
		n.Auth.Scheme = AuthBearer
	default:
		n.Auth.Scheme = AuthXAPIKey
	}
}

// nodeField is one key of a node in the file.
type nodeField struct {
	name string
	kind kind
	set  func(*Node, string) *Error
	show func(Node) string
}

// nodeMaps are the keys of a node that hold a map.
var nodeMaps = []string{"headers", "aliases", "tls"}

// checked makes a setter of a rule and a place.
func checked(check func(string) *Error, place func(*Node) *string) (func(*Node, string) *Error, func(Node) string) {
	set := func(n *Node, s string) *Error {
		if err := check(s); err != nil {
			return err
		}
		*place(n) = s
		return nil
	}
	return set, func(n Node) string { return *place(&n) }
}

// nodeFields is the one place for a node's keys; headers and aliases, which are maps, stand apart.
func nodeFields() []nodeField {
	text := func(name string, check func(string) *Error, place func(*Node) *string) nodeField {
		set, show := checked(check, place)
		return nodeField{name, kindText, set, show}
	}
	flag := func(name string, place func(*Node) *bool) nodeField {
		set := func(n *Node, s string) *Error {
			*place(n) = s == "true"
			return checkBool(s)
		}
		show := func(n Node) string {
			if *place(&n) {
				return "true"
			}
			return ""
		}
		return nodeField{name, kindBool, set, show}
	}
	return []nodeField{
		text("label", checkText, func(n *Node) *string { return &n.Label }),
		text("zone", checkZone, func(n *Node) *string { return &n.Zone }),
		text("url", checkURL, func(n *Node) *string { return &n.URL }),
		{"api", kindText, setAPI, func(n Node) string { return string(n.API) }},
		{"key", kindText, setKey, func(n Node) string { return n.Key.String() }},
		text("model", checkModel, func(n *Node) *string { return &n.Model }),
		{"auth", kindText, setAuth, func(n Node) string { return n.Auth.String() }},
		text("proxy", checkNodeProxy, func(n *Node) *string { return &n.Proxy }),
		text("version", checkVersion, func(n *Node) *string { return &n.Version }),
		text("tls.min", checkTLS, func(n *Node) *string { return &n.TLS.Min }),
		text("tls.ca", checkPath, func(n *Node) *string { return &n.TLS.CA }),
		text("tls.cert", checkPath, func(n *Node) *string { return &n.TLS.Cert }),
		text("tls.key", checkPath, func(n *Node) *string { return &n.TLS.Key }),
		{"pins", kindCommas, addPins, func(n Node) string { return guard.JoinPins(n.Pins, ",") }},
		flag("insecure", func(n *Node) *bool { return &n.Insecure }),
		flag("sticky", func(n *Node) *bool { return &n.Sticky }),
		text("limit", checkLimit, func(n *Node) *string { return &n.limit }),
		text("budget", checkBudget, func(n *Node) *string { return &n.budget }),
		text("hold", checkHold, func(n *Node) *string { return &n.hold }),
		{"max_tokens", kindNumber, setMaxTokens, showMaxTokens},
	}
}

// SplitNodes takes a failover order apart: commas or line ends stand between its nodes. A comma in a URL's query is the
// query's own, as in demo:?status=429,503, unless another URL or demo node follows it; -n given again, and a list in the
// file, are never misread, since they join with line ends.
func SplitNodes(text string) []string {
	var names []string
	for line := range strings.SplitSeq(text, "\n") {
		from := 0
		for i := range len(line) {
			if line[i] == ',' && endsNode(line[from:i], line[i+1:]) {
				names = append(names, strings.TrimSpace(line[from:i]))
				from = i + 1
			}
		}
		names = append(names, strings.TrimSpace(line[from:]))
	}
	return names
}

// endsNode reports whether the comma between the two ends the node before it.
func endsNode(before, after string) bool {
	after = strings.TrimSpace(after)
	next, _, _ := strings.Cut(after, ",")
	return !strings.Contains(before, "?") || isURL(after) || strings.TrimSpace(next) == "demo" ||
		strings.HasPrefix(after, "demo:") || strings.HasPrefix(after, "demo/")
}

// JoinNodes is the text that SplitNodes takes apart into these names, on one line where that can be.
func JoinNodes(names []string) string {
	if text := strings.Join(names, ","); slices.Equal(SplitNodes(text), names) {
		return text
	}
	return strings.Join(names, "\n")
}

// checkNodes is the rule for a node or several.
func checkNodes(text string) *Error {
	names := SplitNodes(text)
	for i, name := range names {
		if err := checkSelector(name); err != nil {
			return err
		}
		if slices.Contains(names[:i], name) {
			return bad("names a node twice", "")
		}
	}
	return nil
}

// nodeList reads the top level's node where it is a list.
func (d *decoder) nodeList(s setting, v *yaml.Node) *Error {
	var names []string
	for _, n := range v.Content {
		text, err := scalar(n, kindText)
		if err == nil {
			err = checkSelector(text)
		}
		if err == nil && slices.Contains(names, text) {
			err = bad("names a node twice", "")
		}
		if err != nil {
			return at(n, s.Key, err)
		}
		names = append(names, text)
	}
	if len(names) == 0 {
		return at(v, s.Key, bad("has no value", ""))
	}
	d.file.values[s.Key] = fileValue{JoinNodes(names), v.Line}
	return nil
}

// checkZone is the rule for where a node is, such as cn or eu-west: it is repeated in messages.
func checkZone(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if !isNodeName(s) {
		return bad("use a word such as cn or eu-west", "")
	}
	return nil
}
