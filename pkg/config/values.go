package config

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/demo"
	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// Values are the effective settings.
type Values struct {
	// Nodes are the selectors of the nodes, for Select, in the order in which they are tried.
	Nodes []string
	// Across reports whether failover may continue in another zone.
	Across bool
	Retry  retry.Rule
	// Timeout is the total time limit, ConnectTimeout the limit for one connection, IdleTimeout the limit for a stream
	// without a byte.
	Timeout, ConnectTimeout, IdleTimeout time.Duration
	// SessionIdle is how long a conversation's session token may be idle.
	SessionIdle time.Duration
	// Render reports whether Markdown is styled on a terminal.
	Render bool
	// Fastest reports whether the first of several nodes is the node whose connection is ready first.
	Fastest bool
	// Output is the output form. Each command has its own set of forms.
	Output string

	// FilterFile is the path of the list of blocked words. FilterWords are the blocked words of the configuration file.
	FilterFile                     string
	FilterWords                    []string
	FiltersPrompts, FiltersAnswers bool
	// Redact has the user's patterns for text that must not be logged or shown in errors.
	Redact []string
	// AuditFile is the path of the audit log, or "". AuditMaxSize is the size at which it is rotated.
	AuditFile    string
	AuditMaxSize int64
	// AuditsContent reports whether the audit log contains prompts and answers, redacted.
	AuditsContent bool

	file   *File
	lookup Lookup
	set    map[string]value
}

type value struct {
	text   string
	origin string
	// outside reports whether a flag or a variable set it. A node's own key does not override it then.
	outside bool
}

// Resolve determines every setting: flag, then FERRY_* variable, then file, then default. An empty variable counts as
// not set. flags has the values from the command line, by setting key. Only the effective value is checked. Errors are
// *Error; Key names the flag or the variable.
func Resolve(file *File, lookup Lookup, flags map[string]string) (*Values, error) {
	v := &Values{file: file, lookup: lookup, set: map[string]value{}}
	for _, k := range keys {
		if k.Usage == "" {
			continue
		}
		chosen, err := k.choose(file, lookup, flags)
		if err != nil {
			return nil, err
		}
		if k.kind == kindPath && chosen.text != "" {
			if chosen.text, err = file.absPath(chosen.text, lookup); err != nil {
				err.Key = k.Key
				return nil, err
			}
		}
		v.set[k.Key] = chosen
	}
	text := func(key string) string { return v.set[key].text }
	v.Nodes = SplitNodes(text("node"))
	v.Across = text("failover.across") == "true"
	v.Retry = retry.Rule{Policy: retry.Policy(text("retry.policy")), Attempts: number(text("retry.attempts")),
		Delay: duration(text("retry.delay"))}
	v.Timeout, v.ConnectTimeout = duration(text("timeout")), duration(text("connect_timeout"))
	v.IdleTimeout, v.SessionIdle = duration(text("idle_timeout")), duration(text("session.idle"))
	v.Render = text("render") == "on" || text("render") == "true"
	v.Output = text("output")
	v.Fastest = text("pick") == "fastest"
	v.FilterFile, v.FilterWords = text("filter.file"), kindList.split(text("filter.words"))
	if v.FilterFile != "" || len(v.FilterWords) > 0 {
		on := kindList.split(text("filter.on"))
		v.FiltersPrompts, v.FiltersAnswers = slices.Contains(on, "prompt"), slices.Contains(on, "answer")
	}
	v.Redact = kindList.split(text("redact"))
	v.AuditFile, v.AuditMaxSize = text("audit.file"), sizeOf(text("audit.max_size"))
	v.AuditsContent = text("audit.content") == "redacted"
	return v, nil
}

func (k key) choose(file *File, lookup Lookup, flags map[string]string) (value, *Error) {
	text, given := flags[k.Key]
	name, origin := "--"+k.Flag, "flag --"+k.Flag
	if !given && k.Env != "" {
		text = lookup.Get(k.Env)
		given, name, origin = text != "", k.Env, k.Env
	}
	if given {
		if err := k.checkText(text); err != nil {
			return value{}, err.given(name, text)
		}
		return value{text, origin, true}, nil
	}
	if text, ok := file.values[k.Key]; ok {
		return value{text, file.origin(k.Key), false}, nil
	}
	return value{k.Default, "default", false}, nil
}

// number and duration parse checked text; duration returns 0 for off.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func duration(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

// sizeOf parses a size such as 10MiB or 10MB. It returns -1 if s is not a size.
func sizeOf(s string) int64 {
	units := map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1e3, "MB": 1e6, "GB": 1e9}
	digits := strings.TrimRight(s, "KMGiB")
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 31)
	unit, ok := units[s[len(digits):]]
	if err != nil || !ok {
		return -1
	}
	return int64(n) * unit
}

// absPath makes a path from the file absolute: relative to the file's folder, or to HOME after ~/.
func (f *File) absPath(path string, lookup Lookup) (string, *Error) {
	return absPath(path, f.Dir(), HomeDir(lookup))
}

// absSystem makes the path in a system prompt of the file absolute.
func (f *File) absSystem(text string, lookup Lookup) (string, *Error) {
	path, isPath := strings.CutPrefix(text, "@")
	if !isPath || strings.HasPrefix(path, "@") {
		return text, nil
	}
	path, err := f.absPath(path, lookup)
	return "@" + path, err
}

// Role returns the system prompt that the file has under a name. If there is none, it returns an *Error.
func (f *File) Role(name string, lookup Lookup) (string, error) {
	text, ok := f.values["roles."+name]
	if !ok {
		var names []string
		for _, role := range f.under("roles") {
			names = append(names, role.Key)
		}
		return "", newError(didYouMean("there is no role "+name, name, names), "ferry config set roles.NAME TEXT makes one")
	}
	text, err := f.absSystem(text, lookup)
	if err != nil {
		err.Key = "roles." + name
		return "", err
	}
	return text, nil
}

func absPath(path, dir, home string) (string, *Error) {
	rest, tilde := strings.CutPrefix(filepath.ToSlash(path), "~/")
	switch {
	case tilde && home == "":
		return "", newError("begins with ~/, and HOME is not set", "write the absolute path")
	case tilde:
		return filepath.Join(home, rest), nil
	case filepath.IsAbs(path), path != "" && os.IsPathSeparator(path[0]): // the latter is on the current drive on Windows
		return path, nil
	}
	return filepath.Join(dir, path), nil
}

// Origin returns where a setting was set: "flag --attempts", "FERRY_ATTEMPTS", "config.yaml:3" or "default".
func (v *Values) Origin(key string) string { return v.set[key].origin }

// Given reports whether a flag or a variable set the key.
func (v *Values) Given(key string) bool { return v.set[key].outside }

// ProxyFor returns the proxy for a node and its origin: a flag or variable first, then the node's own, then the
// file's.
func (v *Values) ProxyFor(n Node) (proxy, origin string) {
	if all := v.set["proxy"]; all.outside || n.Proxy == "" {
		return all.text, all.origin
	}
	return n.Proxy, n.Origin("proxy")
}

// Select finds a node and makes it ready to use. The selector is a name, demo, demo/PRESET, demo:?faults, or a URL. api
// is the --api flag, "" if not given. A node of the file takes precedence over direct and over a provider of the same
// name, and gets its address and key only from the file. If both the node and the settings set a field, a flag or a
// variable wins, then the node's own value, then the file's and the default. Errors are *Error; for an unknown name it
// suggests the nearest.
func (v *Values) Select(selector, api string) (Node, error) {
	n, err := v.findNode(selector, api)
	if err != nil {
		return Node{}, err
	}
	n.read(func(field string) string {
		all, ok := v.set[field]
		// A node can set system to "", to use no system prompt instead of the file's.
		if own := n.entry(field); !ok || field == "proxy" || own.Origin != "" && !all.outside {
			return own.Value
		}
		return all.text
	})
	dialect := n.API.Dialect().Facts()
	if v.set["model"].origin == "default" && n.entry("model").Value == "" && (dialect.Model != wire.ModelKnown || n.Provider) {
		n.Model = ""
	}
	if model, ok := n.Aliases[n.Model]; ok {
		n.Model = model
	}
	if v.set["max_tokens"].origin == "default" && n.entry("max_tokens").Value == "" && dialect.MaxTokens > 0 {
		n.MaxTokens = dialect.MaxTokens
	}
	var fault *Error
	if !v.set["system"].outside && strings.HasPrefix(n.System, "@") {
		if n.System, fault = v.file.absSystem(n.System, v.lookup); fault != nil {
			fault.Msg = "the system prompt of node " + n.Name + " " + fault.Msg
			return Node{}, fault
		}
	}
	for i, path := range []*string{&n.TLS.CA, &n.TLS.Cert, &n.TLS.Key} {
		if n.entry([]string{"tls.ca", "tls.cert", "tls.key"}[i]).Value == "" {
			continue
		}
		if *path, fault = v.file.absPath(*path, v.lookup); fault != nil {
			fault.Msg = "a tls path of node " + n.Name + " " + fault.Msg
			return Node{}, fault
		}
	}
	if api != "" && api != string(n.API) {
		return Node{}, &Error{Key: "--api", Msg: "node " + n.Name + " speaks " + string(n.API),
			Advice: "--api is for a node that is given as a URL"}
	}
	return n, nil
}

// findNode returns a node with the fields that were set for it.
func (v *Values) findNode(selector, api string) (Node, error) {
	if err := checkSelector(selector); err != nil {
		return Node{}, err.given("node", selector)
	}
	isDemo := selector == "demo" || strings.HasPrefix(selector, "demo:") || strings.HasPrefix(selector, "demo/")
	var n Node
	var err error
	switch {
	case isURL(selector):
		n, err = v.urlNode(selector)
	case isDemo:
		n, err = demoNode(selector)
	case slices.Contains(v.file.Nodes, selector):
		n = v.file.node(selector)
	case selector == "direct":
		n, err = v.directNode()
	case slices.Contains(providerNames(), selector):
		n, err = v.providerNode(selector, api)
	default:
		msg := "unknown node " + selector
		if origin := v.Origin("node"); origin != "default" && slices.Contains(v.Nodes, selector) {
			msg += " (from " + origin + ")"
		}
		names := append(v.file.Names(), providerNames()...)
		err = newError(didYouMean(msg, selector, names), "ferry config nodes lists them, and ferry config add lists the providers")
	}
	if err != nil || api == "" {
		return n, err
	}
	if err := checkAPI(api); err != nil {
		return n, err.given("--api", api)
	}
	if isDemo || isURL(selector) {
		n.fields = append(n.fields, Entry{"api", api, "--api"})
	}
	return n, nil
}

// directNode is the only node that variables define, except the nodes of providers.
func (v *Values) directNode() (Node, error) {
	var fields []Entry // the first value of a field counts
	for _, of := range []struct {
		variable, field string
		check           func(string) *Error
	}{{"ANTHROPIC_BASE_URL", "url", checkURL}, {"ANTHROPIC_MODEL", "model", checkModel}} {
		if text := v.lookup.Get(of.variable); text != "" {
			if err := of.check(text); err != nil {
				return Node{}, err.given(of.variable, text)
			}
			fields = append(fields, Entry{of.field, text, of.variable})
		}
	}
	const bearer = "ANTHROPIC_AUTH_TOKEN"
	for _, variable := range []string{bearer, "ANTHROPIC_API_KEY", "CLAUDE_KEY"} {
		if v.lookup.Get(variable) != "" {
			fields = append(fields, Entry{"key", "env:" + variable, variable})
		}
	}
	if v.lookup.Get(bearer) != "" {
		fields = append(fields, Entry{"auth", AuthBearer, bearer})
	}
	fields = append(fields, Entry{"url", "https://api.anthropic.com", builtIn}, Entry{"api", string(wire.Messages), builtIn})
	return Node{Name: "direct", fields: fields}, nil
}

// urlNode takes its key only from FERRY_KEY, so that no other node's key is sent to an address typed by hand. A plain
// http address on this machine needs no key.
func (v *Values) urlNode(address string) (Node, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Node{}, newError("use a URL such as https://host/api", "")
	}
	fields := []Entry{{"url", address, "given as a URL"}}
	switch {
	case v.lookup.Get("FERRY_KEY") != "":
		fields = append(fields, Entry{"key", "env:FERRY_KEY", "FERRY_KEY"})
	case u.Scheme == "http" && guard.IsLoopback(u.Hostname()):
		fields = append(fields, Entry{"auth", AuthNone, "given as a URL"})
	}
	u.RawQuery, u.ForceQuery = "", false
	return Node{Name: u.String(), fields: fields}, nil
}

func demoNode(selector string) (Node, error) {
	name, address := "demo", selector
	if selector == "demo" {
		address = "demo:"
	} else if strings.HasPrefix(selector, "demo/") {
		names := demoNames()
		i := slices.Index(names, selector)
		if i < 0 {
			msg := didYouMean("unknown demo node "+selector, selector, names[1:])
			return Node{}, newError(msg, "the demo nodes are "+strings.Join(names, ", "))
		}
		name, address = selector, "demo:?"+demo.Presets()[i].Query
	}
	return Node{Name: name, fields: []Entry{{"url", address, builtIn}, {"auth", AuthNone, builtIn}}}, nil
}

// CheckModel returns an *Error if the node has no model and needs one: every node of a Provider does, and every node of
// some dialects.
func (n Node) CheckModel() error {
	if n.Model != "" || !n.Provider && n.API.Dialect().Facts().Model != wire.ModelRequired {
		return nil
	}
	hint := "name one with -m or FERRY_MODEL"
	if n.InFile {
		hint = "name one with -m, or in the file: ferry config set nodes." + n.Name + ".model NAME"
	} else if n.Provider {
		hint = "name one with -m, or let ferry choose one: ferry config add " + n.Name
	}
	return newError("node "+n.Name+" has no model", hint)
}

// OtherModel returns a hint about how to set another model for the node.
func (n Node) OtherModel() string {
	switch {
	case n.InFile:
		return "ferry config set nodes." + n.Name + ".model NAME sets another"
	case n.Provider:
		return "-m names another, and ferry config add " + n.Name + " -m NAME saves it"
	case n.Name == "direct":
		return "-m or ANTHROPIC_MODEL names another"
	}
	return "-m or FERRY_MODEL names another"
}

// demoNames returns demo and the names of its presets.
func demoNames() []string {
	var names []string
	for _, p := range demo.Presets() {
		names = append(names, p.Name)
	}
	return names
}

// Names returns the names of all nodes except providers: the file's in its order, then direct, demo and the demo node's
// presets.
func (f *File) Names() []string {
	names := slices.Clone(f.Nodes)
	if !slices.Contains(names, "direct") {
		names = append(names, "direct")
	}
	return append(names, demoNames()...)
}
