package config

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// Values are the settings in effect.
type Values struct {
	set map[string]value
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
	v := &Values{set: map[string]value{}}
	for _, s := range settings() {
		chosen, err := choose(s, file, lookup, flags)
		if err != nil {
			return nil, err
		}
		v.set[s.Key] = chosen
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
	return v, nil
}

func choose(s setting, file *File, lookup Lookup, flags map[string]string) (value, error) {
	if text, ok := flags[s.Key]; ok {
		if err := s.check(text); err != nil {
			return value{}, err.given("--"+s.Flag, text)
		}
		return value{text, "flag --" + s.Flag, true}, nil
	}
	if s.Env != "" {
		if text := lookup.get(s.Env); text != "" {
			if err := s.check(text); err != nil {
				return value{}, err.given(s.Env, text)
			}
			return value{text, s.Env, true}, nil
		}
	}
	if fv, ok := file.values[s.Key]; ok {
		return value{fv.text, file.origin(fv.line), false}, nil
	}
	return value{s.Default, "default", false}, nil
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

// Nodes are the selectors of the nodes to take, for Select, in the order in which they are asked.
func (v *Values) Nodes() []string { return SplitNodes(v.set["node"].text) }

// Across reports whether failover may go on in another zone.
func (v *Values) Across() bool { return v.set["failover.across"].text == "true" }

// Policy is the retry policy.
func (v *Values) Policy() retry.Policy { return retry.Policy(v.set["retry.policy"].text) }

// Attempts is how many attempts are made in all, from 1.
func (v *Values) Attempts() int { return v.number("retry.attempts") }

// Delay is the script's RETRY_DELAY, from 0.
func (v *Values) Delay() time.Duration { return v.duration("retry.delay") }

// Timeout is the most time for everything, above 0.
func (v *Values) Timeout() time.Duration { return v.duration("timeout") }

// ConnectTimeout is time limit for one connection, above 0.
func (v *Values) ConnectTimeout() time.Duration { return v.duration("connect_timeout") }

// IdleTimeout is time limit without a byte of a stream, above 0.
func (v *Values) IdleTimeout() time.Duration { return v.duration("idle_timeout") }

// SessionIdle is how long a conversation's token may be idle, above 0.
func (v *Values) SessionIdle() time.Duration { return v.duration("session.idle") }

// Render reports whether Markdown is styled on a terminal.
func (v *Values) Render() bool { return v.set["render"].text == "on" || v.set["render"].text == "true" }

// Given reports whether a flag or a variable set the key.
func (v *Values) Given(key string) bool { return v.set[key].outside }

// Proxy is the proxy for nodes that name none: a URL, "none", or "" for what the system's variables say. It may hold a
// password: ProxyFor is what to use, and List what to show.
func (v *Values) Proxy() string { return v.set["proxy"].text }

// ProxyFor is the proxy for a node and where it was said: a flag or variable wins, then the node's own, then the file's.
func (v *Values) ProxyFor(n Node) (proxy, origin string) {
	if all := v.set["proxy"]; all.outside || n.Proxy == "" {
		return all.text, all.origin
	}
	return n.Proxy, n.Origin("proxy")
}

// Output is the form of the output. Each command knows which forms it has.
func (v *Values) Output() string { return v.set["output"].text }

// TLSFor is a node's TLS settings with the file's own where the node says nothing. Min is never empty.
func (v *Values) TLSFor(n Node) TLS {
	t := n.TLS
	if t.Min == "" {
		t.Min = v.set["tls.min"].text
	}
	if t.CA == "" {
		t.CA = v.set["tls.ca"].text
	}
	return t
}

// Model is the model to ask a node for: flag, FERRY_MODEL, the node's own (which is ANTHROPIC_MODEL for the built-in
// direct), then the default of the node's dialect, which may be "". In chat there is no default, and none is an
// *Error.
func (v *Values) Model(n Node) (string, error) {
	m := v.set["model"]
	switch {
	case m.outside:
		return n.alias(m.text), nil
	case n.Model != "":
		return n.alias(n.Model), nil
	}
	switch n.API.Dialect().Defaults().Model {
	case wire.ModelNone:
		return "", nil
	case wire.ModelRequired:
		hint := "name one with -m or FERRY_MODEL"
		if n.InFile {
			hint = "name one with -m, or in the file: ferry config set nodes." + n.Name + ".model NAME"
		}
		return "", bad("node "+n.Name+" has no model", hint)
	}
	return m.text, nil
}

// MaxTokens is the most tokens of a node's answer: flag, FERRY_MAX_TOKENS, the node's own, the dialect's, then
// 4096.
func (v *Values) MaxTokens(n Node) int {
	switch {
	case v.set["max_tokens"].outside:
		return v.number("max_tokens")
	case n.MaxTokens > 0:
		return n.MaxTokens
	}
	if most := n.API.Dialect().Defaults().MaxTokens; most > 0 {
		return most
	}
	return v.number("max_tokens")
}

// number and duration read what Resolve checked, or a default, which a test checks.
func (v *Values) number(key string) int {
	n, _ := strconv.Atoi(v.set[key].text)
	return n
}

func (v *Values) duration(key string) time.Duration {
	d, _ := time.ParseDuration(v.set[key].text)
	return d
}
