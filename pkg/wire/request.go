// Package wire owns the request and answer types and how each dialect writes and reads them, API errors included. It
// reads a body once it has arrived whole and says what it is: an answer, an error of the API, or no answer at all. It
// reads an event stream as it arrives and says whether the answer in it is whole. It does not send, retry or print:
// bodies that it quotes are raw, and a caller that shows them masks them first.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"ferry/pkg/text"
)

// API is the name of a dialect, as a configuration has it.
type API string

// Dialect is how one kind of API takes requests and gives answers. Each has a file of its own.
type Dialect interface {
	// Facts are what can be said of it without its code.
	Facts() Facts

	// encode gives the members of a request's body, in their order, or an *UnsupportedError.
	encode(r Request) (members, error)
	// decode reads what a whole answer holds. What can be read of it is in the answer beside an error too.
	decode(fields object, a *Answer, u *counts) *NotAnswerError
	// knows reports whether a stream has events of the name. The standard and the vendors ask for others to be ignored.
	knows(event string) bool
	// reader gives what reads the events of a stream, and the members of their data that it looks for.
	reader(s *Stream) (reader, []field)
}

// Facts are what the dialects differ in.
type Facts struct {
	// Path is what the dialect appends to a node's address.
	Path string
	// ModelsPath is where servers list their models, which costs nothing to ask.
	ModelsPath string
	// VersionHeader is the header that names the version of the API, "" where there is none.
	VersionHeader string
	// Bearer says that a key goes as a Bearer token, and not in x-api-key, where the configuration says nothing.
	Bearer bool
	// Model says what is asked for where the configuration names no model.
	Model ModelDefault
	// MaxTokens is the most tokens of an answer where the configuration says nothing, 0 for ferry's own default.
	MaxTokens int

	// prompt is the member that has the prompt. A param may change any other one, but for stream.
	prompt string
	// stopName is the name of the reason why an answer ended.
	stopName string
	// bodyStatus says that a status in the body wins over that of HTTP, as in the script. A message alone is no error then.
	bodyStatus bool
	// typed says that answers and events have a type.
	typed bool
}

// ModelDefault is what a request has for a model where the configuration names none.
type ModelDefault int

// What a request has for a model.
const (
	// ModelKnown is the model that ferry has for a default.
	ModelKnown ModelDefault = iota
	// ModelNone is a request without a model.
	ModelNone
	// ModelRequired is no request: each server has models of its own.
	ModelRequired
)

// dialects are all dialects, the default first.
var dialects = []struct {
	name API
	Dialect
}{
	{Messages, messages{}},
	{Complete, complete{}},
	{Chat, chat{}},
}

// APINames are the names of all dialects in a sentence.
const APINames = "messages, complete or chat"

// APIs are the names of all dialects, the default first.
func APIs() []API {
	var names []API
	for _, d := range dialects {
		names = append(names, d.name)
	}
	return names
}

// Dialect is the dialect of the name, the default one for an unknown name.
func (a API) Dialect() Dialect {
	for _, d := range dialects {
		if d.name == a {
			return d.Dialect
		}
	}
	return dialects[0].Dialect
}

// Base is a node's path without what the dialect appends to it. People write the whole address of an API, its /v1, or a
// slash behind it.
func (a API) Base(path string) string {
	facts := a.Dialect().Facts()
	path = strings.TrimRight(path, "/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, facts.Path), facts.ModelsPath)
	if strings.HasPrefix(facts.Path, "/v1/") {
		path = strings.TrimSuffix(path, "/v1")
	}
	return strings.TrimRight(path, "/")
}

// APIOf is the dialect whose path an address ends in, "" where it is none's.
func APIOf(address string) API {
	address, _, _ = strings.Cut(address, "?")
	for _, d := range dialects {
		if strings.HasSuffix(strings.TrimRight(address, "/"), d.Facts().Path) {
			return d.name
		}
	}
	return ""
}

// Request is one prompt with what goes with it. The zero value of a field sends nothing for it.
type Request struct {
	// Model may be empty in Complete, whose original has none.
	Model  string
	System string
	Prompt string
	// Files go with the prompt, before its text.
	Files     []*File
	MaxTokens int
	// Turns are the earlier turns of the conversation, which Prompt continues.
	Turns []Turn
	// Stream asks for the answer as an event stream.
	Stream bool
	// Temperature and TopP are pointers, because 0 is a value that people ask for.
	Temperature, TopP *float64
	// Stop are the texts that end the answer.
	Stop []string
	// Schema is the JSON schema that the answer must keep to: one JSON object.
	Schema json.RawMessage
	// Params set members of the body's top level, those that ferry sets itself too; null takes one away.
	Params map[string]json.RawMessage
	// Host is the server's, which decides the names of some members.
	Host string
	// Version is the anthropic-version that the request goes out under, "" for DefaultVersion. It is not in the body: it
	// decides what the body may hold.
	Version string
}

// Turn is one turn of a conversation. Its files come before its text.
type Turn struct {
	// Role is "user" or "assistant".
	Role  string
	Text  string
	Files []*File
}

// messageList is the messages of a body, with what a dialect writes before and behind the content of a file.
type messageList struct {
	turns []Turn
	file  func(f *File) (before, after string)
}

// Encode writes r as the dialect's JSON body, without a newline behind it and without HTML escapes, so that a prompt
// reads in the body as it was typed. The prompt must be valid UTF-8. What the dialect, in the request's version, cannot
// carry is an *UnsupportedError: it is never left out in silence.
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
	if size > mostEncoded {
		return nil, text.Errorf("send a shorter prompt; a control character has 6 bytes in JSON, a quote and a backslash 2",
			"the request would have %d MiB as JSON, over the limit of %d MiB", (size+1<<20-1)>>20, mostEncoded>>20)
	}
	for _, field := range hostFields {
		if _, said := r.Params[field.name]; !said && field.host == r.Host && field.api == a {
			body = body.rename(field.name, field.as)
		}
	}
	if len(r.Params) > 0 {
		if body, err = a.apply(body, r.Params); err != nil {
			return nil, err
		}
	}
	encoded, err := body.encode(size)
	if len(encoded) > 1 && encoded.Len() > MaxRequest {
		return nil, text.Errorf("a file takes a third more in a request: send fewer at once, or smaller ones",
			"the request would have %.1f MiB with its files, over the limit of %d MiB", float64(encoded.Len())/(1<<20), MaxRequest>>20)
	}
	return encoded, err
}

// AllFiles are the files of the prompt and of the earlier turns.
func (r Request) AllFiles() []*File {
	files := r.Files
	for _, turn := range r.Turns {
		files = append(files[:len(files):len(files)], turn.Files...)
	}
	return files
}

// mostEncoded is the most bytes that the texts of a request may have as JSON: twice what an API takes.
const mostEncoded = 64 << 20

// jsonSize is how many bytes a text has in JSON, without its quotes.
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

// UnsupportedError is a request that the dialect, or its version, cannot carry. Nothing was sent.
type UnsupportedError struct {
	API API
	// What is the part that cannot be carried, such as "system prompt".
	What string
	// Reason says why, "" where the dialect simply has no such thing.
	Reason string
	hint   string
}

func (e *UnsupportedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the %s api has no %s", e.API, e.What)
	}
	return fmt.Sprintf("the %s api takes no %s: %s", e.API, e.What, e.Reason)
}

// Hint tells what to do about it, "" where there is nothing to say.
func (e *UnsupportedError) Hint() string { return e.hint }
