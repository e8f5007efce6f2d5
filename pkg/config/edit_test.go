package config

import (
	"strings"
	"testing"

	"ferry/pkg/text"
)

const commented = `# mine

timeout: 10m   # long
retry:
    # the script's
    policy: "script"  # quoted

    attempts: 3
nodes:
    hk: {url: 'https://h', label: 香港}  # flow
    # sg comes later
    q:
        url: https://q
        headers:
            X-Team: core
# the end
`

const (
	filtered  = "# mine\nfilter: {file: words.txt} # theirs\n"
	pins      = `["` + pinA + `", "` + pinB + `"]`
	flowPins  = "nodes:\n  a: {url: https://h, pins: [" + pinA + "]} # mine\n"
	blockPins = "nodes:\n  a:\n    url: https://h\n    pins:\n      - " + pinA + "\n      - " + pinB + "\n    label: x\n"
)

// swapped replaces text that occurs exactly once.
func swapped(src, was, is string) string {
	if strings.Count(src, was) != 1 {
		panic(was)
	}
	return strings.Replace(src, was, is, 1)
}

// edits are single edits. Without a value the key is removed.
var edits = []struct{ name, src, key, value, want string }{
	{"nothing there", "", "timeout", "5m", "timeout: 5m\n"},
	{"nothing there, nested", "", "nodes.a.url", "https://h/x", "nodes:\n  a:\n    url: https://h/x\n"},
	{"remarks alone", "# hi", "tls.min", "1.2", "# hi\ntls:\n  min: \"1.2\"\n"},
	{"a document mark", "---\n", "timeout", "5m", "---\ntimeout: 5m\n"},
	{"byte order mark", "\ufefftimeout: 1m\n", "timeout", "5m", "\ufefftimeout: 5m\n"},
	{"byte order mark alone", "\ufeff", "timeout", "5m", "\ufefftimeout: 5m\n"},
	{"plain", commented, "timeout", "5m", swapped(commented, "10m ", "5m ")},
	{"keeps double quotes", commented, "retry.policy", "backoff", swapped(commented, `"script"`, `"backoff"`)},
	{"keeps single quotes", commented, "nodes.hk.url", "https://h/2", swapped(commented, "'https://h'", "'https://h/2'")},
	{"number", commented, "retry.attempts", "5", swapped(commented, "attempts: 3", "attempts: 5")},
	{"behind wide letters", commented, "nodes.hk.label", "新加坡", swapped(commented, "香港", "新加坡")},
	{"quotes what YAML would misread", commented, "nodes.hk.label", "a: b # c", swapped(commented, "香港", `"a: b # c"`)},
	{"new in a block map", commented, "retry.delay", "0s", swapped(commented, "attempts: 3\n", "attempts: 3\n    delay: 0s\n")},
	{"new in a flow map", commented, "nodes.hk.api", "chat", swapped(commented, "香港}", "香港, api: chat}")},
	{"new map in a flow map", commented, "nodes.hk.tls.min", "1.3", swapped(commented, "香港}", "香港, tls: {min: \"1.3\"}}")},
	{"new node", commented, "nodes.n1.url", "demo:", swapped(commented, "core\n", "core\n    n1:\n        url: \"demo:\"\n")},
	{"new at the top", commented, "node", "hk", swapped(commented, "core\n", "core\nnode: hk\n")},
	{"new group at the top", commented, "tls.ca", "a b.pem", swapped(commented, "core\n", "core\ntls:\n    ca: \"a b.pem\"\n")},
	{"header", commented, "nodes.q.headers.X-Gate", "env:GATE", swapped(commented, "core\n", "core\n            X-Gate: \"env:GATE\"\n")},
	{"header in another case", commented, "nodes.q.headers.x-team", "edge", swapped(commented, "core", "edge")},
	{"header with a dot", "nodes: {a: {url: https://h}}", "nodes.a.headers.X.Y", "v", "nodes: {a: {url: https://h, headers: {X.Y: v}}}"},
	{"same value", commented, "timeout", "10m", commented},
	{"CRLF", "timeout: 1m\r\nproxy: none\r\n", "node", "demo", "timeout: 1m\r\nproxy: none\r\nnode: demo\r\n"},
	{"CRLF in the middle", "retry:\r\n  delay: 1s\r\nproxy: none\r\n", "retry.attempts", "2", "retry:\r\n  delay: 1s\r\n  attempts: 2\r\nproxy: none\r\n"},
	{"no last line break", "timeout: 1m", "node", "demo", "timeout: 1m\nnode: demo\n"},
	{"null block", "nodes:   # mine\n  # a: x\n\ntimeout: 1m\n", "nodes.a.url", "https://h", "nodes:   # mine\n  a:\n    url: https://h\n  # a: x\n\ntimeout: 1m\n"},
	{"null word", "retry: ~ # x\n", "retry.delay", "1s", "retry: {delay: 1s} # x\n"},
	{"null in flow", "{retry: , timeout: 1m}", "retry.delay", "1s", "{retry: {delay: 1s} , timeout: 1m}"},
	{"empty flow", "retry: { } # x", "retry.delay", "1s", "retry: {delay: 1s } # x"},
	{"empty root", "{}", "retry.delay", "1s", "{retry: {delay: 1s}}"},
	{"trailing comma", "retry: {attempts: 3,}", "retry.delay", "1s", "retry: {attempts: 3, delay: 1s}"},
	{"flow over lines", "retry: {\n  attempts: 3, # three }\n  policy: 'script' # it's\n}\n", "retry.delay", "1s",
		"retry: {\n  attempts: 3, # three }\n  policy: 'script', delay: 1s # it's\n}\n"},
	{"JSON", `{"retry":{"attempts":3}}`, "retry.delay", "1s", `{"retry":{"attempts":3, delay: 1s}}`},
	{"mends a list", "node: [a, b] # two\n", "node", "a", "node: a # two\n"},
	{"mends a bad value", "timeout: 3 # s\n", "timeout", "3s", "timeout: 3s # s\n"},
	{"gives a value", "timeout: # s\n", "timeout", "3s", "timeout: 3s # s\n"},
	{"after a long text", "nodes:\n  a:\n    url: https://h\n    label: |-\n      long\nproxy: none\n", "nodes.a.api", "chat",
		"nodes:\n  a:\n    url: https://h\n    label: |-\n      long\n    api: chat\nproxy: none\n"},
	{"indented as a whole", "  timeout: 1m\n", "node", "demo", "  timeout: 1m\n  node: demo\n"},
	{"the long form of a limit", "limit: {rate: 600/min, burst: 5} # mine\n", "limit", "50/min",
		"limit: \"50/min\" # mine\n"},
	{"several nodes", "", "node", "a,c", "node: \"a,c\"\n"},
	{"several nodes for a list", "node: [a, b] # mine\n", "node", "a,c", "node: \"a,c\" # mine\n"},
	{"several nodes for one", "node: a # mine\ntimeout: 1s\n", "node", "a,c", "node: \"a,c\" # mine\ntimeout: 1s\n"},
	{"new list", filtered, "filter.on", "[prompt, answer]", swapped(filtered, "}", ", \"on\": [prompt, answer]}")},
	{"a list of one", "filter: {file: x, \"on\": [prompt, answer]} # theirs\n", "filter.on", "answer",
		"filter: {file: x, \"on\": [answer]} # theirs\n"},
	{"an item with YAML syntax", filtered, "redact", `a: \d+`, filtered + "redact: [\"a: \\\\d+\"]\n"},
	{"quoted items", filtered + "redact: [\"a: \\\\d+\"]\n", "redact", `["[0-9]", 'it''s', x]`,
		filtered + "redact: [\"[0-9]\", \"it's\", x]\n"},
	{"a pin", "nodes:\n  a:\n    url: https://h\n", "nodes.a.pins", pinA,
		"nodes:\n  a:\n    url: https://h\n    pins: [\"" + pinA + "\"]\n"},
	{"two pins", "nodes:\n  a:\n    url: https://h\n", "nodes.a.pins", pinA + "," + pinB,
		"nodes:\n  a:\n    url: https://h\n    pins: " + pins + "\n"},
	{"pins with a space", "nodes:\n  a: {url: https://h}\n", "nodes.a.pins", pinA + ", " + pinB,
		"nodes:\n  a: {url: https://h, pins: " + pins + "}\n"},
	{"pins for a list", flowPins, "nodes.a.pins", pinA + "," + pinB, swapped(flowPins, "["+pinA+"]", pins)},
	{"pins for lines", blockPins, "nodes.a.pins", pinB,
		swapped(blockPins, "\n      - "+pinA+"\n      - "+pinB, " [\""+pinB+"\"]")},
	{"pins for one text", "nodes: {a: {url: https://h, pins: '" + pinA + "'}}", "nodes.a.pins", pinB,
		"nodes: {a: {url: https://h, pins: [\"" + pinB + "\"]}}"},
	{"the same pins", "nodes: {a: {url: https://h, pins: " + pins + "}}", "nodes.a.pins", pinA + "," + pinB,
		"nodes: {a: {url: https://h, pins: " + pins + "}}"},
	{"truth", "nodes: {a: {url: http://h}}", "nodes.a.insecure", "true", "nodes: {a: {url: http://h, insecure: true}}"},
	{"a field of any form", "nodes: {a: {url: http://h}}", "nodes.a.params.x.y", ` {"b": [1.50, null, "é\u2028"], "a": {}} `,
		`nodes: {a: {url: http://h, params: {x.y: {"a":{},"b":[1.50,null,"é\u2028"]}}}}`},
	{"a field that is a text", "nodes: {a: {url: http://h, params: {x: 1}}}", "nodes.a.params.x", `say "no"`,
		`nodes: {a: {url: http://h, params: {x: "say \"no\""}}}`},
	{"behind a wide space", "{nodes: {a: {url: https://h, label: a　}}}", "node", "demo", "{nodes: {a: {url: https://h, label: a　}}, node: demo}"},
	{"lines and marks", "", "system", "a\n\"b\"\t\u200b\x7f", "system: \"a\\n\\\"b\\\"\\t\\u200b\\x7f\"\n"},
	{"name like a number", "", "nodes.007.url", "https://h", "nodes:\n  \"007\":\n    url: https://h\n"},
	{"name like a truth value", "", "nodes.on.url", "https://h", "nodes:\n  \"on\":\n    url: https://h\n"},
	{"line", commented, "timeout", "", swapped(commented, "timeout: 10m   # long\n", "")},
	{"nested line", commented, "retry.attempts", "", swapped(commented, "    attempts: 3\n", "")},
	{"in flow, last", commented, "nodes.hk.label", "", swapped(commented, ", label: 香港", "")},
	{"in flow, first", "retry: {attempts: 3, delay: 1s}", "retry.attempts", "", "retry: {delay: 1s}"},
	{"in flow, middle", "retry: {attempts: 3, delay: 1s, policy: script}", "retry.delay", "", "retry: {attempts: 3, policy: script}"},
	{"the only one takes the map along", commented, "nodes.q.headers.X-Team", "", swapped(commented, "        headers:\n            X-Team: core\n", "")},
	{"the only one in flow", "timeout: 1m\nretry: {attempts: 3} # x\nproxy: none\n", "retry.attempts", "", "timeout: 1m\nproxy: none\n"},
	{"the only one, beside a remark", "retry:\n  # why\n  attempts: 3\n", "retry.attempts", "", "retry:\n  # why\n"},
	{"group", commented, "retry", "", swapped(commented, "retry:\n    # the script's\n    policy: \"script\"  # quoted\n\n    attempts: 3\n", "")},
	{"node", commented, "nodes.hk", "", swapped(commented, "    hk: {url: 'https://h', label: 香港}  # flow\n", "")},
	{"last node", commented, "nodes.q", "", swapped(commented, "    q:\n        url: https://q\n        headers:\n            X-Team: core\n", "")},
	{"the only key", "timeout: 1m", "timeout", "", ""},
	{"a bad value goes too", "timeout: 3\nproxy: none\n", "timeout", "", "proxy: none\n"},
	{"header in another case", "nodes: {a: {url: https://h, headers: {X-A: b, X-B: c}}}", "nodes.a.headers.x-b", "", "nodes: {a: {url: https://h, headers: {X-A: b}}}"},
	{"CRLF", "timeout: 1m\r\nproxy: none\r\n", "timeout", "", "proxy: none\r\n"},
	{"a text of two lines in flow", "nodes: {a: {url: https://h, label: one\n  two}}", "nodes.a.label", "", "nodes: {a: {url: https://h}}"},
	{"list", filtered + "redact: [x]\n", "redact", "", filtered},
	{"group in flow", filtered, "filter", "", "# mine\n"},
	{"pins in flow", flowPins, "nodes.a.pins", "", swapped(flowPins, ", pins: ["+pinA+"]", "")},
	{"pins in lines", blockPins, "nodes.a.pins", "",
		swapped(blockPins, "    pins:\n      - "+pinA+"\n      - "+pinB+"\n", "")},
	{"beside a map without braces", "nodes: {a: {url: https://h, params: {x: [b: 1], y: 2}}}", "nodes.a.params.x", "", "nodes: {a: {url: https://h, params: {y: 2}}}"},
}

func TestEdit(t *testing.T) {
	for _, tt := range edits {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Set([]byte(tt.src), tt.key, tt.value)
			if tt.value == "" {
				got, err = Unset([]byte(tt.src), tt.key)
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("%v\ngot  %q\nwant %q", err, got, tt.want)
			}
		})
	}
}

// editError is an edit that fails, and its expected error and hint.
type editError struct {
	name       string
	err        error
	want, hint string
}

func holdEditErrors(t *testing.T, tests []editError) {
	t.Helper()
	for _, tt := range tests {
		wantError(t, tt.name, tt.err, tt.want)
		if hint := text.Hint(tt.err); hint != tt.hint {
			t.Errorf("%s: hint %q, want %q", tt.name, hint, tt.hint)
		}
	}
}

func TestSetErrors(t *testing.T) {
	set := func(src, key, value string) error { _, err := Set([]byte(src), key, value); return err }
	holdEditErrors(t, []editError{
		{"unknown", set("", "timeoutt", "1s"), "timeoutt: unknown key; did you mean timeout?", ""},
		{"unknown in a node", set("", "nodes.a.ulr", "x"), "nodes.a.ulr: unknown key; did you mean url?", ""},
		{"secret for a key", set("", canary+" x", "1s"), "…: unknown key", ""},
		{"group", set("", "nodes.a", canary), "nodes.a: is a group; set one of the keys in it", ""},
		{"no name", set("", "nodes.", canary), "nodes.: use nodes.NAME.FIELD, the name of letters, digits, - and _", ""},
		{"reserved", set("", "nodes.demo.url", "demo:"), "nodes.demo.url: this name is taken: the demo node is built in", ""},
		{"not in the file, nor of a node", set("", "output", "raw"), "output: is not a top-level setting of the file", "use --output or FERRY_OUTPUT"},
		{"not in the file", set("", "model", "m"), "model: is not a top-level setting of the file", "it belongs to a node: nodes.NAME.model; or use --model"},
		{"framing header", set("", "nodes.a.headers.Host", "h"), "nodes.a.headers.Host: this header frames the request, and only ferry sets it", ""},
		{"bad value", set("", "retry.attempts", canary), "retry.attempts: use a whole number from 1 to 100", ""},
		{"number with a remark", set("", "retry.attempts", "3 # x"), "retry.attempts: use a whole number from 1 to 100", ""},
		{"no value", set("", "timeout", ""), "timeout: has no value", "ferry config unset timeout removes the key"},
		{"literal key", set(commented, "nodes.q.key", canary), "nodes.q.key: a literal key is refused, and not shown", refHint},
		{"shape of a key", set(commented, "nodes.q.label", "sk-ant-"+canary), "nodes.q.label: this looks like a key to an API, and is not shown", refHint},
		{"literal cookie", set(commented, "nodes.q.headers.Cookie", canary), "nodes.q.headers.Cookie: a literal key is refused, and not shown", refHint},
		{"line break", set(commented, "nodes.q.label", "a\n"+canary), "nodes.q.label: has a line break or a control character", ""},
		{"url first", set("", "nodes.a.model", "m"), "nodes.a.url: is required", ""},
		{"file is broken", set("timeout: 1s\n\"", "timeout", "2s"), "2:1: a quote is not closed", ""},
		{"fault elsewhere", set("a: b\ntimeout: 1s\n", "timeout", "2s"), "1:1: a: unknown key", ""},
		{"several lines", set("nodes:\n  a:\n    url: https://h\n    label: one\n      two\n", "nodes.a.label", "x"),
			"nodes.a.label: cannot be edited safely here", "edit the file by hand at line 4"},
		{"question mark", set("? retry\n: attempts: 3\n", "timeout", "1s"), "timeout: cannot be edited safely here", "edit the file by hand at line 1"},
		{"a node twice", set("", "node", "a,a"), "node: names a node twice", ""},
		{"a list in a text", set(filtered, "filter.on", "prompt,answer"), "filter.on: value 1 must be prompt or answer",
			""},
		{"a bad pattern", set("", "redact", "a("), "redact: pattern 1 cannot be used: character 3: missing closing )",
			"a pattern is a regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax)"},
		{"a map in a list", set("", "redact", "[a, {b: c}]"), "redact: use a single value", ""},
		{"no pattern", set("", "redact", ""), "redact: pattern 1 has no value", ""},
		{"no words", set(filtered, "filter.words", "[]"), "filter.words: has no value", ""},
		{"audit without a file", set("", "audit.content", "redacted"), "audit: needs file",
			"ferry config set audit.file PATH"},
		{"a comment among pins", set(swapped(blockPins, "pins:", "pins: # of 2026"), "nodes.a.pins", pinA),
			"nodes.a.pins: cannot be edited safely here", "edit the file by hand at line 4"},
		{"no pin", set(flowPins, "nodes.a.pins", "x"), "nodes.a.pins: a pin is sha256// and a hash in base64",
			"ferry config pin NODE shows the pins of a node's chain, ready to paste"},
		{"a key among pins", set(flowPins, "nodes.a.pins", pinA+",sk-ant-"+canary),
			"nodes.a.pins: this looks like a key to an API, and is not shown", refHint},
		{"no pins", set(flowPins, "nodes.a.pins", ""), "nodes.a.pins: has no value",
			"ferry config unset nodes.a.pins removes the key"},
		{"pins over plain http", set("nodes: {a: {url: 'http://h'}}", "nodes.a.pins", pinA),
			"nodes.a.pins: this node is not reached over TLS, so these pins would not be checked",
			"make its url https://, or remove the pins"},
		{"plain http below pins", set(flowPins, "nodes.a.url", "http://h"),
			"nodes.a.pins: this node is not reached over TLS, so these pins would not be checked",
			"make its url https://, or remove the pins"},
		{"gateway", set("", "gateway", "x"), "gateway: is a group; set one of the keys in it", ""},
		{"roles", set("", "gateway.roles", "x"), "gateway.roles: is a group; set one of the keys in it", ""},
		{"a role's name", set("", "gateway.roles.Dev", "models"),
			"gateway.roles.Dev: use a name of small letters, digits, - and _", ""},
		{"permission", set("", "gateway.roles.dev", "mesages"),
			"gateway.roles.dev: unknown permission; did you mean messages?",
			"the permissions are messages, count_tokens, models, complete, chat"},
		{"unknown in gateway", set("", "gateway.lissen", "443"), "gateway.lissen: unknown key; did you mean listen?", ""},
		{"port twice", set("", "gateway.listen", "443,443"), "gateway.listen: names the same twice", ""},
		{"burst", set("", "gateway.burst", "many"), "gateway.burst: use a whole number from 0 to 1000000", ""},
	})
}

func TestUnsetErrors(t *testing.T) {
	unset := func(src, key string) error { _, err := Unset([]byte(src), key); return err }
	holdEditErrors(t, []editError{
		{"node", unset("nodes: {hk: {url: https://h}}", "hk"), "hk: unknown key", "ferry config unset nodes.hk removes the node"},
		{"no such node", unset("nodes: {hk: {url: https://h}}", "m2"), "m2: unknown key", ""},
		{"not set", unset("# x\n", "timeout"), "timeout: is not set in the file", ""},
		{"unset in part", unset(commented, "nodes.hk.model"), "nodes.hk.model: is not set in the file", ""},
		{"unset unknown", unset(commented, "zzz"), "zzz: unknown key", ""},
		{"unset what is required", unset(commented, "nodes.q.url"), "nodes.q.url: is required", ""},
		{"unset a url alone", unset("nodes:\n  a:\n    url: https://h\n", "nodes.a.url"), "nodes.a.url: is required", ""},
		{"filter without words", unset("filter: {file: a, on: [answer]}", "filter.file"), "filter: needs file or words",
			"ferry config set filter.file PATH"},
		{"unset beside a remark", unset("retry: {attempts: 3, # why\n  delay: 1s}\n", "retry.attempts"), "retry.attempts: cannot be edited safely here", "edit the file by hand at line 1"},
	})
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"timeout", "model", "retry.delay", "nodes.a.url", "nodes.a.headers.X-Y"} {
		if err := CheckKey(key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	wantError(t, "a group", CheckKey("retry"), "retry: is a group; use one of the keys in it")
	wantError(t, "a typo", CheckKey("timout"), "timout: unknown key; did you mean timeout?")
}
