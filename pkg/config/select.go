package config

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

const directURL = "https://api.anthropic.com"

// Selection is how a node was asked for.
type Selection struct {
	// Selector is a name, demo, demo/PRESET, demo:?faults, or a URL.
	Selector string
	// API is the --api flag, "" when not given.
	API string
	// Presets gives the demo node's faults by name, for demo/NAME.
	Presets func() map[string]string
}

// Select finds the node and makes it ready for use. A node of the file wins over the built-in direct of that name, and
// takes its address and key from the file alone. It fails with *Error, which for an unknown name names the nearest.
func (v *Values) Select(s Selection) (Node, error) {
	n, err := v.selectNode(s)
	if err != nil {
		return Node{}, err
	}
	n.fill()
	for _, p := range []*string{&n.TLS.CA, &n.TLS.Cert, &n.TLS.Key} {
		if *p == "" {
			continue
		}
		whole, err := v.file.wholePath(*p, v.lookup)
		if err != nil {
			err.Msg = "a tls path of node " + n.Name + " " + err.Msg
			return Node{}, err
		}
		*p = whole
	}
	v.apply(&n)
	return n, nil
}

// apply decides what a node and the settings both say: a flag or a variable wins, then the node's own, then the file's
// and the default.
func (v *Values) apply(n *Node) {
	model, tokens, dialect := v.set["model"], v.set["max_tokens"], n.API.Dialect().Defaults()
	if !model.outside && dialect.Model != wire.ModelKnown {
		model.text = ""
	}
	if !tokens.outside && dialect.MaxTokens > 0 {
		tokens.text = strconv.Itoa(dialect.MaxTokens)
	}
	choose := func(all value, own string) string {
		if all.outside || own == "" {
			return all.text
		}
		return own
	}
	n.Model = n.alias(choose(model, n.Model))
	if tokens.outside || n.MaxTokens == 0 {
		n.MaxTokens = number(tokens.text)
	}
	n.TLS.Min, n.TLS.CA = choose(v.set["tls.min"], n.TLS.Min), choose(v.set["tls.ca"], n.TLS.CA)
	if text := choose(v.set["limit"], n.limit); text != noLimit {
		n.Rate, n.Burst = splitLimit(text)
	}
	if n.Budget = choose(v.set["budget"], n.budget); n.Budget == noLimit {
		n.Budget = ""
	}
	n.Hold = duration(choose(v.set["hold"], n.hold))
}

// CheckModel fails with *Error where the node has no model and its dialect needs one.
func (n Node) CheckModel() error {
	if n.Model != "" || n.API.Dialect().Defaults().Model != wire.ModelRequired {
		return nil
	}
	hint := "name one with -m or FERRY_MODEL"
	if n.InFile {
		hint = "name one with -m, or in the file: ferry config set nodes." + n.Name + ".model NAME"
	}
	return bad("node "+n.Name+" has no model", hint)
}

func (v *Values) selectNode(s Selection) (Node, error) {
	if err := checkSelector(s.Selector); err != nil {
		err.Key = "node"
		return Node{}, err
	}
	switch {
	case isURL(s.Selector):
		return v.urlNode(s)
	case s.Selector == "demo", strings.HasPrefix(s.Selector, "demo:"), strings.HasPrefix(s.Selector, "demo/"):
		return demoNode(s)
	}
	for _, n := range v.file.Nodes {
		if n.Name == s.Selector {
			return n, sameAPI(n, s)
		}
	}
	if s.Selector == "direct" {
		return v.directNode(s)
	}
	msg := "unknown node " + s.Selector
	if origin := v.Origin("node"); origin != "default" {
		msg += " (from " + origin + ")"
	}
	return Node{}, bad(meant(msg, s.Selector, v.file.Names(s.Presets())), "ferry config nodes lists them")
}

// sameAPI refuses --api where the node says otherwise.
func sameAPI(n Node, s Selection) error {
	n.fill()
	if s.API == "" || s.API == string(n.API) {
		return nil
	}
	if err := givenAPI(&Node{}, s); err != nil {
		return err
	}
	return &Error{Key: "--api", Msg: "node " + n.Name + " speaks " + string(n.API),
		HintText: "--api is for a node that is given as a URL"}
}

// givenAPI takes --api.
func givenAPI(n *Node, s Selection) error {
	if s.API == "" {
		return nil
	}
	api, err := parseAPI(s.API)
	if err != nil {
		return err.given("--api", s.API)
	}
	n.API = api
	return nil
}

// directNode is the only node that variables define.
func (v *Values) directNode(s Selection) (Node, error) {
	n := Node{Name: "direct", URL: directURL, API: wire.Messages, origins: map[string]string{"": "built in", "url": "built in"}}
	if base := v.lookup.get("ANTHROPIC_BASE_URL"); base != "" {
		if err := checkURL(base); err != nil {
			return Node{}, err.given("ANTHROPIC_BASE_URL", base)
		}
		n.URL, n.origins["url"] = base, "ANTHROPIC_BASE_URL"
	}
	if model := v.lookup.get("ANTHROPIC_MODEL"); model != "" {
		if err := checkModel(model); err != nil {
			return Node{}, err.given("ANTHROPIC_MODEL", model)
		}
		n.Model, n.origins["model"] = model, "ANTHROPIC_MODEL"
	}
	for _, name := range []string{"ANTHROPIC_API_KEY", "CLAUDE_KEY"} {
		if v.lookup.get(name) != "" {
			n.Key, n.origins["key"] = Ref{"env", name}, name
			break
		}
	}
	return n, sameAPI(n, s)
}

// urlNode takes its key from FERRY_KEY and nowhere else, so that no other node's key goes to an address typed by hand.
// On this machine, over plain http, it may do without.
func (v *Values) urlNode(s Selection) (Node, error) {
	u, err := url.Parse(s.Selector)
	if err != nil {
		return Node{}, bad("use a URL such as https://host/api", "")
	}
	n := Node{URL: s.Selector, origins: map[string]string{"": "given as a URL", "url": "given as a URL"}}
	if err := givenAPI(&n, s); err != nil {
		return Node{}, err
	}
	name := *u
	name.RawQuery, name.ForceQuery = "", false
	n.Name = name.String()
	switch {
	case v.lookup.get("FERRY_KEY") != "":
		n.Key, n.origins["key"] = Ref{"env", "FERRY_KEY"}, "FERRY_KEY"
	case u.Scheme == "http" && guard.IsLoopback(u.Hostname()):
		n.Auth = Auth{Scheme: AuthNone}
	}
	return n, nil
}

func demoNode(s Selection) (Node, error) {
	n := Node{Name: "demo", URL: "demo:", Auth: Auth{Scheme: AuthNone},
		origins: map[string]string{"": "built in", "url": "built in"}}
	if err := givenAPI(&n, s); err != nil {
		return Node{}, err
	}
	if preset, ok := strings.CutPrefix(s.Selector, "demo/"); ok {
		query, ok := s.Presets()[preset]
		if !ok {
			names := presetNames(s.Presets())
			msg := meant("unknown demo node "+s.Selector, s.Selector, names)
			return Node{}, bad(msg, "there are demo, "+strings.Join(names, ", "))
		}
		n.Name, n.URL = s.Selector, "demo:?"+query
	} else if strings.HasPrefix(s.Selector, "demo:") {
		n.URL = s.Selector
	}
	return n, nil
}

func presetNames(presets map[string]string) []string {
	var names []string
	for _, p := range slices.Sorted(maps.Keys(presets)) {
		names = append(names, "demo/"+p)
	}
	return names
}

// Names lists what a node may be called: the file's in its order, then direct, demo and the demo node's presets.
func (f *File) Names(presets map[string]string) []string {
	var names []string
	for _, n := range f.Nodes {
		names = append(names, n.Name)
	}
	if !slices.Contains(names, "direct") {
		names = append(names, "direct")
	}
	return append(append(names, "demo"), presetNames(presets)...)
}
