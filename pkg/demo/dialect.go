package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// dialect reads and writes the wire format of one API.
type dialect interface {
	// parse reads a request. It stores the first error in the request.
	parse(r *requestBody) prompt
	// reply returns the body of an answer that is not streamed: the parts before and after its text.
	reply(a answer) (head, tail string)
	// open, delta and end return the events of a stream, in this order. delta is called once for each piece of text.
	open(a answer) []string
	delta(a answer, piece string) string
	end(a answer) []string
	// ping returns the event that keeps an idle stream alive.
	ping() string
	// models returns the body of the list of models. Requests with other model names are answered too.
	models() string
	// failure returns the body of an error.
	failure(e *apiError, requestID string) string
}

// apis are the APIs of the node, found by the end of the path, because gateways put a prefix before it. models and
// healthz have no dialect.
var apis = []struct {
	suffix, name string
	dialect
}{
	{"/v1/messages", "messages", messages{}},
	{"/v1/complete", "complete", complete{}},
	{"/chat/completions", "chat", chat{}},
	{"/models", apiModels, nil},
	{"/healthz", apiHealth, nil},
}

const (
	apiModels = "models"
	apiHealth = "health"
)

// route returns the name of the API of a request, "" for an unknown path, and the dialect of its errors. For models and
// an unknown path, that is OpenAI's if the headers say that the client uses it.
func route(r *http.Request) (name string, d dialect) {
	at := path.Clean("/" + r.URL.Path)
	for _, a := range apis {
		if !strings.HasSuffix(at, a.suffix) {
			continue
		}
		if a.dialect != nil {
			return a.name, a.dialect
		}
		name = a.name
		break
	}
	if r.Header.Get("Anthropic-Version") == "" && (name == apiModels || name == "" && r.Header.Get("Authorization") != "") {
		return name, chat{}
	}
	return name, messages{}
}

// apiError is an error that is not yet encoded for an API.
type apiError struct {
	status  int
	message string
	param   string // chat only: the invalid field
	cap     bool   // a spend cap: final, so no Retry-After is sent
}

func badRequest(param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...), param: param}
}

// statusError returns the error for a status that the query asks for.
func statusError(status int) *apiError {
	text := http.StatusText(status)
	switch {
	case status == 529:
		text = "Overloaded"
	case text == "":
		text = "no standard meaning"
	}
	return &apiError{status: status, message: fmt.Sprintf("%s: the demo node was asked for status %d", text, status)}
}

// overloaded returns the error that is sent after a status of 200.
func overloaded() *apiError {
	return &apiError{status: 529, message: "Overloaded: the demo node was asked for an error event"}
}

// quote encodes text as JSON. Like the real APIs, it does not escape <, > and &.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// event returns an event of a stream. If name is "", the event has only data.
func event(name, data string) string {
	if name != "" {
		name = "event: " + name + "\n"
	}
	return name + "data: " + data + "\n\n"
}

// maxModel is the maximum length of a model name, which every event of a stream repeats.
const maxModel = 256

// prompt is what the node reads from a request.
type prompt struct {
	model  string
	text   string // the last message of the user
	in     int64  // tokens of the complete prompt
	limit  int64  // max_tokens, 0 for none
	stream bool
	usage  bool // chat: add a last chunk with the usage
}

// requestBody is a parsed request body. Member names are matched exactly, as the real APIs do; encoding/json would
// ignore case in a struct. failure is the first error.
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

// parse decodes the top level of the body.
func (r *requestBody) parse() {
	if !utf8.Valid(r.body) {
		r.fail("", "the request body is not valid UTF-8")
	}
	if err := json.Unmarshal(r.body, &r.fields); err != nil || r.fields == nil {
		r.fail("", "the request body is not a valid JSON object")
	}
}

// take decodes a member, and reports whether it is present and not null. kind is the expected type, for the error
// message.
func (r *requestBody) take(name string, into any, kind string, needed bool) bool {
	raw, given := r.fields[name]
	switch {
	case !given || string(raw) == "null":
		if needed {
			r.fail(name, "%s: Field required", name)
		}
		return false
	case json.Unmarshal(raw, into) != nil:
		r.fail(name, "%s: Input should be a valid %s", name, kind)
	}
	return true
}

// takeModel reads the model's name.
func (r *requestBody) takeModel(into *string, needed bool) {
	r.take("model", into, "string", needed)
	if *into == "" || len(*into) > maxModel || strings.ContainsFunc(*into, unicode.IsControl) {
		r.fail("model", "model: Input should be the name of a model, at most %d bytes", maxModel)
	}
}

// takeTokens reads a positive whole number.
func (r *requestBody) takeTokens(name string, into *int64, needed bool) {
	if r.take(name, into, "integer", needed) && *into < 1 {
		r.fail(name, "%s: Input should be greater than or equal to 1", name)
	}
	*into = min(*into, math.MaxInt32)
}

// conversation reads the messages. Only these roles are allowed, and only messages of the user may have files.
func (r *requestBody) conversation(p *prompt, file fileReader, roles ...string) {
	var list []map[string]json.RawMessage
	r.take("messages", &list, "array of objects", true)
	if len(list) == 0 {
		r.fail("messages", "messages: at least one message is required")
	}
	for i, fields := range list {
		where := fmt.Sprintf("messages.%d", i)
		message := requestBody{fields: fields}
		var role string
		message.take("role", &role, "string", false)
		if !slices.Contains(roles, role) {
			r.fail(where+".role", "%s.role: Input should be one of %s", where, strings.Join(roles, ", "))
		}
		var content json.RawMessage
		if !message.take("content", &content, "", false) {
			r.fail(where+".content", "%s.content: Field required", where)
		}
		files := file
		if role != "user" {
			files = nil
		}
		text, tokens := r.content(content, where+".content", files)
		p.in += tokens
		if role == "user" {
			p.text = text
		}
	}
}

// block is one part of a content: text, or a file in the format of messages or chat.
type block struct {
	Type   string  `json:"type"`
	Text   *string `json:"text"`
	Source *struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      string `json:"data"`
	} `json:"source"`
	ImageURL *struct {
		URL string `json:"url"`
	} `json:"image_url"`
}

// fileReader returns the media type and the base64 content of a block that is a file in a dialect.
type fileReader func(block) (mediaType, data string, ok bool)

const pdf = "application/pdf"

var images = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

const (
	maxImage   = 10 << 20
	fileTokens = 1500 // estimate for one file
)

// messagesFile reads a block of type image or document.
func messagesFile(b block) (mediaType, data string, ok bool) {
	if b.Source == nil || b.Source.Type != "base64" {
		return "", "", false
	}
	mediaType = b.Source.MediaType
	return mediaType, b.Source.Data, b.Type == "image" && slices.Contains(images, mediaType) || b.Type == "document" && mediaType == pdf
}

// chatFile reads a block of type image_url. The URL must be a data URL: the node fetches nothing.
func chatFile(b block) (mediaType, data string, ok bool) {
	if b.Type != "image_url" || b.ImageURL == nil {
		return "", "", false
	}
	mediaType, data, _ = strings.Cut(strings.TrimPrefix(b.ImageURL.URL, "data:"), ";base64,")
	return mediaType, data, strings.HasPrefix(b.ImageURL.URL, "data:") && slices.Contains(images, mediaType)
}

// content reads content that is a string or a list of blocks. Blocks are text, or files if file is not nil.
func (r *requestBody) content(raw json.RawMessage, where string, file fileReader) (text string, tokens int64) {
	if json.Unmarshal(raw, &text) == nil {
		if text == "" {
			r.fail(where, "%s: text must not be empty", where)
		}
		return cutTokens(text, 0)
	}
	var blocks []block
	if json.Unmarshal(raw, &blocks) != nil || len(blocks) == 0 {
		r.fail(where, "%s: Input should be a string or a list of text blocks", where)
	}
	parts := make([]string, 0, len(blocks))
	for i, b := range blocks {
		at := fmt.Sprintf("%s.%d", where, i)
		if file != nil && b.Type != "text" {
			parts = append(parts, r.file(b, at, file))
			tokens += fileTokens
			continue
		}
		if b.Type != "text" || b.Text == nil || *b.Text == "" {
			r.fail(at, "%s: the demo node takes blocks of type text, with a text that is not empty", at)
			return "", 0
		}
		part, own := cutTokens(*b.Text, 0)
		parts = append(parts, part)
		tokens += own
	}
	return strings.Join(parts, "\n"), tokens
}

// file checks a file block, and returns its type and size as text for the answer.
func (r *requestBody) file(b block, at string, file fileReader) string {
	mediaType, encoded, ok := file(b)
	content, err := base64.StdEncoding.Strict().DecodeString(encoded)
	found, _, _ := strings.Cut(http.DetectContentType(content), ";")
	switch {
	case !ok:
		r.fail(at, "%s: Input should be a text, or a picture or document in base64 of a type that this API has", at)
	case err != nil || len(content) == 0:
		r.fail(at, "%s: the data is not valid base64", at)
	case found != mediaType:
		r.fail(at, "%s: the media type is %s, but the content appears to be %s", at, mediaType, found)
	case mediaType != pdf && len(content) > maxImage:
		r.fail(at, "%s: image exceeds %d MB maximum: %d bytes > %d bytes", at, maxImage>>20, len(content), maxImage)
	}
	return fmt.Sprintf("[%s of %d bytes]", mediaType, len(content))
}
