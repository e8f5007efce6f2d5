package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ferry/pkg/retry"
)

// Values are the settings in effect.
type Values struct {
	// Nodes are the selectors of the nodes, for Select, in the order in which they are asked.
	Nodes []string
	// Across reports whether failover may go on in another zone.
	Across bool
	Retry  retry.Rule
	// Timeout is for everything, ConnectTimeout for one connection, IdleTimeout for a stream without a byte.
	Timeout, ConnectTimeout, IdleTimeout time.Duration
	// SessionIdle is how long a conversation's token may be idle.
	SessionIdle time.Duration
	// Render reports whether Markdown is styled on a terminal.
	Render bool
	// Output is the form of the output. Each command knows which forms it has.
	Output string

	// FilterFile is the path of the list of blocked words, FilterWords are those of the configuration file itself.
	FilterFile                     string
	FilterWords                    []string
	FiltersPrompts, FiltersAnswers bool
	// Redact are the user's patterns of what is not to be logged or shown in errors.
	Redact []string
	// AuditFile is the path of the audit log, "" without one. AuditMaxSize is the size at which it is rotated.
	AuditFile    string
	AuditMaxSize int64
	// AuditsContent reports whether the audit log has prompts and answers, redacted.
	AuditsContent bool

	file   *File
	lookup Lookup
	set    map[string]value
}

type value struct {
	text   string
	origin string
	// outside says that a flag or a variable set it, which a node's own key does not overrule.
	outside bool
}

// Resolve decides every setting: flag, then FERRY_* variable, then file, then default. An empty
// variable counts as not set. flags holds, by setting key, what the command line gave. Only the value that wins is
// checked; it fails with *Error, whose Key is the flag or the variable.
func Resolve(file *File, lookup Lookup, flags map[string]string) (*Values, error) {
	v := &Values{file: file, lookup: lookup, set: map[string]value{}}
	for _, k := range keys {
		if !k.setting() {
			continue
		}
		chosen, err := k.choose(file, lookup, flags)
		if err != nil {
			return nil, err
		}
		v.set[k.Key] = chosen
	}
	for key := range flags {
		if _, ok := v.set[key]; !ok {
			return nil, &Error{Key: key, Msg: "unknown setting"}
		}
	}
	for _, key := range []string{"tls.ca", "filter.file", "audit.file"} {
		path := v.set[key]
		if path.text == "" {
			continue
		}
		whole, err := file.wholePath(path.text, lookup)
		if err != nil {
			err.Key = key
			return nil, err
		}
		path.text = whole
		v.set[key] = path
	}
	v.read()
	return v, nil
}

// read takes the values from their texts, which were checked.
func (v *Values) read() {
	text := func(key string) string { return v.set[key].text }
	v.Nodes = SplitNodes(text("node"))
	v.Across = text("failover.across") == "true"
	v.Retry = retry.Rule{Policy: retry.Policy(text("retry.policy")), Attempts: number(text("retry.attempts")),
		Delay: duration(text("retry.delay"))}
	v.Timeout, v.ConnectTimeout = duration(text("timeout")), duration(text("connect_timeout"))
	v.IdleTimeout, v.SessionIdle = duration(text("idle_timeout")), duration(text("session.idle"))
	v.Render = text("render") == "on" || text("render") == "true"
	v.Output = text("output")
	v.FilterFile, v.FilterWords = text("filter.file"), listItems(text("filter.words"))
	if v.FilterFile != "" || len(v.FilterWords) > 0 {
		on := listItems(text("filter.on"))
		v.FiltersPrompts, v.FiltersAnswers = slices.Contains(on, "prompt"), slices.Contains(on, "answer")
	}
	v.Redact = listItems(text("redact"))
	v.AuditFile, v.AuditMaxSize = text("audit.file"), sizeOf(text("audit.max_size"))
	v.AuditsContent = text("audit.content") == "redacted"
}

func (k key) choose(file *File, lookup Lookup, flags map[string]string) (value, *Error) {
	text, given := flags[k.Key]
	name, origin := "--"+k.Flag, "flag --"+k.Flag
	if !given && k.Env != "" {
		text = lookup.get(k.Env)
		given, name, origin = text != "", k.Env, k.Env
	}
	if given {
		if err := k.checkText(text); err != nil {
			return value{}, err.given(name, text)
		}
		return value{text, origin, true}, nil
	}
	if text, ok := file.texts[k.Key]; ok {
		return value{text, file.origin(k.Key), false}, nil
	}
	return value{k.Default, "default", false}, nil
}

// wholePath makes a path of the file whole: relative to the file's folder, or to HOME after ~/.
func (f *File) wholePath(path string, lookup Lookup) (string, *Error) {
	return wholePath(path, f.Dir(), lookup.get("HOME"))
}

func wholePath(path, dir, home string) (string, *Error) {
	rest, tilde := strings.CutPrefix(path, "~/")
	switch {
	case tilde && home == "":
		return "", bad("begins with ~/, and HOME is not set", "write the whole path")
	case tilde:
		return filepath.Join(home, rest), nil
	case filepath.IsAbs(path):
		return path, nil
	}
	return filepath.Join(dir, path), nil
}

// Origin says where a setting's value comes from: "flag --attempts", "FERRY_ATTEMPTS", "config.yaml:3" or "default".
func (v *Values) Origin(key string) string { return v.set[key].origin }

// Given reports whether a flag or a variable set the key.
func (v *Values) Given(key string) bool { return v.set[key].outside }

// ProxyFor is the proxy for a node and where it was said: a flag or variable wins, then the node's own, then the file's.
func (v *Values) ProxyFor(n Node) (proxy, origin string) {
	if all := v.set["proxy"]; all.outside || n.Proxy == "" {
		return all.text, all.origin
	}
	return n.Proxy, n.Origin("proxy")
}
