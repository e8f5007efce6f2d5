package demo

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAnswersInEveryDialect(t *testing.T) {
	clock := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	url, client := serve(t, Options{Now: func() time.Time { return clock }})
	for _, prefix := range []string{"", "/api", "/some/../gate//way"} {
		for _, a := range asks {
			r := post(t, client, url+prefix+a.path, a.body)
			if r.status != 200 || r.err != nil || r.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s%s: got %d, %v, %s, want 200 and JSON", prefix, a.path, r.status, r.err, r.body)
			}
			if text := textOf(t, r.body); !strings.Contains(text, "demo node") || !strings.Contains(text, "“hi there”") {
				t.Errorf("%s: text %q neither names the node nor quotes the prompt", a.path, text)
			}
		}
	}

	v := decode(t, post(t, client, url+"/v1/messages", messagesAsk).body)
	want := map[string]any{"type": "message", "role": "assistant", "model": "claude-haiku-5-5", "stop_reason": "end_turn", "stop_sequence": nil}
	for name, w := range want {
		if v[name] != w {
			t.Errorf("messages: %s = %v, want %v", name, v[name], w)
		}
	}
	for name, w := range map[string]any{"input_tokens": 2.0, "cache_creation_input_tokens": 0.0, "cache_read_input_tokens": 0.0} {
		if got := dig(v, "usage", name); got != w {
			t.Errorf("messages: usage.%s = %v, want %v", name, got, w)
		}
	}
	if out := dig(v, "usage", "output_tokens").(float64); int64(out) != countTokens(dig(v, "content", 0, "text").(string)) {
		t.Errorf("messages: got %v output_tokens, want those of the text", out)
	}

	v = decode(t, post(t, client, url+"/v1/complete", completeAsk).body)
	if v["stop_reason"] != "stop_sequence" || v["type"] != "completion" || v["model"] != "demo" || v["id"] == "" || dig(v, "usage", "input_tokens") != 2.0 {
		t.Errorf("complete: got %v, want a completion that stopped", v)
	}

	v = decode(t, post(t, client, url+"/chat/completions", chatAsk).body)
	if v["object"] != "chat.completion" || v["created"] != float64(clock.Unix()) || dig(v, "choices", 0, "finish_reason") != "stop" {
		t.Errorf("chat: got %v, want a completion that stopped", v)
	}
	u := v["usage"].(map[string]any)
	if u["total_tokens"] != u["prompt_tokens"].(float64)+u["completion_tokens"].(float64) || u["prompt_tokens"] != 2.0 {
		t.Errorf("chat: got the usage %v, want 2 prompt tokens and their sum", u)
	}
}

func TestMaxTokensCutsTheAnswer(t *testing.T) {
	url, client := serve(t, Options{})
	for _, max := range []int{1, 7, 20} {
		for _, a := range []struct{ path, body, reason string }{
			{"/v1/messages", `{"model":"m","max_tokens":%d,"messages":[{"role":"user","content":"你好"}]}`, `"stop_reason":"max_tokens"`},
			{"/v1/complete", `{"prompt":"你好","max_tokens":%d}`, `"stop_reason":"max_tokens"`},
			{"/chat/completions", `{"model":"m","max_completion_tokens":%d,"messages":[{"role":"user","content":"你好"}]}`, `"finish_reason":"length"`},
		} {
			body := fmt.Sprintf(a.body, max)
			r := post(t, client, url+a.path, body)
			text := textOf(t, r.body)
			if n := countTokens(text); n != int64(max) || !strings.Contains(r.body, a.reason) || !utf8.ValidString(text) {
				t.Errorf("%s: got %d tokens, want %d, and %s in %s", a.path, n, max, a.reason, r.body)
			}
			s := post(t, client, url+a.path, streamed(body))
			list, _ := events(t, s.body)
			if got := streamText(t, list); got != text || !strings.Contains(s.body, a.reason) {
				t.Errorf("%s, max %d: got %q streamed, want %q", a.path, max, got, text)
			}
		}
	}
}

func TestAnswerSpeaksChineseAndBoundsTheQuote(t *testing.T) {
	if got := friendly("你好"); !strings.Contains(got, "演示节点") || !strings.Contains(got, "「你好」") {
		t.Errorf("friendly = %q", got)
	}
	if got := friendly(strings.Repeat("字", 10_000)); utf8.RuneCountInString(got) > quoted+120 {
		t.Errorf("got %d characters, want at most %d", utf8.RuneCountInString(got), quoted+120)
	}
	// A short prompt's answer must fit into the script's own max_tokens.
	for _, p := range []string{"hi there", " 你好 "} {
		if n := countTokens(friendly(p)); n > completeDefault {
			t.Errorf("%q: got an answer of %d tokens, want at most %d", p, n, completeDefault)
		}
	}
}

func TestAuthentication(t *testing.T) {
	url, client := serve(t, Options{})
	for _, a := range asks {
		for _, h := range []struct {
			name, value string
			want        int
		}{
			{"X-Api-Key", "k", 200}, {"Authorization", "Bearer k", 200}, {"Authorization", "bearer k", 200},
			{"X-Api-Key", " ", 401}, {"Authorization", "Bearer ", 401}, {"Authorization", "Basic k", 401}, {"X-Other", "k", 401},
		} {
			req := request(t, url+a.path, a.body)
			req.Header.Del("X-Api-Key")
			req.Header.Set(h.name, h.value)
			r := do(t, client, req)
			if r.status != h.want {
				t.Errorf("%s with %s: %q: %d, want %d", a.path, h.name, h.value, r.status, h.want)
			}
			if h.want != 401 {
				continue
			}
			kind := "authentication_error"
			if a.path == "/chat/completions" {
				kind = "invalid_request_error"
			}
			if got := dig(decode(t, r.body), "error", "type"); got != kind {
				t.Errorf("%s: got the error type %v, want %s", a.path, got, kind)
			}
		}
	}
}

func TestModelLists(t *testing.T) {
	url, client := serve(t, Options{})
	for _, path := range []string{"/v1/models", "/models", "/compatible-mode/v1/models"} {
		for _, version := range []string{"", versionOld, versionCurrent} {
			req, _ := http.NewRequest(http.MethodGet, url+path, nil)
			req.Header.Set("Authorization", "Bearer k")
			if version != "" {
				req.Header.Set("Anthropic-Version", version)
			}
			v := decode(t, do(t, client, req).body)
			if version == "" {
				if v["object"] != "list" || dig(v, "data", 0, "object") != "model" {
					t.Errorf("%s: %v", path, v)
				}
			} else if dig(v, "data", 0, "type") != "model" || v["has_more"] != false || v["first_id"] != dig(v, "data", 0, "id") ||
				v["last_id"] != dig(v, "data", 2, "id") || dig(v, "data", 0, "display_name") == nil {
				t.Errorf("%s: %v", path, v)
			}
		}
	}
	req, _ := http.NewRequest(http.MethodHead, url+"/v1/models", nil)
	req.Header.Set("X-Api-Key", "k")
	if r := do(t, client, req); r.status != 200 || r.body != "" {
		t.Errorf("HEAD: got %d %q, want 200 without a body", r.status, r.body)
	}
}

func TestPathsAndMethods(t *testing.T) {
	url, client := serve(t, Options{})
	for _, c := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/healthz", 200, ""}, {"HEAD", "/healthz", 200, ""}, {"POST", "/healthz", 405, "GET, HEAD"},
		{"GET", "/healthz?status=500", 200, ""},
		{"GET", "/", 404, ""}, {"POST", "/v2/messages", 404, ""}, {"POST", "/v1/messages/batches", 404, ""}, {"POST", "/xchat/completions", 404, ""},
		{"GET", "/v1/messages", 405, "POST"}, {"PUT", "/v1/complete", 405, "POST"}, {"DELETE", "/chat/completions", 405, "POST"},
		{"POST", "/v1/models", 405, "GET, HEAD"},
	} {
		req, _ := http.NewRequest(c.method, url+c.path, nil)
		r := do(t, client, req)
		if r.status != c.want || r.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: got %d, Allow %q, want %d, %q", c.method, c.path, r.status, r.header.Get("Allow"), c.want, c.allow)
		}
		if c.want >= 400 && dig(decode(t, r.body), "error", "message") == nil {
			t.Errorf("%s %s: %s", c.method, c.path, r.body)
		}
	}

	req, _ := http.NewRequest("POST", url+"/v1/embeddings", nil)
	req.Header.Set("Authorization", "Bearer k")
	v := decode(t, do(t, client, req).body)
	if _, has := dig(v, "error").(map[string]any)["param"]; !has || v["type"] != nil {
		t.Errorf("an unknown path with a bearer token: %v, want OpenAI's shape", v)
	}
}

func TestIDsAndLimitHeaders(t *testing.T) {
	clock := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	url, client := serve(t, Options{Now: func() time.Time { return clock }})
	seen := map[string]bool{}
	for _, query := range []string{"", "?status=429"} {
		for _, a := range asks {
			r := post(t, client, url+a.path+query, a.body)
			name, prefix := "Request-Id", "Anthropic-Ratelimit-Requests-"
			if a.path == "/chat/completions" {
				name = "X-Request-Id"
			}
			id := r.header.Get(name)
			if id == "" || seen[id] {
				t.Errorf("%s: %s %q is empty or not new", a.path, name, id)
			}
			seen[id] = true
			limit, left, reset := r.header.Get(prefix+"Limit"), r.header.Get(prefix+"Remaining"), r.header.Get(prefix+"Reset")
			wantReset := "2026-11-23T01:03:03Z"
			if a.path == "/chat/completions" {
				wantReset = "1m0s"
				limit, left, reset = r.header.Get("X-Ratelimit-Limit-Requests"), r.header.Get("X-Ratelimit-Remaining-Requests"), r.header.Get("X-Ratelimit-Reset-Requests")
			} else if query != "" && a.path == "/v1/messages" && dig(decode(t, r.body), "request_id") != id {
				t.Errorf("request_id in %s is not %s", r.body, id)
			} else if query == "" && r.header.Get("Anthropic-Ratelimit-Output-Tokens-Remaining") == r.header.Get("Anthropic-Ratelimit-Output-Tokens-Limit") {
				t.Errorf("%s: no output tokens were taken off", a.path)
			}
			wantLeft := "999"
			if query != "" {
				wantLeft = "0"
			}
			if limit != "1000" || left != wantLeft || reset != wantReset {
				t.Errorf("%s%s: got limit %q, remaining %q, reset %q, want 1000, %s, %s", a.path, query, limit, left, reset, wantLeft, wantReset)
			}
		}
	}
}
