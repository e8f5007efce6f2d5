package demo

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

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

// requestBody is a request's body in parts. Members are matched exactly, as the real APIs do and encoding/json's structs do
// not. The first thing that is wrong with it is its failure.
type requestBody struct {
	header  http.Header
	body    []byte
	fields  map[string]json.RawMessage
	failure *apiError
}

func (r *requestBody) fail(param, format string, args ...any) {
	if r.failure == nil {
		r.failure = badRequest(param, format, args...)
	}
}

// parse reads the body's top level.
func (r *requestBody) parse() {
	if !utf8.Valid(r.body) {
		r.fail("", "the request body is not valid UTF-8")
	}
	if err := json.Unmarshal(r.body, &r.fields); err != nil || r.fields == nil {
		r.fail("", "the request body is not a valid JSON object")
	}
}

// has reports whether a member is there and not null.
func (r *requestBody) has(name string) bool {
	raw, ok := r.fields[name]
	return ok && string(raw) != "null"
}

// read decodes a member that has to be there, and says of another kind of value what it should be.
func (r *requestBody) read(name string, into any, kind string) {
	if !r.has(name) {
		r.fail(name, "%s: Field required", name)
	} else if json.Unmarshal(r.fields[name], into) != nil {
		r.fail(name, "%s: Input should be a valid %s", name, kind)
	}
}

func (r *requestBody) str(name string) (s string) {
	r.read(name, &s, "string")
	return s
}

func (r *requestBody) model() string {
	model := r.str("model")
	if model == "" || len(model) > maxModel || strings.ContainsFunc(model, unicode.IsControl) {
		r.fail("model", "model: Input should be the name of a model, at most %d bytes", maxModel)
	}
	return model
}

// tokens reads a positive whole number.
func (r *requestBody) tokens(name string) int64 {
	var digits json.RawMessage
	r.read(name, &digits, "integer")
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		r.fail(name, "%s: Input should be a valid integer", name)
	}
	if n < 1 {
		r.fail(name, "%s: Input should be greater than or equal to 1", name)
	}
	return min(n, math.MaxInt32)
}

func (r *requestBody) flag(name string) (set bool) {
	if r.has(name) {
		r.read(name, &set, "boolean")
	}
	return set
}

// conversation reads the messages, which may come from these roles.
func (r *requestBody) conversation(p *prompt, roles ...string) {
	var list []map[string]json.RawMessage
	r.read("messages", &list, "array of objects")
	if len(list) == 0 {
		r.fail("messages", "messages: at least one message is required")
	}
	for i, fields := range list {
		where := fmt.Sprintf("messages.%d", i)
		message := requestBody{fields: fields}
		role := message.str("role")
		if !slices.Contains(roles, role) {
			r.fail(where+".role", "%s.role: Input should be one of %s", where, strings.Join(roles, ", "))
		}
		if !message.has("content") {
			r.fail(where+".content", "%s.content: Field required", where)
		}
		text := r.content(fields["content"], where+".content")
		p.in += countTokens(text)
		if role == "user" {
			p.text = text
		}
	}
}

// content reads a text that is a string or a list of text blocks.
func (r *requestBody) content(raw json.RawMessage, where string) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text == "" {
			r.fail(where, "%s: text must not be empty", where)
		}
		return text
	}
	var blocks []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(raw, &blocks) != nil || len(blocks) == 0 {
		r.fail(where, "%s: Input should be a string or a list of text blocks", where)
	}
	parts := make([]string, 0, len(blocks))
	for i, b := range blocks {
		if b.Type != "text" || b.Text == nil || *b.Text == "" {
			at := fmt.Sprintf("%s.%d", where, i)
			r.fail(at, "%s: the demo node takes blocks of type text, with a text that is not empty", at)
			return ""
		}
		parts = append(parts, *b.Text)
	}
	return strings.Join(parts, "\n")
}
