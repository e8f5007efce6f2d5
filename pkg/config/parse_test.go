package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ferry/pkg/wire"
)

// canary is a secret that no message may repeat. It has no well-known shape, so only the rules protect it.
const canary = "Canary7Secret7Value"

// vars returns a Lookup of name and value pairs.
func vars(pairs ...string) Lookup {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func mustParse(t *testing.T, src string) *File {
	t.Helper()
	return must(Parse("/etc/x/config.yaml", []byte(src)))(t)
}

// parseError is a file and its expected error.
type parseError struct{ name, src, want string }

// oneNode returns a file with one node that has these fields.
func oneNode(fields string) string { return "nodes:\n  a: {url: https://h, " + fields + "}\n" }

func TestParseErrorsOfSettings(t *testing.T) {
	holdParseErrors(t, []parseError{
		{"unknown key", "timeoutt: 3s\n", "c.yaml:1:1: timeoutt: unknown key; did you mean timeout?"},
		{"unknown key, far", "throttle: 50/min\n", "c.yaml:1:1: throttle: unknown key"},
		{"limit", "timeout: 1s\nlimit: fast\n", "c.yaml:2:8: limit: use a limit such as 50/min or 600/min burst 5, or none"},
		{"limit of nothing", "limit: 0/min\n", "c.yaml:1:8: limit: use a limit such as 50/min or 600/min burst 5, or none"},
		{"rate in a map", "limit:\n  rate: 50/moon\n", "c.yaml:2:9: limit.rate: use a limit such as 50/min or 600/min burst 5, or none"},
		{"burst", "limit: {rate: 50/min, burst: 0}\n", "c.yaml:1:30: limit.burst: use a burst from 1 to 10000"},
		{"burst without a rate", "limit: {burst: 5}\n", "c.yaml:1:8: limit.rate: is required"},
		{"unknown in a limit", "limit: {rate: 50/min, brust: 5}\n", "c.yaml:1:23: limit.brust: unknown key; did you mean burst?"},
		{"a node's limit", oneNode("limit: 50"), "c.yaml:2:30: nodes.a.limit: use a limit such as 50/min or 600/min burst 5, or none"},
		{"a node's burst", oneNode("limit: {rate: 1/s, burst: 10001}"), "c.yaml:2:49: nodes.a.limit.burst: use a burst from 1 to 10000"},
		{"budget", "budget: 200000\n", "c.yaml:1:9: budget: use a budget such as 200000 tokens/day, or none"},
		{"a node's budget", oneNode("budget: 0 tokens/day"), "c.yaml:2:31: nodes.a.budget: use a whole number of tokens from 1 to 1000000000000"},
		{"unknown key that is no word", "\"" + canary + " x\": 1\n", "c.yaml:1:1: …: unknown key"},
		{"unknown in a group", "retry:\n  atempts: 3\n", "c.yaml:2:3: retry.atempts: unknown key; did you mean attempts?"},
		{"unknown in a node", oneNode("modle: x"), "c.yaml:2:23: nodes.a.modle: unknown key; did you mean model?"},
		{"unknown in a node's tls", oneNode("tls: {sert: x}"), "c.yaml:2:29: nodes.a.tls.sert: unknown key; did you mean cert?"},
		{"dotted key in a node", oneNode("tls.min: x"), "c.yaml:2:23: nodes.a.tls.min: unknown key"},
		{"node twice", "node: [a, b, a]\n", "c.yaml:1:14: node: names a node twice"},
		{"node twice in a text", "node: a,b,a\n", "c.yaml:1:7: node: names a node twice"},
		{"bad node in a list", "node: [a, \"b,c\"]\n", "c.yaml:1:11: node: use a node's name, demo, or a URL that begins with https://"},
		{"list in a list", "node: [a, [b]]\n", "c.yaml:1:11: node: use a single value"},
		{"empty list", "node: []\n", "c.yaml:1:7: node: has no value"},
		{"zone", oneNode("zone: the north"), "c.yaml:2:29: nodes.a.zone: use a word such as cn or eu-west"},
		{"bad selector", "node: \"a b\"\n", "c.yaml:1:7: node: use a node's name, demo, or a URL that begins with https://"},
		{"number", "retry: {attempts: many}\n", "c.yaml:1:19: retry.attempts: use a whole number from 1 to 100"},
		{"zero", "retry: {attempts: 0}\n", "c.yaml:1:19: retry.attempts: use a whole number from 1 to 100"},
		{"quoted number", "retry: {attempts: \"3\"}\n", "c.yaml:1:19: retry.attempts: use a whole number, without quotes"},
		{"policy", "retry: {policy: scirpt}\n", "c.yaml:1:17: retry.policy: use one of script, retry-after, backoff; did you mean script?"},
		{"delay", "retry: {delay: -1s}\n", "c.yaml:1:16: retry.delay: use a duration from 0s to 24h, such as 2s"},
		{"no unit", "timeout: 90\n", "c.yaml:1:10: timeout: use a duration above 0 and at most 24h, such as 90s or 10m"},
		{"too long", "timeout: 25h\n", "c.yaml:1:10: timeout: use a duration above 0 and at most 24h, such as 90s or 10m"},
		{"nothing", "timeout:\n", "c.yaml:1:9: timeout: has no value"},
		{"map for text", "timeout: {a: b}\n", "c.yaml:1:10: timeout: use a single value"},
		{"text for map", "retry: 3\n", "c.yaml:1:8: retry: use keys and values"},
		{"list for map", "nodes: [a]\n", "c.yaml:1:8: nodes: use keys and values"},
		{"tls", "tls: {min: 1.1}\n", `c.yaml:1:12: tls.min: use "1.2" or "1.3"`},
		{"proxy", "proxy: ftp://u:" + canary + "@h\n", "c.yaml:1:8: proxy: use none or a URL such as http://host:3128 or socks5h://host:1080"},
		{"root is a list", "- a\n", "c.yaml:1:1: use keys and values, such as timeout: 10m"},
		{"twice", "timeout: 1s\nproxy: none\ntimeout: 2s\n", "c.yaml:3:1: timeout: is given twice; first on line 1"},
		{"two documents", "timeout: 1s\n---\ntimeout: 2s\n", "c.yaml:2:1: a second document begins here; only one is allowed"},
		{"alias", "timeout: &a 1s\nproxy: *a\n", "c.yaml:1:10: timeout: anchors and aliases are not used in this file"},
		{"unknown alias", "timeout: *" + canary + "\n", "c.yaml:1:10: is not valid YAML"},
		{"tag", "timeout: !!str 1s\n", "c.yaml:1:10: timeout: tags are not used in this file"},
		{"key that is a map", "{a: b}: c\n", "c.yaml:1:1: a key must be a word"},
	})
}

func TestParseErrorsOfForm(t *testing.T) {
	holdParseErrors(t, []parseError{
		{"bad indentation", "retry:\n  delay: 1s\n attempts: 3\n", "c.yaml:3:2: a key is expected here; check the indentation and the quotes"},
		{"colon in a value", "timeout: a: " + canary + "\n", "c.yaml:1:11: a ':' is not allowed here; check the indentation, and quote a value that contains one"},
		{"tab", "retry:\n\tdelay: 1s\n", "c.yaml:2:1: a value cannot begin with this character; quote it, and indent with spaces"},
		{"open quote", "timeout: 1s\nproxy: \"" + canary + "\n", "c.yaml:2:8: a quote is not closed"},
		{"open bracket", "retry: {delay: 1s\n", "c.yaml:2:1: a ',' or the closing bracket is missing"},
		{"no colon", "timeout: 1s\n" + canary + "\n", "c.yaml:3:1: a ':' is missing after a key"},
		{"not UTF-8", "timeout: 1s\n# \xff" + canary + "\n", "c.yaml:2:3: is not UTF-8"},
		{"control character", "a\x1b\n", "c.yaml:1:2: has a control character"},
		{"lone carriage return", "a: b\rc: d\n", "c.yaml:1:5: has a carriage return without a line feed"},
		{"line separator", "a: b\u2028c: d\n", "c.yaml:1:5: has a line separator that is not a line feed"},
		{"UTF-16", "\xff\xfea\x00", "c.yaml:1:1: is not UTF-8"},
		{"large", strings.Repeat("#", MaxSize+1), "c.yaml: is larger than 1 MiB"},
		{"deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), "c.yaml:1:18: is nested too deep"},
	})
}

func TestParseErrorsOfNodes(t *testing.T) {
	holdParseErrors(t, []parseError{
		{"no url", "nodes:\n  香港: {api: chat}\n", "c.yaml:2:3: nodes.香港.url: is required"},
		{"empty node", "nodes:\n  a:\n", "c.yaml:2:3: nodes.a.url: is required"},
		{"node name", "nodes: {a/b: {url: https://h}}\n", "c.yaml:1:9: nodes.…: use a name of letters, digits, - and _"},
		{"reserved name", "nodes: {demo: {url: https://h}}\n", "c.yaml:1:9: nodes.demo: this name is taken: the demo node is built in"},
		{"same name", "nodes:\n  a: {url: https://h}\n  a: {url: https://i}\n", "c.yaml:3:3: nodes.a: is given twice; first on line 2"},
		{"scheme", "nodes: {a: {url: \"ftp://h\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL that begins with https:// or http://, or demo:"},
		{"no host", "nodes: {a: {url: \"https:///x\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL such as https://host/api"},
		{"no scheme", "nodes: {a: {url: \"127.0.0.1:8787\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL such as http://127.0.0.1:8787"},
		{"no scheme, a name", "nodes: {a: {url: \"localhost:8787/v1\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL such as http://localhost:8787"},
		{"no scheme, IPv6", "nodes: {a: {url: \"[::1]:8787\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL such as http://[::1]:8787"},
		{"no scheme, elsewhere", "nodes: {a: {url: \"192.0.2.1:80\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL such as https://host/api"},
		{"port", "nodes: {a: {url: \"https://h:70000\"}}\n", "c.yaml:1:18: nodes.a.url: use a URL such as https://host/api"},
		{"userinfo", "nodes: {a: {url: \"https://u:" + canary + "@h\"}}\n", "c.yaml:1:18: nodes.a.url: must not contain a user name or password"},
		{"fragment", "nodes: {a: {url: \"https://h/#x\"}}\n", "c.yaml:1:18: nodes.a.url: must not contain a #fragment"},
		{"key in the query", "nodes: {a: {url: \"https://h/?API-Key=" + canary + "\"}}\n", "c.yaml:1:18: nodes.a.url: has a literal key in its query"},
		{"signed query", "nodes: {a: {url: \"https://h/?X-Amz-Signature=" + canary + "\"}}\n", "c.yaml:1:18: nodes.a.url: has a literal key in its query"},
		{"demo with a host", "nodes: {a: {url: \"demo://h\"}}\n", "c.yaml:1:18: nodes.a.url: use demo: or demo:?faults"},
		{"api", oneNode("api: message"), "c.yaml:2:28: nodes.a.api: use one of messages, complete, chat; did you mean messages?"},
		{"literal key", oneNode("key: " + canary), "c.yaml:2:28: nodes.a.key: a literal key is refused, and not shown"},
		{"literal key with a colon", oneNode("key: \"x:" + canary + "\""), "c.yaml:2:28: nodes.a.key: a literal key is refused, and not shown"},
		{"no variable", oneNode("key: \"env:" + canary + " x\""), "c.yaml:2:28: nodes.a.key: use a variable's name after env:"},
		{"empty reference", oneNode("key: \"file:\""), "c.yaml:2:28: nodes.a.key: has nothing after file:"},
		{"shell", oneNode("key: \"cmd:a " + canary + " | b\""), "c.yaml:2:28: nodes.a.key: cmd: takes no ; & | < or >"},
		{"auth", oneNode("auth: basic"), "c.yaml:2:29: nodes.a.auth: use x-api-key, bearer, header:NAME or none"},
		{"auth header", oneNode("auth: \"header:Host\""), "c.yaml:2:29: nodes.a.auth: this header frames the request, and only ferry sets it"},
		{"auth none and a key", oneNode("auth: none, key: env:K"), "c.yaml:2:3: nodes.a.key: auth is none, so this key would never be sent"},
		{"header name", oneNode("headers: {\"a b\": c}"), "c.yaml:2:40: nodes.a.headers.…: use a header's name: letters, digits and -"},
		{"replay", oneNode("headers: {Idempotency-Key: c}"), "c.yaml:2:50: nodes.a.headers.Idempotency-Key: this header is refused: a library or gateway may send a request that carries it again, past the attempts counted here"},
		{"literal cookie", oneNode("headers: {COOKIE: " + canary + "}"), "c.yaml:2:41: nodes.a.headers.COOKIE: a literal key is refused, and not shown"},
		{"literal token", oneNode("headers: {X-Auth-Token: " + canary + "}"), "c.yaml:2:47: nodes.a.headers.X-Auth-Token: a literal key is refused, and not shown"},
		{"header twice", oneNode("headers: {X-A: b, x-a: c}"), "c.yaml:2:41: nodes.a.headers.x-a: is given twice; header names are case-insensitive"},
		{"header of auth", oneNode("api: chat, headers: {authorization: env:K}"), "c.yaml:2:3: nodes.a.headers.authorization: auth sets this header already"},
		{"header not ASCII", oneNode("headers: {X-A: é}"), "c.yaml:2:38: nodes.a.headers.X-A: use visible ASCII"},
		{"truth", oneNode("insecure: yes"), "c.yaml:2:33: nodes.a.insecure: use true or false"},
		{"tokens", oneNode("max_tokens: 0"), "c.yaml:2:35: nodes.a.max_tokens: use a whole number from 1 to 2147483647"},
		{"version", oneNode("version: \"a b\""), `c.yaml:2:32: nodes.a.version: use a version such as "2023-06-01"`},
		{"an unknown group", oneNode("tls: {groups: [x25519, p521]}"), "c.yaml:2:46: nodes.a.tls.groups: use x25519, x25519mlkem768, p256, p384; did you mean p256?"},
		{"a group twice", oneNode("tls: {groups: [p256, p256]}"), "c.yaml:2:44: nodes.a.tls.groups: names the same twice"},
		{"the prompt as a field", oneNode("api: complete, params: {prompt: x}"), "c.yaml:2:3: nodes.a.params.prompt: it is the prompt"},
		{"a field without a value in JSON", oneNode("params: {x: [1, {y: .nan}]}"), "c.yaml:2:43: nodes.a.params.x: is not a JSON value"},
		{"cert alone", oneNode("tls: {cert: x}"), "c.yaml:2:3: nodes.a.tls: use cert and key together"},
		{"empty proxy", oneNode("proxy: \"\""), "c.yaml:2:30: nodes.a.proxy: has no value"},
		{"line break in a label", oneNode("label: \"a\\nb\""), "c.yaml:2:30: nodes.a.label: has a line break or a control character"},
	})
}

func holdParseErrors(t *testing.T, tests []parseError) {
	t.Helper()
	for _, tt := range tests {
		_, err := Parse("c.yaml", []byte(tt.src))
		wantError(t, tt.src, err, tt.want)
	}
}

// wantError checks the type and the text of an error, and that neither it nor its hint repeats the secret.
func wantError(t *testing.T, source string, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || err.Error() != want {
		t.Errorf("%s:\ngot  %v\nwant %s", source, err, want)
	} else if strings.Contains(err.Error()+e.Hint(), canary) {
		t.Errorf("%s: the secret is repeated: %v, hint %s", source, err, e.Hint())
	}
}

// An API key pasted anywhere is refused and not shown. The keys are assembled here, so that no secret scanner reports
// this file.
func TestParseKeyShapes(t *testing.T) {
	long := strings.Repeat("a1B2", 10)
	keys := []string{
		"sk-" + long, "sk-ant-" + "api03abc", "AKIA" + "ABCDEFGHIJKLMNOP", "ghp_" + long, "AIza" + long, "xoxb-" + long,
		"gsk_" + long, "xai-" + long, "nvapi-" + long, "LTAI" + long, "AKID" + long, "pplx-" + long, "r8_" + long, "sk_test_" + long, "hf_" + long,
		"eyJ" + "hbGciOiJI.eyJ" + "zdWIiOiIx.c2ln", "Bearer sk-" + long,
	}
	places := []string{"timeout: %", "% : 1", "zzz: [%]", "nodes: {a: {url: https://h, label: %}}",
		"nodes: {a: {url: https://h, key: \"env:%\"}}", "nodes: {a: {url: \"https://h/%\"}}", "node: {%: {}}"}
	for _, key := range keys {
		for _, place := range places {
			_, err := Parse("c.yaml", []byte(strings.ReplaceAll(place, "%", key)))
			switch e, ok := errors.AsType[*Error](err); {
			case !ok || e.Msg != "this looks like a key to an API, and is not shown":
				t.Errorf("%s in %q: got %v", key, place, err)
			case strings.Contains(err.Error()+e.Hint(), key):
				t.Errorf("the key is repeated: %v", err)
			}
		}
	}
	for _, word := range []string{"task-force-of-twenty-letters-1", "sk-learn-models-and-other-names", "AKIA", "eyJx.y.z",
		"risk-assessment-2026-for-everyone", "ghp_short", "https://task-1234567890abcdefghijk.example"} {
		if looksLikeKey(word) {
			t.Errorf("%s is taken for a key", word)
		}
	}
}

// The example of DESIGN section 3, without the parts for later releases.
const example = `
node: hongkong
retry: {policy: retry-after, attempts: 5, delay: 0s}
timeout: 1m30s
connect_timeout: 5s
proxy: socks5h://u:pw@127.0.0.1:1080
tls: {min: 1.2, ca: ca.pem}
nodes:
  direct:    {url: https://api.anthropic.com, api: messages, key: "env:ANTHROPIC_API_KEY", model: claude-opus-5-5}
  hongkong:  {label: 香港代理节点, url: https://hk.example.com/api, key: "env:CLAUDE_KEY"}
  legacy:    {url: https://yourdomain.com/api, api: complete, key: "file:~/.config/ferry/legacy.key"}
  qwen:
    url: https://dashscope.aliyuncs.com/compatible-mode/v1
    api: chat
    key: env:DASHSCOPE_API_KEY
    headers: {X-Team: core, X-Gate: "env:GATE"}
    proxy: none
    max_tokens: 800
    version: 2023-06-01
    auth: header:X-Key
    tls: {min: "1.2", cert: c.pem, key: ~/k.pem, groups: [x25519, p256]}
    insecure: true
  ernie:     {url: https://qianfan.baidubce.com/v2, api: chat, key: "cmd:pass show qianfan", model: ernie-4.5-turbo-32k}
  llama:     {url: http://127.0.0.1:11434/v1, api: chat, auth: none, model: llama3.2}
`

func TestParseExample(t *testing.T) {
	for _, src := range []string{example, strings.ReplaceAll(example, "\n", "\r\n"), "\ufeff" + example} {
		f := mustParse(t, src)
		want := []string{"direct", "hongkong", "legacy", "qwen", "ernie", "llama", "demo", "demo/direct", "demo/hongkong", "demo/singapore"}
		if names := f.Names(); !slices.Equal(names, want) {
			t.Errorf("names %q, want %q", names, want)
		}
		got := f.node(f.Nodes[3])
		got.read(got.setValue)
		got.fields = nil
		qwen := Node{Name: "qwen", URL: "https://dashscope.aliyuncs.com/compatible-mode/v1", API: wire.Chat,
			Key: Ref("env:DASHSCOPE_API_KEY"), Headers: []Header{{Name: "X-Team", Value: "core"}, {Name: "X-Gate", Ref: Ref("env:GATE")}},
			Proxy: "none", MaxTokens: 800, Version: "2023-06-01", Auth: Auth{AuthHeader, "X-Key"},
			TLS: TLS{Min: "1.2", Cert: "c.pem", Key: "~/k.pem", Groups: "x25519,p256"}, Insecure: true, InFile: true}
		if !reflect.DeepEqual(got, qwen) {
			t.Errorf("got  %+v\nwant %+v", got, qwen)
		}
	}
}

func TestParseNothing(t *testing.T) {
	for _, src := range []string{"", "\n", "# a remark\n", "---\n", "{}", "~", "nodes:\n", "retry: {}\ntls: ~\n", "\ufeff"} {
		f, err := Parse("c.yaml", []byte(src))
		if err != nil || len(f.keys) != 0 {
			t.Errorf("%q: got %+v, %v", src, f, err)
		}
	}
}

// check ends the test at an error, and must returns the value of a call that must not fail.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return value
	}
}
