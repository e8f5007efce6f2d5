package config

import (
	_ "embed"
	"os"
	"strings"
	"testing"

	"ferry/pkg/text"
)

//go:embed testdata/commented.yaml
var commented string

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

// edited is an edit and its result. Without a value the key is removed.
type edited struct{ name, src, key, value, want string }

// edits are those that a diff cannot show well: in files of one line, with other line ends, and without a change.
var edits = []edited{
	{"remarks alone", "# hi", "tls.min", "1.2", "# hi\ntls:\n  min: \"1.2\"\n"},
	{"byte order mark", "\ufefftimeout: 1m\n", "timeout", "5m", "\ufefftimeout: 5m\n"},
	{"byte order mark alone", "\ufeff", "timeout", "5m", "\ufefftimeout: 5m\n"},
	{"header with a dot", "nodes: {a: {url: https://h}}", "nodes.a.headers.X.Y", "v", "nodes: {a: {url: https://h, headers: {X.Y: v}}}"},
	{"same value", commented, "timeout", "10m", commented},
	{"CRLF", "timeout: 1m\r\nproxy: none\r\n", "node", "demo", "timeout: 1m\r\nproxy: none\r\nnode: demo\r\n"},
	{"CRLF in the middle", "retry:\r\n  delay: 1s\r\nproxy: none\r\n", "retry.attempts", "2", "retry:\r\n  delay: 1s\r\n  attempts: 2\r\nproxy: none\r\n"},
	{"no last line break", "timeout: 1m", "node", "demo", "timeout: 1m\nnode: demo\n"},
	{"null in flow", "{retry: , timeout: 1m}", "retry.delay", "1s", "{retry: {delay: 1s} , timeout: 1m}"},
	{"empty flow", "retry: { } # x", "retry.delay", "1s", "retry: {delay: 1s } # x"},
	{"empty root", "{}", "retry.delay", "1s", "{retry: {delay: 1s}}"},
	{"trailing comma", "retry: {attempts: 3,}", "retry.delay", "1s", "retry: {attempts: 3, delay: 1s}"},
	{"JSON", `{"retry":{"attempts":3}}`, "retry.delay", "1s", `{"retry":{"attempts":3, delay: 1s}}`},
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
	{"in flow, first", "retry: {attempts: 3, delay: 1s}", "retry.attempts", "", "retry: {delay: 1s}"},
	{"in flow, middle", "retry: {attempts: 3, delay: 1s, policy: script}", "retry.delay", "", "retry: {attempts: 3, policy: script}"},
	{"the only key", "timeout: 1m", "timeout", "", ""},
	{"header in another case", "nodes: {a: {url: https://h, headers: {X-A: b, X-B: c}}}", "nodes.a.headers.x-b", "", "nodes: {a: {url: https://h, headers: {X-A: b}}}"},
	{"CRLF", "timeout: 1m\r\nproxy: none\r\n", "timeout", "", "proxy: none\r\n"},
	{"a text of two lines in flow", "nodes: {a: {url: https://h, label: one\n  two}}", "nodes.a.label", "", "nodes: {a: {url: https://h}}"},
	{"beside a map without braces", "nodes: {a: {url: https://h, params: {x: [b: 1], y: 2}}}", "nodes.a.params.x", "", "nodes: {a: {url: https://h, params: {y: 2}}}"},
}

func TestEdit(t *testing.T) {
	all := edits
	for _, text := range strings.Split(string(must(os.ReadFile("testdata/edits.txt"))(t)), "\n=== ")[1:] {
		name, text, _ := strings.Cut(text, "\n")
		command, diff, _ := strings.Cut(text, "\n")
		words := append(strings.SplitN(command, " ", 3), "")
		diff, isPart := strings.CutPrefix(diff, "@@\n")
		src, want := undiff(diff)
		if isPart {
			src, want = commented, swapped(commented, src, want)
		}
		all = append(all, edited{name, src, words[1], words[2], want})
	}
	for _, tt := range all {
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

// undiff returns the two texts of a diff.
func undiff(diff string) (before, after string) {
	for line := range strings.Lines(diff) {
		switch line[0] {
		case '-':
			before += line[1:]
		case '+':
			after += line[1:]
		default:
			line = strings.TrimPrefix(line, " ")
			before, after = before+line, after+line
		}
	}
	return before, after
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
