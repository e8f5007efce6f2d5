package demo

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The two versions of the messages API.
const (
	versionOld     = "2023-06-01"
	versionCurrent = "2026-10-21"
)

// completeDefault is max_tokens in the complete dialect when the request does not say: the script's own.
const completeDefault = 100

// defaultModel answers a complete request, which need not name one.
const defaultModel = "demo"

// maxModel bounds a name that every event of a stream repeats.
const maxModel = 256

// prompt is what the node needs of a request.
type prompt struct {
	model  string
	text   string // what the user said last
	in     int64  // tokens of everything sent
	limit  int64  // max_tokens, 0 for none
	stream bool
	usage  bool // chat: a last chunk with the usage
}

// fields is a JSON object in parts. Members are matched exactly, as the real APIs do and encoding/json's structs do
// not.
type fields map[string]json.RawMessage

// has reports whether a member is there and not null.
func (f fields) has(name string) bool {
	raw, ok := f[name]
	return ok && string(raw) != "null"
}

func (f fields) str(name string) (string, *apiError) {
	var s string
	if !f.has(name) {
		return "", badRequest(name, "%s: Field required", name)
	}
	if json.Unmarshal(f[name], &s) != nil {
		return "", badRequest(name, "%s: Input should be a valid string", name)
	}
	return s, nil
}

func (f fields) model() (string, *apiError) {
	model, failure := f.str("model")
	switch {
	case failure != nil:
		return "", failure
	case model == "" || len(model) > maxModel || strings.ContainsFunc(model, unicode.IsControl):
		return "", badRequest("model", "model: Input should be the name of a model, at most %d bytes", maxModel)
	}
	return model, nil
}

// tokens reads a positive whole number.
func (f fields) tokens(name string) (int64, *apiError) {
	if !f.has(name) {
		return 0, badRequest(name, "%s: Field required", name)
	}
	n, err := strconv.ParseInt(string(f[name]), 10, 64)
	if err != nil {
		return 0, badRequest(name, "%s: Input should be a valid integer", name)
	}
	if n < 1 {
		return 0, badRequest(name, "%s: Input should be greater than or equal to 1", name)
	}
	return min(n, math.MaxInt32), nil
}

func (f fields) flag(name string) (bool, *apiError) {
	var b bool
	if f.has(name) && json.Unmarshal(f[name], &b) != nil {
		return false, badRequest(name, "%s: Input should be a valid boolean", name)
	}
	return b, nil
}

// parseObject reads the body's top level.
func parseObject(body []byte) (fields, *apiError) {
	var f fields
	if !utf8.Valid(body) {
		return nil, badRequest("", "the request body is not valid UTF-8")
	}
	if err := json.Unmarshal(body, &f); err != nil || f == nil {
		return nil, badRequest("", "the request body is not a valid JSON object")
	}
	return f, nil
}

// checkVersion looks at the values of the anthropic-version header.
func checkVersion(values []string) *apiError {
	if len(values) == 0 || values[0] == "" {
		return badRequest("", "anthropic-version: header is required")
	}
	if !slices.Contains([]string{versionOld, versionCurrent}, values[0]) {
		return badRequest("", "anthropic-version: %q is not a valid version", values[0])
	}
	return nil
}

// parseMessages reads a request of the messages API.
func parseMessages(body []byte, version []string) (prompt, *apiError) {
	if failure := checkVersion(version); failure != nil {
		return prompt{}, failure
	}
	f, failure := parseObject(body)
	if failure != nil {
		return prompt{}, failure
	}
	if version[0] == versionCurrent {
		for _, gone := range []string{"temperature", "top_p", "top_k"} {
			if _, given := f[gone]; given {
				return prompt{}, badRequest(gone, "%s: Extra inputs are not permitted", gone)
			}
		}
	}
	ask := prompt{}
	if ask.model, failure = f.model(); failure != nil {
		return ask, failure
	}
	if ask.limit, failure = f.tokens("max_tokens"); failure != nil {
		return ask, failure
	}
	if ask.stream, failure = f.flag("stream"); failure != nil {
		return ask, failure
	}
	if f.has("system") {
		text, failure := content(f["system"], "system")
		if failure != nil {
			return ask, failure
		}
		ask.in += countTokens(text)
	}
	failure = f.conversation(&ask, "user", "assistant")
	return ask, failure
}

// parseComplete reads a request of the script's kind.
func parseComplete(body []byte) (prompt, *apiError) {
	ask := prompt{model: defaultModel, limit: completeDefault}
	f, failure := parseObject(body)
	if failure != nil {
		return ask, failure
	}
	if ask.text, failure = f.str("prompt"); failure != nil {
		return ask, failure
	}
	if ask.text == "" {
		return ask, badRequest("prompt", "prompt: Input should not be empty")
	}
	ask.in = countTokens(ask.text)
	if f.has("model") {
		if ask.model, failure = f.model(); failure != nil {
			return ask, failure
		}
	}
	if f.has("max_tokens") {
		if ask.limit, failure = f.tokens("max_tokens"); failure != nil {
			return ask, failure
		}
	}
	ask.stream, failure = f.flag("stream")
	return ask, failure
}

// parseChat reads an OpenAI-style request.
func parseChat(body []byte) (prompt, *apiError) {
	ask := prompt{}
	f, failure := parseObject(body)
	if failure != nil {
		return ask, failure
	}
	if ask.model, failure = f.model(); failure != nil {
		return ask, failure
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if f.has(name) {
			if ask.limit, failure = f.tokens(name); failure != nil {
				return ask, failure
			}
		}
	}
	if ask.stream, failure = f.flag("stream"); failure != nil {
		return ask, failure
	}
	if f.has("stream_options") {
		var options fields
		if json.Unmarshal(f["stream_options"], &options) != nil || !ask.stream {
			return ask, badRequest("stream_options", "stream_options: Input should be an object, and only with stream")
		}
		if ask.usage, failure = options.flag("include_usage"); failure != nil {
			return ask, failure
		}
	}
	failure = f.conversation(&ask, "user", "assistant", "system", "developer", "tool")
	return ask, failure
}

// conversation reads the messages, which may come from these roles.
func (f fields) conversation(ask *prompt, roles ...string) *apiError {
	if !f.has("messages") {
		return badRequest("messages", "messages: Field required")
	}
	var list []fields
	if json.Unmarshal(f["messages"], &list) != nil {
		return badRequest("messages", "messages: Input should be a valid array of objects")
	}
	if len(list) == 0 {
		return badRequest("messages", "messages: at least one message is required")
	}
	for i, m := range list {
		where := fmt.Sprintf("messages.%d", i)
		var role string
		if !m.has("role") || json.Unmarshal(m["role"], &role) != nil || !slices.Contains(roles, role) {
			return badRequest(where+".role", "%s.role: Input should be one of %s", where, strings.Join(roles, ", "))
		}
		if !m.has("content") {
			return badRequest(where+".content", "%s.content: Field required", where)
		}
		text, failure := content(m["content"], where+".content")
		if failure != nil {
			return failure
		}
		ask.in += countTokens(text)
		if role == "user" {
			ask.text = text
		}
	}
	return nil
}

// content reads a text that is a string or a list of text blocks.
func content(raw json.RawMessage, where string) (string, *apiError) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text == "" {
			return "", badRequest(where, "%s: text must not be empty", where)
		}
		return text, nil
	}
	var blocks []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(raw, &blocks) != nil || len(blocks) == 0 {
		return "", badRequest(where, "%s: Input should be a string or a list of text blocks", where)
	}
	parts := make([]string, 0, len(blocks))
	for i, b := range blocks {
		if b.Type != "text" || b.Text == nil || *b.Text == "" {
			at := fmt.Sprintf("%s.%d", where, i)
			return "", badRequest(at, "%s: the demo node takes blocks of type text, with a text that is not empty", at)
		}
		parts = append(parts, *b.Text)
	}
	return strings.Join(parts, "\n"), nil
}
