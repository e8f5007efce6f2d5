package config

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

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
// takes its address and key from the file alone. Where a node and the settings both say something, a flag or a variable
// wins, then the node's own, then the file's and the default. It fails with *Error, which for an unknown name names the
// nearest.
func (v *Values) Select(s Selection) (Node, error) {
	n, err := v.findNode(s)
	if err != nil {
		return Node{}, err
	}
	n.read(func(field string) string {
		all, ok := v.set[field]
		if own := n.ownText(field); !ok || field == "proxy" || own != "" && !all.outside {
			return own
		}
		return all.text
	})
	dialect := n.API.Dialect().Defaults()
	if v.set["model"].origin == "default" && n.ownText("model") == "" && dialect.Model != wire.ModelKnown {
		n.Model = ""
	}
	if model, ok := n.Aliases[n.Model]; ok {
		n.Model = model
	}
	if v.set["max_tokens"].origin == "default" && n.ownText("max_tokens") == "" && dialect.MaxTokens > 0 {
		n.MaxTokens = dialect.MaxTokens
	}
	for i, path := range []*string{&n.TLS.CA, &n.TLS.Cert, &n.TLS.Key} {
		if n.ownText([]string{"tls.ca", "tls.cert", "tls.key"}[i]) == "" {
			continue
		}
		if *path, err = v.file.wholePath(*path, v.lookup); err != nil {
			err.Msg = "a tls path of node " + n.Name + " " + err.Msg
			return Node{}, err
		}
	}
	if s.API != "" && s.API != string(n.API) {
		return Node{}, &Error{Key: "--api", Msg: "node " + n.Name + " speaks " + string(n.API),
			Advice: "--api is for a node that is given as a URL"}
	}
	return n, nil
}

// findNode gives a node with what was said of it.
func (v *Values) findNode(s Selection) (Node, *Error) {
	if err := checkSelector(s.Selector); err != nil {
		err.Key = "node"
		return Node{}, err
	}
	isDemo := s.Selector == "demo" || strings.HasPrefix(s.Selector, "demo:") || strings.HasPrefix(s.Selector, "demo/")
	var n Node
	var err *Error
	switch {
	case isURL(s.Selector):
		n, err = v.urlNode(s.Selector)
	case isDemo:
		n, err = demoNode(s)
	case slices.Contains(v.file.Nodes, s.Selector):
		n = v.file.node(s.Selector)
	case s.Selector == "direct":
		n, err = v.directNode()
	default:
		msg := "unknown node " + s.Selector
		if origin := v.Origin("node"); origin != "default" {
			msg += " (from " + origin + ")"
		}
		err = bad(meant(msg, s.Selector, v.file.Names(s.Presets())), "ferry config nodes lists them")
	}
	if err != nil || s.API == "" {
		return n, err
	}
	if err := checkAPI(s.API); err != nil {
		return n, err.given("--api", s.API)
	}
	if isDemo || isURL(s.Selector) {
		n.said = append(n.said, Entry{"api", s.API, "--api"})
	}
	return n, nil
}

// directNode is the only node that variables define.
func (v *Values) directNode() (Node, *Error) {
	url, model, key := Entry{"url", "https://api.anthropic.com", "built in"}, Entry{Key: "model"}, Entry{Key: "key"}
	for _, of := range []struct {
		variable string
		entry    *Entry
		check    func(string) *Error
	}{{"ANTHROPIC_BASE_URL", &url, checkURL}, {"ANTHROPIC_MODEL", &model, checkModel}} {
		if text := v.lookup.get(of.variable); text != "" {
			if err := of.check(text); err != nil {
				return Node{}, err.given(of.variable, text)
			}
			of.entry.Value, of.entry.Origin = text, of.variable
		}
	}
	for _, variable := range []string{"CLAUDE_KEY", "ANTHROPIC_API_KEY"} {
		if v.lookup.get(variable) != "" {
			key.Value, key.Origin = "env:"+variable, variable
		}
	}
	return Node{Name: "direct", said: []Entry{url, {"api", string(wire.Messages), "built in"}, model, key}}, nil
}

// urlNode takes its key from FERRY_KEY and nowhere else, so that no other node's key goes to an address typed by hand.
// On this machine, over plain http, it may do without.
func (v *Values) urlNode(address string) (Node, *Error) {
	u, err := url.Parse(address)
	if err != nil {
		return Node{}, bad("use a URL such as https://host/api", "")
	}
	said := []Entry{{"url", address, "given as a URL"}}
	switch {
	case v.lookup.get("FERRY_KEY") != "":
		said = append(said, Entry{"key", "env:FERRY_KEY", "FERRY_KEY"})
	case u.Scheme == "http" && guard.IsLoopback(u.Hostname()):
		said = append(said, Entry{"auth", AuthNone, "given as a URL"})
	}
	u.RawQuery, u.ForceQuery = "", false
	return Node{Name: u.String(), said: said}, nil
}

func demoNode(s Selection) (Node, *Error) {
	name, address := "demo", "demo:"
	if preset, ok := strings.CutPrefix(s.Selector, "demo/"); ok {
		query, ok := s.Presets()[preset]
		if !ok {
			names := presetNames(s.Presets())
			msg := meant("unknown demo node "+s.Selector, s.Selector, names)
			return Node{}, bad(msg, "there are demo, "+strings.Join(names, ", "))
		}
		name, address = s.Selector, "demo:?"+query
	} else if s.Selector != "demo" {
		address = s.Selector
	}
	return Node{Name: name, said: []Entry{{"url", address, "built in"}, {"auth", AuthNone, "built in"}}}, nil
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

func presetNames(presets map[string]string) []string {
	var names []string
	for _, p := range slices.Sorted(maps.Keys(presets)) {
		names = append(names, "demo/"+p)
	}
	return names
}

// Names lists what a node may be called: the file's in its order, then direct, demo and the demo node's presets.
func (f *File) Names(presets map[string]string) []string {
	names := slices.Clone(f.Nodes)
	if !slices.Contains(names, "direct") {
		names = append(names, "direct")
	}
	return append(append(names, "demo"), presetNames(presets)...)
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
