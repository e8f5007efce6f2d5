package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// The schemes of Auth.
const (
	AuthXAPIKey = "x-api-key"
	AuthBearer  = "bearer"
	AuthHeader  = "header"
	AuthNone    = "none"
)

// Auth is how the key is sent: as x-api-key, as a Bearer token, in the header that Header names, or not at all.
type Auth struct{ Scheme, Header string }

// String returns the form in the file, such as "header:X-Gate".
func (a Auth) String() string {
	if a.Scheme == AuthHeader {
		return a.Scheme + ":" + a.Header
	}
	return a.Scheme
}

// HeaderName returns the header that carries the key, or "".
func (a Auth) HeaderName() string {
	switch a.Scheme {
	case AuthXAPIKey:
		return "x-api-key"
	case AuthBearer:
		return "Authorization"
	}
	return a.Header
}

// Header is an extra header: a public Value, or a secret that Ref names.
type Header struct {
	Name, Value string
	Ref         Ref
}

// TLS has a node's TLS settings; an empty field is not set. The files are PEM, Groups is a comma-separated list.
type TLS struct{ Min, CA, Cert, Key, Groups string }

// Node is a configured way to reach a model API, ready to use: defaults are filled in and paths are absolute.
type Node struct {
	Name    string
	Label   string
	Zone    string // where it is, such as cn; failover stays there unless Values.Across is set
	URL     string // https://…, http://… or demo:?…
	API     wire.API
	Key     Ref // "" if no key is known
	Model   string
	Auth    Auth
	Headers []Header
	Proxy   string // the node's own: a URL, none, or "" if not set
	Version string
	TLS     TLS
	// Pins are public keys. One of them must be in the chain of the node's certificate; without Pins any is accepted.
	Pins      []guard.Pin
	Insecure  bool
	MaxTokens int
	// System is the system prompt: text, or @ and the path of a file with it. Text that begins with @ has an extra @.
	System string
	// Rate is the rate limit of the address, Budget the tokens per day; 0 means no limit.
	Rate   Rate
	Budget int64
	// Hold is how long an unused connection to the node is kept; with 0 it ends with the command.
	Hold time.Duration
	// HTTP3 is "true", "only", or "" if HTTP/3 is not used. Resolve has the node's addresses, used instead of a DNS
	// lookup.
	HTTP3   string
	Resolve []netip.Addr
	// Sticky reports whether a gateway behind this node keeps a conversation on one upstream by its session token.
	Sticky bool
	// StreamOnly reports whether the model answers only as a stream.
	StreamOnly bool
	// Aliases are model names by their short names.
	Aliases map[string]string
	// Params are members of the request body by name; null removes one.
	Params map[string]json.RawMessage

	// InFile reports whether the file defines the node. The other nodes are direct, demo nodes, URLs, and nodes of a
	// Provider.
	InFile, Provider bool

	fields []Entry // the fields that were set, in order
}

// Origin returns where a field such as "url" was set: "config.yaml:12", a variable, "built in", or "default".
func (n Node) Origin(field string) string { return cmp.Or(n.entry(field).Origin, "default") }

// setValue returns the value that was set for a field, or "".
func (n Node) setValue(field string) string { return n.entry(field).Value }

// entry returns the value that was set for a field and its origin. The origin is "" if the field was not set.
func (n Node) entry(field string) Entry {
	for _, e := range n.fields {
		if e.Key == field {
			return e
		}
	}
	return Entry{}
}

// IsDemo reports whether the node is the demo node in this process.
func (n Node) IsDemo() bool { return strings.HasPrefix(n.URL, "demo:") }

// Address returns the URL to which the dialect's path is appended: the url without the parts of that path that users
// already write there. A demo node has an address inside this process.
func (n Node) Address() (*url.URL, error) {
	address := n.URL
	if query, ok := strings.CutPrefix(address, "demo:"); ok {
		address = "http://demo" + query
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("node %s: the url cannot be read", n.Name)
	}
	if u.Path != "" { // otherwise there is nothing to do
		u.Path, u.RawPath = n.API.Base(u.Path), n.API.Base(u.RawPath)
	}
	return u, nil
}

// read sets a node's fields from their text, which was checked.
func (n *Node) read(text func(field string) string) {
	n.Label, n.Zone, n.URL, n.API = text("label"), text("zone"), text("url"), wire.API(text("api"))
	n.Model, n.Proxy, n.Version = text("model"), text("proxy"), text("version")
	n.TLS = TLS{text("tls.min"), text("tls.ca"), text("tls.cert"), text("tls.key"), text("tls.groups")}
	n.Insecure, n.Sticky = text("insecure") == "true", text("sticky") == "true"
	n.StreamOnly = text("stream") == "only"
	n.MaxTokens, n.Hold = number(text("max_tokens")), duration(text("hold"))
	if n.HTTP3 = text("http3"); n.HTTP3 == "false" {
		n.HTTP3 = ""
	}
	for _, address := range kindCommas.split(text("resolve")) {
		if at, err := netip.ParseAddr(address); err == nil {
			n.Resolve = append(n.Resolve, at)
		}
	}
	n.System = text("system")
	// Most nodes do not have these, so a plain ask parses nothing for them.
	if limit := text("limit"); limit != noLimit {
		n.Rate, _ = parseLimit(limit)
	}
	if budget := text("budget"); budget != noLimit {
		n.Budget, _ = parseBudget(budget)
	}
	n.Key = Ref(text("key"))
	n.Auth.Scheme, n.Auth.Header, _ = strings.Cut(text("auth"), ":")
	if pins := text("pins"); pins != "" {
		for _, pin := range kindCommas.split(pins) {
			if p, err := guard.ParsePin(pin); err == nil {
				n.Pins = append(n.Pins, p)
			}
		}
	}
	for _, e := range n.fields {
		switch group, name, _ := strings.Cut(e.Key, "."); group {
		case "headers":
			h, _ := parseHeader(name, e.Value)
			n.Headers = append(n.Headers, h)
		case "aliases":
			if n.Aliases == nil {
				n.Aliases = map[string]string{}
			}
			n.Aliases[name] = e.Value
		case "params":
			if n.Params == nil {
				n.Params = map[string]json.RawMessage{}
			}
			n.Params[name] = json.RawMessage(e.Value)
		}
	}
	if n.API == "" && !n.IsDemo() { // a demo node's address has no path
		n.API = wire.APIOf(n.URL)
	}
	n.API = cmp.Or(n.API, wire.Messages)
	switch {
	case n.Auth.Scheme != "":
	case n.IsDemo() && n.Key == "":
		n.Auth.Scheme = AuthNone
	case n.API.Dialect().Facts().Bearer:
		n.Auth.Scheme = AuthBearer
	default:
		n.Auth.Scheme = AuthXAPIKey
	}
}

// node returns a node of the file with the fields that the file sets.
func (f *File) node(name string) Node {
	return Node{Name: name, InFile: true, fields: f.under("nodes." + name)}
}

// checkNode checks rules that involve more than one field. It returns the invalid field.
func (f *File) checkNode(name string) (field string, err *Error) {
	n := f.node(name)
	n.read(n.setValue)
	switch {
	case n.URL == "":
		return "url", newError("is required", "")
	case n.Auth.Scheme == AuthNone && n.Key != "":
		return "key", newError("auth is none, so this key would never be sent", "remove one of the two")
	case (n.TLS.Cert == "") != (n.TLS.Key == ""):
		return "tls", newError("use cert and key together", "")
	case (n.HTTP3 == "true" || n.HTTP3 == "only") && !strings.HasPrefix(n.URL, "https://"):
		return "http3", newError("this node is not reached over TLS, which HTTP/3 needs", "make its url https://, or remove http3")
	case len(n.Pins) > 0 && !strings.HasPrefix(n.URL, "https://"):
		return "pins", newError("this node is not reached over TLS, so these pins would not be checked", "make its url https://, or remove the pins")
	}
	for _, name := range slices.Sorted(maps.Keys(n.Params)) {
		if refused, ok := errors.AsType[*wire.UnsupportedError](n.API.CheckParam(name, n.Params[name])); ok {
			return "params." + name, newError(refused.Reason, refused.Hint())
		}
	}
	for _, h := range n.Headers {
		if strings.EqualFold(h.Name, n.Auth.HeaderName()) {
			return "headers." + h.Name, newError("auth sets this header already", "use auth: none to set it here")
		}
	}
	return "", nil
}

// Rate is the maximum number of requests in a period, and the maximum at once. The zero Rate is no limit.
type Rate struct {
	Events int
	Per    time.Duration // from one second to one day
	Burst  int           // at least 1
}

const (
	noLimit   = "none"
	burstWord = " burst "

	maxBurst  = 10_000
	maxBudget = 1_000_000_000_000
)

// parseLimit reads none, a rate, or a rate and a burst as in "600/min burst 5".
func parseLimit(s string) (Rate, *Error) {
	if s == noLimit {
		return Rate{}, nil
	}
	events, burst, bursts := strings.Cut(s, burstWord)
	rate, err := parseRate(events)
	if err == nil && bursts {
		err = checkBurst(burst)
		rate.Burst = number(burst)
	}
	return rate, err
}

func parseRate(s string) (Rate, *Error) {
	events, per, ok := text.ParseRate(s)
	if !ok {
		return Rate{}, newError("use a limit such as 50/min or 600/min burst 5, or none", "")
	}
	return Rate{events, per, 1}, nil
}

// parseBudget reads "200000 tokens/day", and none as 0.
func parseBudget(s string) (int64, *Error) {
	if s == noLimit {
		return 0, nil
	}
	fields := strings.Fields(s)
	if len(fields) != 2 || fields[1] != "tokens/day" {
		return 0, newError("use a budget such as 200000 tokens/day, or none", "")
	}
	n, err := strconv.ParseUint(fields[0], 10, 63)
	if err != nil || n < 1 || n > maxBudget {
		return 0, newError(fmt.Sprintf("use a whole number of tokens from 1 to %d", maxBudget), "")
	}
	return int64(n), nil
}

// SplitNodes splits a failover order at commas and line ends. A comma in a URL's query belongs to the query, as in
// demo:?status=429,503, unless another URL or demo node follows it. Repeated -n flags and lists in the file are joined
// with line ends, so they are never split in the wrong place.
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

// endsNode reports whether the comma between before and after ends the node before it.
func endsNode(before, after string) bool {
	after = strings.TrimSpace(after)
	next, _, _ := strings.Cut(after, ",")
	return !strings.Contains(before, "?") || isURL(after) || strings.TrimSpace(next) == "demo" ||
		strings.HasPrefix(after, "demo:") || strings.HasPrefix(after, "demo/")
}

// JoinNodes returns the text that SplitNodes splits into these names, on one line if possible.
func JoinNodes(names []string) string {
	if text := strings.Join(names, ","); slices.Equal(SplitNodes(text), names) {
		return text
	}
	return strings.Join(names, "\n")
}
