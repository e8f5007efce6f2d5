// Package wire owns the request and answer types, API errors, and how each dialect encodes and decodes them. It
// classifies a complete response body: an answer, an API error, or neither. It reads an event stream as it arrives
// and reports whether the answer in it is complete. It does not send, retry or print. The bodies in its errors are
// raw: a caller that shows them masks them first.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"ferry/pkg/text"
)

// API is the name of a dialect, as in the configuration.
type API string

// Dialect defines how one kind of API encodes requests and answers. Each has its own file.
type Dialect interface {
	// Facts returns the dialect's constants.
	Facts() Facts

	// encode returns the members of a request's body, in order, or an *UnsupportedError.
	encode(r Request) (members, error)
	// decode reads a complete answer. What could be read is stored in a, with an error too.
	decode(fields object, a *Answer, u *counts) *NotAnswerError
	// knows reports whether the dialect's streams have events of this name. The standard and the vendors require that
	// others are ignored.
	knows(event []byte) bool
	// reader returns the reader of a stream's events, and the members of their data that it needs.
	reader(s *Stream) (reader, []field)
}

// Facts are the constants that differ between dialects.
type Facts struct {
	// Path is what the dialect appends to a node's address.
	Path string
	// ModelsPath is where servers list their models. The request is free of charge.
	ModelsPath string
	// VersionHeader is the header with the API version, "" if there is none.
	VersionHeader string
	// Bearer sends the key as a Bearer token instead of in x-api-key, unless the configuration says otherwise.
	Bearer bool
	// Model selects the model if the configuration names none.
	Model ModelDefault
	// MaxTokens is the default for the maximum number of answer tokens, 0 for ferry's own default.
	MaxTokens int

	// prompt is the member with the prompt. A param may change any other member except stream.
	prompt string
	// stopName is the name of the member with the stop reason.
	stopName string
	// bodyStatus makes a status in the body override the HTTP status, as in the script. Then a message alone is not
	// an error.
	bodyStatus bool
	// typed reports that answers and events have a type.
	typed bool
}

// ModelDefault selects the model of a request if the configuration names none.
type ModelDefault int

// The values of ModelDefault.
const (
	// ModelKnown uses ferry's default model.
	ModelKnown ModelDefault = iota
	// ModelNone sends a request without a model.
	ModelNone
	// ModelRequired sends no request: each server has its own models.
	ModelRequired
)

// dialects lists all dialects, the default first.
var dialects = []struct {
	name API
	Dialect
}{
	{Messages, messages{}},
	{Complete, complete{}},
	{Chat, chat{}},
}

// APINames lists the names of all dialects for use in a sentence.
const APINames = "messages, complete or chat"

// APIs returns the names of all dialects, the default first.
func APIs() []API {
	var names []API
	for _, d := range dialects {
		names = append(names, d.name)
	}
	return names
}

// Dialect returns the dialect with this name, or the default one if the name is unknown.
func (a API) Dialect() Dialect {
	for _, d := range dialects {
		if d.name == a {
			return d.Dialect
		}
	}
	return dialects[0].Dialect
}

// Base returns a node's path without the part that the dialect appends. Users write an API's complete address, its
// /v1, or a slash at the end.
func (a API) Base(path string) string {
	facts := a.Dialect().Facts()
	path = strings.TrimRight(path, "/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, facts.Path), facts.ModelsPath)
	if strings.HasPrefix(facts.Path, "/v1/") {
		path = strings.TrimSuffix(path, "/v1")
	}
	return strings.TrimRight(path, "/")
}

// APIOf returns the dialect whose path is the end of address, "" if there is none.
func APIOf(address string) API {
	address, _, _ = strings.Cut(address, "?")
	for _, d := range dialects {
		if strings.HasSuffix(strings.TrimRight(address, "/"), d.Facts().Path) {
			return d.name
		}
	}
	return ""
}

// Request is one prompt and its options. Fields with the zero value are not sent.
type Request struct {
	// Model may be empty in Complete, because the script sent none.
	Model  string
	System string
	Prompt string
	// Files are sent before the prompt's text.
	Files     []*File
	MaxTokens int
	// Turns are the earlier turns of the conversation that Prompt continues.
	Turns []Turn
	// Stream asks for the answer as an event stream.
	Stream bool
	// Temperature and TopP are pointers, because 0 is a valid value.
	Temperature, TopP *float64
	// Stop are the stop sequences that end the answer.
	Stop []string
	// Schema is the JSON schema that the answer must match: one JSON object.
	Schema json.RawMessage
	// Params set members of the body's top level, including those that ferry sets itself, except the prompt and stream;
	// null removes a member.
	Params map[string]json.RawMessage
	// Host is the server's host, which decides the names of some members.
	Host string
	// Version is the request's anthropic-version, "" for DefaultVersion. It is not in the body, but it decides which
	// members the body may have.
	Version string
}

// Turn is one turn of a conversation. Its files come before its text.
type Turn struct {
	// Role is "user" or "assistant".
	Role  string
	Text  string
	Files []*File
}

// messageList is the messages of a body, and the JSON that a dialect writes before and after the content of a file.
type messageList struct {
	turns []Turn
	file  func(f *File) (before, after string)
}

// Encode returns r as the dialect's JSON body, without a final newline and without HTML escapes, so that the prompt
// appears in the body as it was typed. The prompt must be valid UTF-8. If the dialect, in the request's version, does
// not support a part of the request, the error is an *UnsupportedError: no part is left out silently.
func (a API) Encode(r Request) (Body, error) {
	body, err := a.Dialect().encode(r)
	if err != nil {
		return nil, err
	}
	size := len(r.Schema) + jsonSize(r.Prompt) + jsonSize(r.System) // of the texts as JSON
	for _, turn := range r.Turns {
		if turn.Role != "user" && turn.Role != "assistant" {
			return nil, &UnsupportedError{
				API: a, What: fmt.Sprintf("turn of the role %q", turn.Role), Reason: "a turn is the user's or the assistant's",
			}
		}
		size += jsonSize(turn.Text)
	}
	if r.Schema != nil && (!json.Valid(r.Schema) || bytes.TrimLeft(r.Schema, " \t\r\n")[0] != '{') {
		return nil, &UnsupportedError{API: a, What: "such schema", Reason: "it is not one JSON object"}
	}
	for _, stop := range r.Stop {
		size += jsonSize(stop)
	}
	for key, value := range r.Params {
		size += jsonSize(key) + len(value)
	}
	if size > maxEncoded {
		return nil, text.Errorf("send a shorter prompt; a control character has 6 bytes in JSON, a quote and a backslash 2",
			"the request would have %d MiB as JSON, over the limit of %d MiB", (size+1<<20-1)>>20, maxEncoded>>20)
	}
	if len(r.Params) > 0 {
		if body, err = a.apply(body, r.Params); err != nil {
			return nil, err
		}
	}
	encoded, err := body.encode(size)
	if len(encoded) > 1 && encoded.Len() > MaxRequest {
		return nil, text.Errorf("a file needs a third more space in a request: send fewer or smaller files",
			"the request would have %.1f MiB with its files, over the limit of %d MiB", float64(encoded.Len())/(1<<20), MaxRequest>>20)
	}
	return encoded, err
}

// AllFiles returns the files of the prompt and of the earlier turns.
func (r Request) AllFiles() []*File {
	files := r.Files
	for _, turn := range r.Turns {
		files = append(files[:len(files):len(files)], turn.Files...)
	}
	return files
}

// maxEncoded is the maximum size in bytes of a request's texts as JSON: twice what an API accepts.
const maxEncoded = 64 << 20

// jsonSize returns the number of bytes of text as JSON, without the quotes.
func jsonSize(text string) int {
	size := len(text)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"', c == '\\', c == '\b', c == '\f', c == '\n', c == '\r', c == '\t':
			size++
		case c < ' ':
			size += len(`\u0000`) - 1
		case c == 0xe2 && i+2 < len(text) && text[i+1] == 0x80 && text[i+2]|1 == 0xa9: // U+2028 and U+2029
			size += len(`\u2028`) - 3
		}
	}
	return size
}

// UnsupportedError is a request that the dialect, or its version, does not support. Nothing was sent.
type UnsupportedError struct {
	API API
	// What is the unsupported part, such as "system prompt".
	What string
	// Reason says why, "" if the dialect simply has no such part.
	Reason string
	hint   string
}

func (e *UnsupportedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the %s api has no %s", e.API, e.What)
	}
	return fmt.Sprintf("the %s api takes no %s: %s", e.API, e.What, e.Reason)
}

// Hint returns what the user can do about it, or "".
func (e *UnsupportedError) Hint() string { return e.hint }
