package demo

import (
	"encoding/json"
	"fmt"
	"slices"
)

// messages is the dialect of the Claude messages API.
type messages struct{}

// The two versions of the messages API.
const (
	versionOld     = "2023-06-01"
	versionCurrent = "2026-10-21"
)

// checkVersion checks the anthropic-version header and returns its value.
func (r *requestBody) checkVersion() string {
	version := r.header.Get("Anthropic-Version")
	switch {
	case version == "":
		r.fail("", "anthropic-version: header is required")
	case !slices.Contains([]string{versionOld, versionCurrent}, version):
		r.fail("", "anthropic-version: %q is not a valid version", version)
	}
	return version
}

func (messages) parse(r *requestBody) prompt {
	version := r.checkVersion()
	r.parse()
	for _, gone := range []string{"temperature", "top_p", "top_k"} {
		if _, given := r.fields[gone]; given && version == versionCurrent {
			r.fail(gone, "%s: Extra inputs are not permitted", gone)
		}
	}
	var p prompt
	r.takeModel(&p.model, true)
	r.takeTokens("max_tokens", &p.limit, true)
	r.take("stream", &p.stream, "boolean", false)
	var system json.RawMessage
	if r.take("system", &system, "", false) {
		_, tokens := r.content(system, "system", nil)
		p.in += tokens
	}
	r.conversation(&p, messagesFile, "user", "assistant")
	return p
}

// messagesUsage is the format of the usage. Its values are the input and output tokens.
const messagesUsage = `{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":%d}`

// message returns the JSON of a message before and after its content.
func (messages) message(a answer, reason string, out int64) (head, tail string) {
	return fmt.Sprintf(`{"id":"msg_%s","type":"message","role":"assistant","model":%s,"content":[`, a.id, quote(a.model)),
		fmt.Sprintf(`],"stop_reason":%s,"stop_sequence":null,"usage":`+messagesUsage+"}", reason, a.in, out)
}

func (d messages) reply(a answer) (head, tail string) {
	head, tail = d.message(a, quote(a.reason("end_turn", "max_tokens")), a.out)
	return head + `{"type":"text","text":"`, `"}` + tail
}

func (d messages) open(a answer) []string {
	// message_start reports the output tokens so far, here one; message_delta has the total.
	head, tail := d.message(a, "null", min(a.out, 1))
	return []string{
		event("message_start", `{"type":"message_start","message":`+head+tail+"}"),
		event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`),
		d.ping(),
	}
}

func (messages) delta(_ answer, piece string) string {
	return event("content_block_delta",
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quote(piece)+"}}")
}

func (d messages) end(a answer) []string {
	return []string{
		event("content_block_stop", `{"type":"content_block_stop","index":0}`),
		event("message_delta", fmt.Sprintf(
			`{"type":"message_delta","delta":{"stop_reason":%q,"stop_sequence":null},"usage":`+messagesUsage+"}",
			a.reason("end_turn", "max_tokens"), a.in, a.out)),
		event("message_stop", `{"type":"message_stop"}`),
	}
}

func (messages) ping() string { return event("ping", `{"type":"ping"}`) }

func (messages) failure(e *apiError, requestID string) string {
	return fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%s},"request_id":%q}`,
		anthropicType(e.status), quote(e.message), requestID)
}

// anthropicType returns the error type for a status.
func anthropicType(status int) string {
	// The API has no error type for 503. A proxy sends 503 when it is overloaded, so overloaded_error is used.
	kind, known := map[int]string{
		401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
		409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
		504: "timeout_error", 529: "overloaded_error",
	}[status]
	switch {
	case known:
		return kind
	case status >= 500:
		return "api_error"
	}
	return "invalid_request_error"
}

func (messages) models() string {
	return `{"data":[` +
		`{"type":"model","id":"claude-opus-5-5","display_name":"Claude Opus 5.5","created_at":"2026-10-21T00:00:00Z"},` +
		`{"type":"model","id":"claude-sonnet-5-5","display_name":"Claude Sonnet 5.5","created_at":"2026-10-21T00:00:00Z"},` +
		`{"type":"model","id":"claude-haiku-5-5","display_name":"Claude Haiku 5.5","created_at":"2026-10-21T00:00:00Z"}],` +
		`"has_more":false,"first_id":"claude-opus-5-5","last_id":"claude-haiku-5-5"}`
}
