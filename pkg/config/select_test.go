package config

import (
	"reflect"
	"strings"
	"testing"

	"ferry/pkg/wire"
)

func TestSelect(t *testing.T) {
	f := mustParse(t, `
nodes:
  hk:    {url: https://hk/api, key: env:HK}
  qwen:  {url: https://q/v1, api: chat, key: "keyring:q"}
  local: {url: "demo:?x=1"}
`)
	all := []string{"ANTHROPIC_API_KEY", "a", "CLAUDE_KEY", "c", "ANTHROPIC_BASE_URL", "https://base/x", "ANTHROPIC_MODEL", "m",
		"FERRY_KEY", "f"}
	none := AuthNone
	tests := []struct {
		selector, api string
		env           []string
		want          Node
	}{
		// No variable changes a node of the file.
		{"hk", "", all, Node{Name: "hk", URL: "https://hk/api", API: wire.Messages, Key: Ref("env:HK"), Auth: Auth{Scheme: AuthXAPIKey}, InFile: true}},
		{"qwen", "chat", all, Node{Name: "qwen", URL: "https://q/v1", API: wire.Chat, Key: Ref("keyring:q"), Auth: Auth{Scheme: AuthBearer}, InFile: true}},
		{"local", "", nil, Node{Name: "local", URL: "demo:?x=1", API: wire.Messages, Auth: Auth{Scheme: none}, InFile: true}},
		{"direct", "", nil, Node{Name: "direct", URL: "https://api.anthropic.com", API: wire.Messages, Auth: Auth{Scheme: AuthXAPIKey}}},
		{"direct", "messages", all, Node{Name: "direct", URL: "https://base/x", API: wire.Messages, Key: Ref("env:ANTHROPIC_API_KEY"), Model: "m", Auth: Auth{Scheme: AuthXAPIKey}}},
		{"direct", "", []string{"ANTHROPIC_API_KEY", "", "CLAUDE_KEY", "c"}, Node{Name: "direct", URL: "https://api.anthropic.com", API: wire.Messages, Key: Ref("env:CLAUDE_KEY"), Auth: Auth{Scheme: AuthXAPIKey}}},
		{"demo", "", all, Node{Name: "demo", URL: "demo:", API: wire.Messages, Auth: Auth{Scheme: none}}},
		{"demo/hongkong", "chat", nil, Node{Name: "demo/hongkong", URL: "demo:?latency=800ms&success=98", API: wire.Chat, Auth: Auth{Scheme: none}}},
		{"demo:?status=503", "", nil, Node{Name: "demo", URL: "demo:?status=503", API: wire.Messages, Auth: Auth{Scheme: none}}},
		// A URL's key comes only from FERRY_KEY.
		{"https://h/v1?a=b", "chat", all, Node{Name: "https://h/v1", URL: "https://h/v1?a=b", API: wire.Chat, Key: Ref("env:FERRY_KEY"), Auth: Auth{Scheme: AuthBearer}}},
		{"https://h", "", []string{"ANTHROPIC_API_KEY", "a"}, Node{Name: "https://h", URL: "https://h", API: wire.Messages, Auth: Auth{Scheme: AuthXAPIKey}}},
		{"http://127.0.0.1:8080", "", []string{"FERRY_KEY", "f"}, Node{Name: "http://127.0.0.1:8080", URL: "http://127.0.0.1:8080", API: wire.Messages, Key: Ref("env:FERRY_KEY"), Auth: Auth{Scheme: AuthXAPIKey}}},
		{"http://[::1]:8080", "", nil, Node{Name: "http://[::1]:8080", URL: "http://[::1]:8080", API: wire.Messages, Auth: Auth{Scheme: none}}},
		{"http://localhost/v1", "", nil, Node{Name: "http://localhost/v1", URL: "http://localhost/v1", API: wire.Messages, Auth: Auth{Scheme: none}}},
		{"http://10.0.0.1", "", nil, Node{Name: "http://10.0.0.1", URL: "http://10.0.0.1", API: wire.Messages, Auth: Auth{Scheme: AuthXAPIKey}}},
	}
	for _, tt := range tests {
		v := mustResolve(t, f, vars(tt.env...), nil)
		got, err := v.Select(tt.selector, tt.api)
		got.fields = nil
		tt.want.MaxTokens, tt.want.TLS.Min = 4096, "1.3"
		if tt.want.Model == "" && tt.want.API == wire.Messages {
			tt.want.Model = "claude-haiku-5-5"
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", tt.selector, err, got, tt.want)
		}
	}
	// The file's own direct replaces the built-in one and its variables.
	f = mustParse(t, "nodes: {direct: {url: https://mine, key: env:MINE}}")
	got := mustSelect(t, mustResolve(t, f, vars(all...), nil), "direct")
	if got.URL != "https://mine" || got.Key != "env:MINE" || got.Model != "claude-haiku-5-5" {
		t.Errorf("got %+v, want what the file says", got)
	}
	if o := got.Origin("url"); o != "config.yaml:1" {
		t.Errorf("origin %q", o)
	}
}

// TestParams checks that fields of a body have the types that YAML gives them.
func TestParams(t *testing.T) {
	f := mustParse(t, `
nodes:
  a:
    url: https://h
    params:
      nothing:
      n: 0x10
      big: 12345678901234567890123
      texts: [1.50, "1.50", yes, 2026-01-02, '', "é<"]
      deep: {b: {z: true}, a: null}
`)
	for name, want := range map[string]string{
		"nothing": "null", "n": "16", "big": "12345678901234567890123",
		"texts": `[1.50,"1.50","yes","2026-01-02","","é<"]`, "deep": `{"b":{"z":true},"a":null}`,
	} {
		if got := string(mustSelect(t, mustResolve(t, f, vars(), nil), "a").Params[name]); got != want {
			t.Errorf("params.%s is %s, want %s", name, got, want)
		}
	}
}

func TestSelectErrors(t *testing.T) {
	f := mustParse(t, "nodes: {hongkong: {url: https://h}, qwen: {url: https://q, api: chat}}")
	tests := []struct{ selector, api, env, want string }{
		{"hongkon", "", "", "unknown node hongkon; did you mean hongkong?"},
		{"dirct", "", "FERRY_NODE=dirct", "unknown node dirct (from FERRY_NODE); did you mean direct?"},
		{"elsewhere", "", "", "unknown node elsewhere"},
		{"demo/hongkogn", "", "", "unknown demo node demo/hongkogn; did you mean demo/hongkong?"},
		{"hongkong,qwen", "", "", `invalid node "hongkong,qwen": use a node's name, demo, or a URL that begins with https://`},
		{"hongkong qwen", "", "", `invalid node "hongkong qwen": use a node's name, demo, or a URL that begins with https://`},
		{"", "", "", `invalid node "": has no value`},
		{"ftp://h", "", "", `invalid node "ftp://h": use a node's name, demo, or a URL that begins with https://`},
		{"127.0.0.1:8787", "", "", `invalid node "127.0.0.1:8787": use a URL such as http://127.0.0.1:8787`},
		{"https://u:" + canary + "@h", "", "", "invalid node: must not contain a user name or password"},
		{"https://h?token=" + canary, "", "", "invalid node: has a literal key in its query"},
		{"https://h%zz" + canary, "", "", "invalid node: use a URL such as https://host/api"},
		{"sk-ant-" + canary, "", "", "invalid node: this looks like a key to an API, and is not shown"},
		{"https://h", "chta", "", `invalid --api "chta": use one of messages, complete, chat; did you mean chat?`},
		{"qwen", "messages", "", "--api: node qwen speaks chat"},
		{"qwen", "x", "", `invalid --api "x": use one of messages, complete, chat`},
		{"direct", "chat", "", "--api: node direct speaks messages"},
		{"direct", "", "ANTHROPIC_BASE_URL=https://u:" + canary + "@h", "invalid ANTHROPIC_BASE_URL: must not contain a user name or password"},
		{"direct", "", "ANTHROPIC_MODEL=a b", `invalid ANTHROPIC_MODEL "a b": use a model's name, which has no spaces`},
	}
	for _, tt := range tests {
		variable, value, _ := strings.Cut(tt.env, "=")
		v := mustResolve(t, f, vars(variable, value), nil)
		_, err := v.Select(tt.selector, tt.api)
		wantError(t, tt.selector, err, tt.want)
	}
}

func TestNames(t *testing.T) {
	f := mustParse(t, "nodes: {b: {url: https://h}, a: {url: https://h}}")
	if got, want := f.Names(), []string{"b", "a", "direct", "demo", "demo/direct", "demo/hongkong", "demo/singapore"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
