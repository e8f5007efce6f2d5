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
			fatalIf(t, r.status != 200 || r.err != nil || r.header.Get("Content-Type") != "application/json",
				"%s%s: got %d, %v, %s, want 200 and JSON", prefix, a.path, r.status, r.err, r.body)
			if text := textOf(t, r.body); !strings.Contains(text, "demo node") || !strings.Contains(text, "“hi there”") {
				t.Errorf("%s: text %q neither names the node nor quotes the prompt", a.path, text)
			}
		}
	}

	r := post(t, client, url+"/v1/messages", messagesAsk).body
	expect(t, "messages", r, map[string]any{
		"type": "message", "role": "assistant", "model": "claude-haiku-5-5", "stop_reason": "end_turn", "stop_sequence": nil,
		"usage.input_tokens": 2.0, "usage.cache_creation_input_tokens": 0.0, "usage.cache_read_input_tokens": 0.0,
		"usage.output_tokens": float64(countTokens(textOf(t, r))),
	})
	v := expect(t, "complete", post(t, client, url+"/v1/complete", completeAsk).body, map[string]any{
		"type": "completion", "model": "demo", "stop_reason": "stop_sequence", "usage.input_tokens": 2.0,
	})
	errorIf(t, v["id"] == "", "complete: got no id in %v", v)
	r = post(t, client, url+"/chat/completions", chatAsk).body
	out := float64(countTokens(textOf(t, r)))
	expect(t, "chat", r, map[string]any{
		"object": "chat.completion", "created": float64(clock.Unix()), "choices.0.finish_reason": "stop",
		"usage.prompt_tokens": 2.0, "usage.completion_tokens": out, "usage.total_tokens": out + 2,
	})
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
	got := answerText("你好")
	errorIf(t, !strings.Contains(got, "演示节点") || !strings.Contains(got, "「你好」"), "friendly = %q", got)
	if got := answerText(strings.Repeat("字", 10_000)); utf8.RuneCountInString(got) > maxQuoted+120 {
		t.Errorf("got %d characters, want at most %d", utf8.RuneCountInString(got), maxQuoted+120)
	}
	// The answer to a short prompt must fit into the script's own max_tokens.
	for _, p := range []string{"hi there", " 你好 "} {
		n := countTokens(answerText(p))
		errorIf(t, n > completeDefault, "%q: got an answer of %d tokens, want at most %d", p, n, completeDefault)
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
			errorIf(t, r.status != h.want, "%s with %s: %q: %d, want %d", a.path, h.name, h.value, r.status, h.want)
			if h.want != 401 {
				continue
			}
			kind := "authentication_error"
			if a.path == "/chat/completions" {
				kind = "invalid_request_error"
			}
			got := valueAt(decode(t, r.body), "error.type")
			errorIf(t, got != kind, "%s: got the error type %v, want %s", a.path, got, kind)
		}
	}
}

func TestModelLists(t *testing.T) {
	url, client := serve(t, Options{})
	claude := map[string]any{
		"data.0.type": "model", "has_more": false, "data.0.id": "claude-opus-5-5", "first_id": "claude-opus-5-5",
		"data.2.id": "claude-haiku-5-5", "last_id": "claude-haiku-5-5", "data.0.display_name": "Claude Opus 5.5",
	}
	for _, path := range []string{"/v1/models", "/models", "/compatible-mode/v1/models"} {
		for version, want := range map[string]map[string]any{
			"": {"object": "list", "data.0.object": "model"}, versionOld: claude, versionCurrent: claude,
		} {
			req := request(t, url+path, "")
			req.Method = http.MethodGet
			req.Header.Set("Anthropic-Version", version)
			expect(t, path+" "+version, do(t, client, req).body, want)
		}
	}
	req, _ := http.NewRequest(http.MethodHead, url+"/v1/models", nil)
	req.Header.Set("X-Api-Key", "k")
	r := do(t, client, req)
	errorIf(t, r.status != 200 || r.body != "", "HEAD: got %d %q, want 200 without a body", r.status, r.body)
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
		errorIf(t, r.status != c.want || r.header.Get("Allow") != c.allow,
			"%s %s: got %d, Allow %q, want %d, %q", c.method, c.path, r.status, r.header.Get("Allow"), c.want, c.allow)
		errorIf(t, c.want >= 400 && valueAt(decode(t, r.body), "error.message") == nil, "%s %s: %s", c.method, c.path, r.body)
	}

	req, _ := http.NewRequest("POST", url+"/v1/embeddings", nil)
	req.Header.Set("Authorization", "Bearer k")
	v := decode(t, do(t, client, req).body)
	_, has := valueAt(v, "error").(map[string]any)["param"]
	errorIf(t, !has || v["type"] != nil, "an unknown path with a bearer token: %v, want OpenAI's shape", v)
}

func TestIDsAndLimitHeaders(t *testing.T) {
	clock := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	url, client := serve(t, Options{Now: func() time.Time { return clock }})
	seen := map[string]bool{}
	for query, left := range map[string]string{"": "999", "?status=429": "0"} {
		for _, a := range asks {
			r := post(t, client, url+a.path+query, a.body)
			want := map[string]string{
				"Anthropic-Ratelimit-Requests-Limit": "1000", "Anthropic-Ratelimit-Requests-Remaining": left,
				"Anthropic-Ratelimit-Requests-Reset": "2026-11-23T01:03:03Z",
			}
			id := r.header.Get("Request-Id")
			if a.path == "/chat/completions" {
				id = r.header.Get("X-Request-Id")
				want = map[string]string{
					"X-Ratelimit-Limit-Requests": "1000", "X-Ratelimit-Remaining-Requests": left, "X-Ratelimit-Reset-Requests": "1m0s",
				}
			} else if query == "" && r.header.Get("Anthropic-Ratelimit-Output-Tokens-Remaining") == r.header.Get("Anthropic-Ratelimit-Output-Tokens-Limit") {
				t.Errorf("%s: got all output tokens left, want some taken off", a.path)
			}
			errorIf(t, id == "" || seen[id], "%s: got the request id %q, want a new one", a.path, id)
			seen[id] = true
			if query != "" && a.path == "/v1/messages" {
				expect(t, a.path, r.body, map[string]any{"request_id": id})
			}
			for name, value := range want {
				got := r.header.Get(name)
				errorIf(t, got != value, "%s%s: got %s %q, want %q", a.path, query, name, got, value)
			}
		}
	}
}
