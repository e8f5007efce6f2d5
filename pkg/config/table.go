package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ferry/pkg/retry"
	"ferry/pkg/text"
)

// Setting is one setting: its dotted key, and the flag and the variable that also set it, "" if there is none.
type Setting struct{ Key, Flag, Env, Default, Usage string }

// kind is the form of a value.
type kind int

const (
	kindText kind = iota
	kindNumber
	kindBool
	// kindPath is the path of a file, relative to the folder of the configuration file.
	kindPath
	// kindLimit is text, or a map of a rate and a burst.
	kindLimit
	// kindJSON is a value of any type. Its text form is JSON.
	kindJSON
	// kindList is a list. Its text form is a JSON array, because a word or a pattern may contain a comma.
	kindList
	// kindCommas is text or a list. In the text form commas separate the items, which cannot contain a comma.
	kindCommas
	// kindWords is like kindCommas, but config set writes it as text, and no item may be repeated.
	kindWords
	// kindNodes is node selectors: text or a list.
	kindNodes
)

// key is one key of the file, or a setting that only has a flag and a variable.
type key struct {
	// Setting has the key, in which * stands for a name that the user chooses, and its default. The other fields are for
	// settings only; each setting has a Usage.
	Setting
	kind  kind
	check func(text string) *Error // the rule for a value, or for each item of a list
}

// keys is the only place for names, defaults and rules, in display order. The defaults of retry are from the
// bash script that ferry replaces. No variable sets what may be sent and what is logged of it: the environment of one
// call must not switch off what the file sets. There is also no variable for failover.across: once exported, it would
// let every prompt leave its zone unnoticed.
var keys = []key{
	{Setting{"node", "node", "FERRY_NODE", "direct", "node to use; several (a,b) are tried in order"},
		kindNodes, checkSelector},
	{Setting{"retry.policy", "retry-policy", "FERRY_RETRY_POLICY", "script",
		"when to retry: script, retry-after or backoff"},
		kindText, func(s string) *Error { return checkNamed(s, retry.Policies()) }},
	{Setting{"retry.attempts", "attempts", "FERRY_ATTEMPTS", "3", "maximum number of attempts"},
		kindNumber, func(s string) *Error { return checkNumber(s, 100) }},
	{Setting{"retry.delay", "retry-delay", "FERRY_RETRY_DELAY", "2s",
		"wait after a 429, multiplied by the attempt number; policy script only"}, kindText, checkDelay},
	{Setting{"failover.across", "across", "", "false", "allow failover to nodes in another zone"}, kindBool, checkBool},
	{Setting{"timeout", "timeout", "FERRY_TIMEOUT", "10m", "total time limit, including retries"},
		kindText, checkTimeout},
	{Setting{"connect_timeout", "connect-timeout", "FERRY_CONNECT_TIMEOUT", "15s", "time limit for one connection"},
		kindText, checkTimeout},
	{Setting{"idle_timeout", "idle-timeout", "FERRY_IDLE_TIMEOUT", "90s",
		"time limit without data in a stream; a ping counts as data"},
		kindText, checkTimeout},
	{Setting{"limit", "limit", "FERRY_LIMIT", "none",
		"rate limit for a node's address, shared by all ferry processes: 50/min, evenly spaced, or 600/min burst 5"},
		kindLimit, checkLimit},
	{Setting{"budget", "", "", "none", "daily token budget for a node's address: 200000 tokens/day"},
		kindText, checkBudget},
	{Setting{"hold", "hold", "FERRY_HOLD", "off",
		"keep the connection open for later commands until it is idle this long: 5m, or off; not on Windows"},
		kindText, checkHold},
	{Setting{"http3", "http3", "FERRY_HTTP3", "false",
		"use HTTP/3 if it connects before TCP: true, false, or only (never TCP)"}, kindText, checkHTTP3},
	{Setting{"pick", "pick", "FERRY_PICK", "order",
		"which of several nodes to try first: order (the first given) or fastest (the first to connect)"},
		kindText, checkPick},
	{Setting{"proxy", "proxy", "FERRY_PROXY", "", "proxy URL, or none to use no proxy"}, kindText, checkProxy},
	{Setting{"tls.min", "", "", "1.3", "minimum TLS version: 1.2 or 1.3"}, kindText, checkTLS},
	{Setting{"tls.ca", "", "", "", "PEM file of certificate authorities to trust instead of the system's"},
		kindPath, checkText},
	{Setting{"session.idle", "", "FERRY_SESSION_IDLE", "10m",
		"idle time after which a conversation gets a new session token; 300 to 600 seconds recommended"},
		kindText, checkTimeout},
	{Setting{"render", "render", "FERRY_RENDER", "on", "style Markdown on a terminal: on or off"},
		kindText, checkSwitch},
	{Setting{"output", "output", "FERRY_OUTPUT", "text", "output format"}, kindText, checkOutput},
	{Setting{"model", "model", "FERRY_MODEL", "claude-haiku-5-5",
		"model to use; the default applies only to api messages"}, kindText, checkModel},
	{Setting{"system", "system", "FERRY_SYSTEM", "", "system prompt: text, or @FILE to read it from a file"},
		kindText, checkSystem},
	{Setting{"max_tokens", "max-tokens", "FERRY_MAX_TOKENS", "4096",
		"maximum tokens in an answer; 100 for api complete"}, kindNumber, checkTokens},
	{Setting{"filter.file", "", "", "", "file of blocked words, one per line, read at each use"}, kindPath, checkText},
	{Setting{"filter.words", "", "", "", "blocked words"}, kindList, checkWord},
	{Setting{"filter.on", "", "", `["prompt"]`, "what the filter checks: prompt, answer"},
		kindList, func(s string) *Error { return checkOneOf(s, "must be prompt or answer", "prompt", "answer") }},
	{Setting{"redact", "", "", "", "RE2 patterns of text to hide in logs and errors"},
		kindList, checkPattern},
	{Setting{"audit.file", "", "", "", "path of the audit log"}, kindPath, checkText},
	{Setting{"audit.content", "", "", "none", "prompts and answers in the audit log: none or redacted"},
		kindText, func(s string) *Error { return checkOneOf(s, "use none or redacted", "none", "redacted") }},
	{Setting{"audit.max_size", "", "", "10MiB", "size at which the audit log is rotated"}, kindText, checkLogSize},

	{Setting{Key: "nodes.*.label"}, kindText, checkText},
	{Setting{Key: "nodes.*.zone"}, kindText, checkZone},
	{Setting{Key: "nodes.*.url"}, kindText, checkURL},
	{Setting{Key: "nodes.*.api"}, kindText, checkAPI},
	{Setting{Key: "nodes.*.key"}, kindText, checkRef},
	{Setting{Key: "nodes.*.model"}, kindText, checkModel},
	{Setting{Key: "nodes.*.auth"}, kindText, checkAuth},
	{Setting{Key: "nodes.*.proxy"}, kindText, checkNodeProxy},
	{Setting{Key: "nodes.*.version"}, kindText, checkVersion},
	{Setting{Key: "nodes.*.tls.min"}, kindText, checkTLS},
	{Setting{Key: "nodes.*.tls.ca"}, kindText, checkText},
	{Setting{Key: "nodes.*.tls.cert"}, kindText, checkText},
	{Setting{Key: "nodes.*.tls.key"}, kindText, checkText},
	{Setting{Key: "nodes.*.tls.groups"}, kindWords, checkGroup},
	{Setting{Key: "nodes.*.pins"}, kindCommas, checkPin},
	{Setting{Key: "nodes.*.insecure"}, kindBool, checkBool},
	{Setting{Key: "nodes.*.http3"}, kindText, checkHTTP3},
	{Setting{Key: "nodes.*.resolve"}, kindCommas, checkAddress},
	{Setting{Key: "nodes.*.sticky"}, kindBool, checkBool},
	{Setting{Key: "nodes.*.stream"}, kindText, func(s string) *Error { return checkOneOf(s, "use only", "only") }},
	{Setting{Key: "nodes.*.limit"}, kindLimit, checkLimit},
	{Setting{Key: "nodes.*.budget"}, kindText, checkBudget},
	{Setting{Key: "nodes.*.hold"}, kindText, checkHold},
	{Setting{Key: "nodes.*.max_tokens"}, kindNumber, checkTokens},
	{Setting{Key: "nodes.*.system"}, kindText, checkSystem},
	{Setting{Key: "nodes.*.aliases.*"}, kindText, nil}, // checked with the name: see find
	{Setting{Key: "nodes.*.headers.*"}, kindText, nil},
	{Setting{Key: "nodes.*.params.*"}, kindJSON, checkJSON},

	{Setting{Key: "roles.*"}, kindText, checkSystem},

	{Setting{Key: "gateway.server_name"}, kindText, checkServerName},
	{Setting{Key: "gateway.cert"}, kindText, checkNginxPath},
	{Setting{Key: "gateway.key"}, kindText, checkNginxPath},
	{Setting{Key: "gateway.listen", Default: "443"}, kindWords, checkListen},
	{Setting{Key: "gateway.http3"}, kindBool, checkBool},
	{Setting{Key: "gateway.prefix", Default: "/api/"}, kindText, checkPrefix},
	{Setting{Key: "gateway.upstream"}, kindWords, checkUpstream},
	{Setting{Key: "gateway.keepalive", Default: "16"},
		kindNumber, func(s string) *Error { return checkNumber(s, 10000) }},
	{Setting{Key: "gateway.rate", Default: "50/min"}, kindText, checkGatewayRate},
	{Setting{Key: "gateway.burst"}, kindNumber, checkGatewayBurst},
	{Setting{Key: "gateway.connections", Default: "64"},
		kindNumber, func(s string) *Error { return checkNumber(s, 65535) }},
	{Setting{Key: "gateway.tokens", Default: "gateway-tokens.conf"}, kindText, checkNginxPath},
	{Setting{Key: "gateway.logs", Default: "/var/log/nginx"}, kindText, checkNginxPath},
	{Setting{Key: "gateway.temp"}, kindText, checkNginxPath},
	{Setting{Key: "gateway.roles.*"}, kindWords, checkPermission},
}

// inFile reports whether the file may have the key at its top level.
func (k *key) inFile() bool { return k.Key != "output" && k.Key != "model" && k.Key != "max_tokens" }

// Settings returns every setting, in display order.
func Settings() []Setting {
	var list []Setting
	for _, k := range keys {
		if k.Usage != "" {
			list = append(list, k.Setting)
		}
	}
	return list
}

// Variable is an environment variable that ferry reads.
type Variable struct{ Name, Usage string }

// Environment returns the variables of ferry, of the node direct and of the providers. The variables of proxies and
// folders are the system's, so it does not return them.
func Environment() []Variable {
	list := []Variable{
		{"FERRY_CONFIG", "path of the configuration file, which must exist"},
		{"FERRY_KEY", "key for a node given as a URL, and for no other node"},
		{"FERRY_STDIN", "never: do not read standard input, and refuse -"},
		{"FERRY_STDOUT", "discard: no output is wanted; standard output may be /dev/null opened read-write"},
	}
	for _, k := range keys {
		if k.Env != "" {
			list = append(list, Variable{k.Env, k.Usage})
		}
	}
	list = append(list,
		Variable{"ANTHROPIC_AUTH_TOKEN", "key of the built-in node direct, sent as a Bearer token"},
		Variable{"ANTHROPIC_API_KEY", "the same, sent as x-api-key, if ANTHROPIC_AUTH_TOKEN is not set"},
		Variable{"CLAUDE_KEY", "the same, if neither of these is set"},
		Variable{"ANTHROPIC_BASE_URL", "address of the built-in node direct"},
		Variable{"ANTHROPIC_MODEL", "model of the built-in node direct"},
	)
	for _, p := range providers {
		if p.Variable != "" {
			list = append(list, Variable{p.Variable, "key of the provider " + p.Name})
		}
		if p.BaseVariable != "" {
			list = append(list, Variable{p.BaseVariable, "address of the provider " + p.Name})
		}
	}
	return list
}

// pattern returns the table's form of a path of names: each name that the user chooses is a *.
func pattern(path []string) string {
	p := slices.Clone(path)
	if len(p) > 1 && p[0] == "nodes" {
		p[1] = "*"
	}
	if i := userNameIndex(p); i >= 0 {
		p[i] = "*"
	}
	return strings.Join(p, ".")
}

// userNameIndex returns the index in a path of a name that the user chooses and that may contain dots, or -1.
func userNameIndex(path []string) int {
	switch {
	case len(path) > 3 && path[0] == "nodes" && slices.Contains([]string{"headers", "aliases", "params"}, path[2]):
		return 3
	case len(path) > 2 && path[0] == "gateway" && path[1] == "roles":
		return 2
	case len(path) > 1 && path[0] == "roles":
		return 1
	}
	return -1
}

// find returns the key for a path of names, or reports that the path is a group of keys.
func find(path []string) (found key, isGroup bool) {
	name, last := pattern(path), path[len(path)-1]
	group := name + "."
	if strings.Contains(last, ".") && !strings.HasSuffix(name, ".*") {
		return key{}, false // retry.delay as one name
	}
	for i := range keys {
		if strings.HasPrefix(keys[i].Key, group) {
			return key{}, true
		}
		if keys[i].Key == name && keys[i].inFile() {
			found = keys[i]
			break
		}
	}
	switch found.Key {
	case "nodes.*.headers.*":
		found.check = func(text string) *Error { _, err := parseHeader(last, text); return err }
	case "nodes.*.aliases.*":
		found.check = func(text string) *Error { return checkAlias(last, text) }
	}
	return found, false
}

// namesIn returns the names of the keys in a group. A group in it is one name, unless whole is true: then each key has
// its full name.
func namesIn(group []string, whole bool) []string {
	prefix := strings.TrimPrefix(pattern(group)+".", ".")
	var names []string
	for _, k := range keys {
		name, ok := strings.CutPrefix(k.Key, prefix)
		if !whole {
			name, _, _ = strings.Cut(name, ".")
		}
		if ok && k.inFile() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// jsonText encodes a value that was decoded from JSON, or strings, as JSON.
func jsonText(v any) string {
	return strings.TrimSuffix(string(text.EncodeLine(v)), "\n")
}

// split returns the values of a text.
func (k kind) split(text string) []string {
	switch k {
	case kindList:
		var items []string
		_ = json.Unmarshal([]byte(text), &items) // join wrote it, or it is "" for none
		return items
	case kindNodes:
		return SplitNodes(text)
	case kindCommas, kindWords:
		items := strings.Split(text, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		return items
	}
	return []string{text}
}

// itemsOf returns the comma-separated items of text, none for "".
func itemsOf(text string) []string {
	if text == "" {
		return nil
	}
	return kindCommas.split(text)
}

// join returns the text that split splits into items.
func (k kind) join(items []string) string {
	switch k {
	case kindList:
		return jsonText(items)
	case kindNodes:
		return JoinNodes(items)
	}
	return strings.Join(items, ",")
}

// checkItem is the rule for a value, or for one item of a list after the others.
func (k key) checkItem(others []string, item string) *Error {
	err := k.check(item)
	switch {
	case err != nil && k.kind == kindList:
		one := map[string]string{"filter.words": "word", "filter.on": "value", "redact": "pattern"}[k.Key]
		err.Msg = fmt.Sprintf("%s %d %s", one, len(others)+1, err.Msg)
	case err != nil || !slices.Contains(others, item):
	case k.kind == kindWords:
		err = newError("names the same twice", "")
	case k.kind == kindNodes:
		err = newError("names a node twice", "")
	}
	return err
}

func (k key) checkText(text string) *Error {
	items := k.kind.split(text)
	for i, item := range items {
		if err := k.checkItem(items[:i], item); err != nil {
			return err
		}
	}
	return nil
}
