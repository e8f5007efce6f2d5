package config

import (
	"errors"
	"os"
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

// TestParseErrors parses files that are refused. The table has those that a text cannot show.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"tab", "retry:\n\tdelay: 1s\n", "2:1: a value cannot begin with this character; quote it, and indent with spaces"},
		{"not UTF-8", "timeout: 1s\n# \xff" + canary + "\n", "2:3: is not UTF-8"},
		{"control character", "a\x1b\n", "1:2: has a control character"},
		{"lone carriage return", "a: b\rc: d\n", "1:5: has a carriage return without a line feed"},
		{"line separator", "a: b\u2028c: d\n", "1:5: has a line separator that is not a line feed"},
		{"UTF-16", "\xff\xfea\x00", "1:1: is not UTF-8"},
		{"large", strings.Repeat("#", MaxSize+1), " is larger than 1 MiB"},
		{"invisible word", "filter: {words: [a, \"\u200b\"]}", "1:21: filter.words: word 2 has only invisible characters"},
		{"key as a pin", "nodes:\n  a: {url: https://h, pins: [\"sk-ant-" + canary + "\"]}\n",
			"2:30: nodes.a.pins: this looks like a key to an API, and is not shown"},
	} {
		_, err := Parse("c.yaml", []byte(tt.src))
		wantError(t, tt.name, err, "c.yaml:"+tt.want)
	}
	cases := strings.Split(string(must(os.ReadFile("testdata/errors.txt"))(t)), "\n=== ")[1:]
	for _, text := range cases {
		name, text, _ := strings.Cut(text, "\n")
		src, want, _ := strings.Cut(text, "\n=> ")
		_, err := Parse("c.yaml", []byte(src+"\n"))
		wantError(t, name, err, "c.yaml:"+strings.TrimSpace(want))
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
