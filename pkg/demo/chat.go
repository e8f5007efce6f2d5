package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// chat is the OpenAI-style dialect.
type chat struct{}

func (chat) parse(r *requestBody) prompt {
	r.parse()
	var p prompt
	r.takeModel(&p.model, true)
	r.takeTokens("max_tokens", &p.limit, false)
	r.takeTokens("max_completion_tokens", &p.limit, false)
	r.take("stream", &p.stream, "boolean", false)
	var given json.RawMessage
	if r.take("stream_options", &given, "", false) {
		options := requestBody{}
		if json.Unmarshal(given, &options.fields) != nil || !p.stream {
			r.fail("stream_options", "stream_options: Input should be an object, and only with stream")
		}
		options.take("include_usage", &p.usage, "boolean", false)
		if options.failure != nil {
			r.fail(options.failure.param, "%s", options.failure.message)
		}
	}
	r.conversation(&p, chatFile, "user", "assistant", "system", "developer", "tool")
	return p
}

func (chat) begin(a answer, object string) string {
	return fmt.Sprintf(`{"id":"chatcmpl-%s","object":%q,"created":%d,"model":%s,"choices":[`,
		a.id, object, a.created.Unix(), quote(a.model))
}

func (chat) usageJSON(a answer) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, a.in, a.out, a.in+a.out)
}

func (d chat) reply(a answer) (head, tail string) {
	return d.begin(a, "chat.completion") + `{"index":0,"message":{"role":"assistant","content":"`,
		fmt.Sprintf(`","refusal":null},"logprobs":null,"finish_reason":%q}],"usage":%s}`,
			a.reason("stop", "length"), d.usageJSON(a))
}

// chunk is an event with one choice. If the request asked for the usage, it is null here, and the last chunk has it.
func (d chat) chunk(a answer, delta, finish string) string {
	usage := ""
	if a.usage {
		usage = `,"usage":null`
	}
	return event("", fmt.Sprintf(`%s{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]%s}`,
		d.begin(a, "chat.completion.chunk"), delta, finish, usage))
}

func (d chat) open(a answer) []string {
	return []string{d.chunk(a, `{"role":"assistant","content":""}`, "null")}
}

func (d chat) delta(a answer, piece string) string {
	return d.chunk(a, `{"content":`+quote(piece)+"}", "null")
}

func (d chat) end(a answer) []string {
	events := []string{d.chunk(a, "{}", quote(a.reason("stop", "length")))}
	if a.usage {
		events = append(events, event("", d.begin(a, "chat.completion.chunk")+`],"usage":`+d.usageJSON(a)+"}"))
	}
	return append(events, event("", "[DONE]"))
}

// ping is an SSE comment: the dialect has no ping event, and proxies send comments.
func (chat) ping() string { return ": ping\n\n" }

func (chat) failure(e *apiError, _ string) string {
	kind, code, param := "invalid_request_error", "null", "null"
	switch {
	case e.cap:
		kind, code = "insufficient_quota", `"insufficient_quota"`
	case e.status == http.StatusUnauthorized:
		code = `"invalid_api_key"`
	case e.status == http.StatusTooManyRequests:
		kind, code = "requests", `"rate_limit_exceeded"`
	case e.status >= 500:
		kind = "server_error"
	}
	if e.param != "" {
		param = quote(e.param)
	}
	return fmt.Sprintf(`{"error":{"message":%s,"type":%q,"param":%s,"code":%s}}`, quote(e.message), kind, param, code)
}

func (chat) models() string {
	return `{"object":"list","data":[` +
		`{"id":"qwen-plus","object":"model","created":1792540800,"owned_by":"demo"},` +
		`{"id":"ernie-4.5-turbo-32k","object":"model","created":1792540800,"owned_by":"demo"},` +
		`{"id":"llama3.2","object":"model","created":1792540800,"owned_by":"demo"}]}`
}
