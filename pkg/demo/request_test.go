package demo

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestVersionsOfMessages(t *testing.T) {
	url, client := serve(t, Options{})
	for _, c := range []struct {
		version, extra string
		want           int
		message        string
	}{
		{"2023-06-01", "", 200, ""},
		{"2026-10-21", "", 200, ""},
		{"2023-06-01", `"temperature":0.5,"top_p":1,"top_k":3,`, 200, ""},
		{"2026-10-21", `"temperature":0.5,`, 400, "temperature: Extra inputs are not permitted"},
		{"2026-10-21", `"top_p":1,`, 400, "top_p: Extra inputs are not permitted"},
		{"2026-10-21", `"top_k":null,`, 400, "top_k: Extra inputs are not permitted"},
		{"", "", 400, "anthropic-version: header is required"},
		{"2024-01-01", "", 400, `anthropic-version: "2024-01-01" is not a valid version`},
	} {
		req := request(t, url+"/v1/messages", "{"+c.extra+messagesAsk[1:])
		req.Header.Del("Anthropic-Version")
		if c.version != "" {
			req.Header.Set("Anthropic-Version", c.version)
		}
		r := do(t, client, req)
		v := decode(t, r.body)
		errorIf(t, r.status != c.want, "%s %s: %d %s", c.version, c.extra, r.status, r.body)
		errorIf(t, c.want == 400 && (valueAt(v, "error.message") != c.message || valueAt(v, "error.type") != "invalid_request_error" || v["type"] != "error"),
			"%s %s: %s", c.version, c.extra, r.body)
	}
}

// TestBodies checks the error that a body is refused with, or the prompt that its answer quotes.
func TestBodies(t *testing.T) {
	url, client := serve(t, Options{})
	const hi = `[{"role":"user","content":"hi"}]`
	for _, c := range []struct{ path, body, want string }{
		{"/v1/messages", ``, "not a valid JSON object"},
		{"/v1/messages", `null`, "not a valid JSON object"},
		{"/v1/messages", `[]`, "not a valid JSON object"},
		{"/v1/messages", messagesAsk + "x", "not a valid JSON object"},
		{"/v1/messages", "{\"model\":\"\xff\"}", "not valid UTF-8"},
		{"/v1/messages", `{"max_tokens":1,"messages":` + hi + `}`, "model: Field required"},
		{"/v1/messages", `{"Model":"m","max_tokens":1,"messages":` + hi + `}`, "model: Field required"},
		{"/v1/messages", `{"model":3,"max_tokens":1,"messages":` + hi + `}`, "model: Input should be a valid string"},
		{"/v1/messages", `{"model":"","max_tokens":1,"messages":` + hi + `}`, "model: Input should be the name"},
		{"/v1/messages", `{"model":"a\u0001b","max_tokens":1,"messages":` + hi + `}`, "model: Input should be the name"},
		{"/v1/messages", `{"model":"m","messages":` + hi + `}`, "max_tokens: Field required"},
		{"/v1/messages", `{"model":"m","max_tokens":0,"messages":` + hi + `}`, "greater than or equal to 1"},
		{"/v1/messages", `{"model":"m","max_tokens":-1,"messages":` + hi + `}`, "greater than or equal to 1"},
		{"/v1/messages", `{"model":"m","max_tokens":1.5,"messages":` + hi + `}`, "valid integer"},
		{"/v1/messages", `{"model":"m","max_tokens":"1","messages":` + hi + `}`, "valid integer"},
		{"/v1/messages", `{"model":"m","max_tokens":1}`, "messages: Field required"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[]}`, "at least one message"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":"hi"}`, "valid array"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[null]}`, "messages.0.role"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"x"}]}`, "messages.0.role"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}`, "messages.0.content: Field required"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":""}]}`, "must not be empty"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[]}]}`, "list of text blocks"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image"}]}]}`, "messages.0.content.0"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"system":7,"messages":` + hi + `}`, "system:"},
		{"/v1/messages", `{"model":"m","max_tokens":1,"stream":"yes","messages":` + hi + `}`, "stream: Input should be a valid boolean"},
		{"/v1/complete", `{"max_tokens":100}`, "prompt: Field required"},
		{"/v1/complete", `{"prompt":""}`, "prompt: Input should not be empty"},
		{"/v1/complete", `{"prompt":"x","max_tokens":0}`, "max_tokens"},
		{"/v1/complete", `{"prompt":"x","model":4}`, "model"},
		{"/chat/completions", `{"messages":` + hi + `}`, "model: Field required"},
		{"/chat/completions", `{"model":"m","messages":[{"role":"robot","content":"x"}]}`, "messages.0.role"},
		{"/chat/completions", `{"model":"m","max_tokens":0,"messages":` + hi + `}`, "max_tokens"},
		{"/chat/completions", `{"model":"m","stream_options":{"include_usage":true},"messages":` + hi + `}`, "only with stream"},
		{"/v1/messages", `{"model":"m","max_tokens":400,"system":"be brief","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`, "“a\nb”"},
		{"/v1/messages", `{"model":"m","max_tokens":400,"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"metadata":{},"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"begin"}]}`, "“q”"},
		{"/v1/complete", `{"prompt":"p","max_tokens":null,"model":"legacy"}`, "“p”"},
		{"/chat/completions", `{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"z"}]}],"temperature":1}`, "“z”"},
	} {
		r := post(t, client, url+c.path, c.body)
		status, got := 400, valueAt(decode(t, r.body), "error.message")
		if strings.HasPrefix(c.want, "“") {
			status, got = 200, textOf(t, r.body)
		}
		errorIf(t, r.status != status || !strings.Contains(fmt.Sprint(got), c.want),
			"%s %q: %d %q, want %d %q", c.path, clip(c.body), r.status, got, status, c.want)
	}
	v := decode(t, post(t, client, url+"/chat/completions", `{"messages":`+hi+`}`).body)
	errorIf(t, valueAt(v, "error.param") != "model" || valueAt(v, "error.type") != "invalid_request_error",
		"got the chat error %v, want one that names its param", v)
}

func TestBodyOverTheLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("long: bodies of 32 MB")
	}
	url, client := serve(t, Options{})
	// The body is not JSON, so that the one that fits costs no parsing; the error shows that it was read.
	fits := strings.Repeat("x", maxRequest)
	if r := post(t, client, url+"/v1/messages", fits); r.status != 400 || !strings.Contains(r.body, "not a valid JSON object") {
		t.Errorf("a body of exactly 32 MB: got %d, %v, want 400", r.status, r.err)
	}
	r := post(t, client, url+"/v1/messages", fits+"x")
	errorIf(t, r.status != http.StatusRequestEntityTooLarge || valueAt(decode(t, r.body), "error.type") != "request_too_large",
		"one byte more: got %d, %v, %s, want 413", r.status, r.err, clip(r.body))
}
