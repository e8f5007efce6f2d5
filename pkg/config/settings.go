package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// Setting is one setting: its dotted key, and the flag and variable that set it too. An absent way is "".
type Setting struct {
	Key, Flag, Env, Default, Usage string
	InFile                         bool // whether it is a key of the file's top level
}

// Variable is an environment variable that ferry reads.
type Variable struct{ Name, Usage string }

const (
	maxDuration = 24 * time.Hour
	maxAttempts = 100
)

type kind int

const (
	kindText kind = iota
	kindNumber
	kindBool
	// kindList is a list that is held as one text, a JSON array: a word or a pattern may have a comma in it.
	kindList
	// kindCommas is one text or a list of them; as one text its items, none of which can have one, stand behind commas.
	kindCommas
)

// setting is a Setting with the rule that its values keep, wherever they come from.
type setting struct {
	Setting
	kind  kind
	check func(text string) *Error
}

// settings is the one place for names and defaults; the defaults of retry are the script's.
func settings() []setting {
	s := func(key, flag, env, def, usage string, k kind, check func(string) *Error) setting {
		return setting{Setting{key, flag, env, def, usage, true}, k, check}
	}
	notInFile := func(s setting) setting { s.InFile = false; return s }
	return slices.Concat([]setting{
		s("node", "node", "FERRY_NODE", "direct", "the node to take, or several in the order of failover", kindText, checkNodes),
		s("retry.policy", "retry-policy", "FERRY_RETRY_POLICY", string(retry.Script),
			"when to try again: script, retry-after or backoff", kindText, checkPolicy),
		s("retry.attempts", "attempts", "FERRY_ATTEMPTS", "3", "how many attempts in all", kindNumber, checkAttempts),
		s("retry.delay", "retry-delay", "FERRY_RETRY_DELAY", "2s",
			"the script's RETRY_DELAY: its wait after a 429, times the attempt", kindText, checkDelay),
		// No variable: one that was exported once would let every prompt leave its zone unseen.
		s("failover.across", "across", "", "false", "let failover go on in another zone", kindBool, checkBool),
		s("timeout", "timeout", "FERRY_TIMEOUT", "10m", "total time limit, including retries", kindText, checkTimeout),
		s("connect_timeout", "connect-timeout", "FERRY_CONNECT_TIMEOUT", "15s",
			"time limit for one connection", kindText, checkTimeout),
		s("idle_timeout", "idle-timeout", "FERRY_IDLE_TIMEOUT", "90s",
			"time limit without a byte of a stream", kindText, checkTimeout),
		s("limit", "limit", "FERRY_LIMIT", noLimit,
			"rate limit of a node's address, shared by all ferry processes: 50/min or 600/min burst 5", kindText, checkLimit),
		s("budget", "", "", noLimit, "token budget of a node's address for a day: 200000 tokens/day", kindText, checkBudget),
		s("hold", "hold", "FERRY_HOLD", noHold,
			"keep the connection open for the next command, for so long without use: 5m, or off", kindText, checkHold),
		s("proxy", "proxy", "FERRY_PROXY", "", "a proxy's URL, or none", kindText, checkProxy),
		s("tls.min", "", "", "1.3", "the lowest TLS version: 1.2 or 1.3", kindText, checkTLS),
		s("tls.ca", "", "", "", "a PEM file of certificate authorities to trust instead of the system's", kindText, checkPath),
		s("session.idle", "", "FERRY_SESSION_IDLE", "10m",
			"how long a conversation's token may be idle; 300 to 600 seconds are advised", kindText, checkTimeout),
		s("render", "render", "FERRY_RENDER", "on", "style Markdown on a terminal: on or off", kindText, checkSwitch),
		notInFile(s("output", "output", "FERRY_OUTPUT", "text", "the form of the output", kindText, checkOutput)),
		notInFile(s("model", "model", "FERRY_MODEL", "claude-haiku-5-5",
			"the model; the default is for api messages alone", kindText, checkModel)),
		notInFile(s("max_tokens", "max-tokens", "FERRY_MAX_TOKENS", "4096",
			"the most tokens of an answer; "+itoa(wire.Complete.Dialect().Defaults().MaxTokens)+" for api complete", kindNumber, checkTokens)),
	}, guardedSettings())
}

// Settings lists every setting, in the order in which they are shown.
func Settings() []Setting {
	var list []Setting
	for _, s := range settings() {
		list = append(list, s.Setting)
	}
	return list
}

// Environment lists every variable that ferry reads for itself. Those of proxies and folders are the system's.
func Environment() []Variable {
	list := []Variable{
		{"FERRY_CONFIG", "the path of the configuration file, which must exist"},
		{"FERRY_KEY", "the key for a node that is given as a URL, and for nothing else"},
		{"FERRY_STDIN", "never: standard input is not read unless - asks for it"},
		{"FERRY_STDOUT", "discard: no output is wanted, and /dev/null may be open in its place for reading too"},
	}
	for _, s := range settings() {
		if s.Env != "" {
			list = append(list, Variable{s.Env, s.Usage})
		}
	}
	return append(list,
		Variable{"ANTHROPIC_API_KEY", "the key of the built-in node direct"},
		Variable{"CLAUDE_KEY", "the same, where ANTHROPIC_API_KEY is not set"},
		Variable{"ANTHROPIC_BASE_URL", "the address of the built-in node direct"},
		Variable{"ANTHROPIC_MODEL", "the model of the built-in node direct"},
	)
}

// fileKeys lists the settings of the file's top level; with a group such as "retry", the names inside it.
func fileKeys(group string) []string {
	var names []string
	for _, s := range settings() {
		if name, ok := strings.CutPrefix(s.Key, group+"."); s.InFile && ok {
			names = append(names, name)
		}
	}
	return names
}

func findSetting(key string) (setting, bool) {
	for _, s := range settings() {
		if s.Key == key {
			return s, true
		}
	}
	return setting{}, false
}

func checkPolicy(s string) *Error {
	if _, err := retry.ParsePolicy(s); err == nil {
		return nil
	}
	var names []string
	for _, p := range retry.Policies() {
		names = append(names, string(p))
	}
	return bad(meant("use one of "+strings.Join(names, ", "), s, names), "")
}

func checkAttempts(s string) *Error { return checkNumber(s, maxAttempts) }

func checkTokens(s string) *Error { return checkNumber(s, 1<<31-1) }

func checkNumber(s string, most int) *Error {
	if n, err := strconv.Atoi(s); err != nil || n < 1 || n > most || s[0] == '+' {
		return bad("use a whole number from 1 to "+itoa(most), "")
	}
	return nil
}

func checkTimeout(s string) *Error {
	if d, err := time.ParseDuration(s); err != nil || d <= 0 || d > maxDuration {
		return bad("use a duration above 0 and at most 24h, such as 90s or 10m", "")
	}
	return nil
}

func checkDelay(s string) *Error {
	if d, err := time.ParseDuration(s); err != nil || d < 0 || d > maxDuration {
		return bad("use a duration from 0s to 24h, such as 2s", "")
	}
	return nil
}

func checkBool(s string) *Error {
	if s != "true" && s != "false" {
		return bad("use true or false", "")
	}
	return nil
}

// checkSwitch takes true and false too: older files have them.
func checkSwitch(s string) *Error {
	if s != "on" && s != "off" && s != "true" && s != "false" {
		return bad("use on or off", "")
	}
	return nil
}

func checkTLS(s string) *Error {
	if s != "1.2" && s != "1.3" {
		return bad(`use "1.2" or "1.3"`, "")
	}
	return nil
}

// checkOutput knows no form: each command knows its own.
func checkOutput(s string) *Error {
	if !isWord(s) {
		return bad("use a word, such as text or json", "")
	}
	return nil
}

func checkModel(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if strings.ContainsAny(s, " \t") {
		return bad("use a model's name, which has no spaces", "")
	}
	return nil
}
