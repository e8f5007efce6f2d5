package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Request is one prompt with what goes with it. The zero value of a field sends nothing for it.
type Request struct {
	// Model may be empty in Complete, whose original has none.
	Model     string
	System    string
	Prompt    string
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
	// Params go into the top level of the body as they are, for what the API has and ferry does not know.
	Params map[string]json.RawMessage
	// Version is the anthropic-version that the request goes out under, "" for DefaultVersion. It is not in the body: it
	// decides what the body may hold.
	Version string
}

// Turn is one earlier turn of a conversation.
type Turn struct {
	// Role is "user" or "assistant".
	Role string
	Text string
}

// schemaFormat is what the messages and the chat dialect both call a format: they differ in where the schema stands.
type schemaFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema,omitempty"`
	Named  *namedSchema    `json:"json_schema,omitempty"`
}

type namedSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Strict bool            `json:"strict"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Encode writes r as the dialect's JSON body, without a newline behind it and without HTML escapes, so that a prompt
// reads in the body as it was typed. The prompt must be valid UTF-8. What the dialect, in the request's version, cannot
// carry is an *UnsupportedError: it is never left out in silence.
func (a API) Encode(r Request) ([]byte, error) {
	body, err := a.Dialect().encode(r)
	if err != nil {
		return nil, err
	}
	for _, turn := range r.Turns {
		if turn.Role != "user" && turn.Role != "assistant" {
			return nil, &UnsupportedError{
				API: a, What: fmt.Sprintf("turn of the role %q", turn.Role), Reason: "a turn is the user's or the assistant's",
			}
		}
	}
	if r.Schema != nil && (!json.Valid(r.Schema) || bytes.TrimLeft(r.Schema, " \t\r\n")[0] != '{') {
		return nil, &UnsupportedError{API: a, What: "such schema", Reason: "it is not one JSON object"}
	}
	if size := r.encodedSize(); size > mostEncoded {
		return nil, &SizeError{Size: size}
	}
	encoded, err := encodeJSON(body)
	if err != nil || len(r.Params) == 0 {
		return encoded, err
	}
	return a.addParams(encoded, r.Params)
}

// conversation is the earlier turns with the prompt behind them.
func (r Request) conversation() []message {
	out := make([]message, 0, len(r.Turns)+2)
	for _, turn := range r.Turns {
		out = append(out, message{Role: turn.Role, Content: turn.Text})
	}
	return append(out, message{Role: "user", Content: r.Prompt})
}

// addParams puts the params behind the body's own members, in the order of their keys, so that one request always has
// the same bytes. A key that the body has already would be there twice, and which one counts would be the server's luck.
func (a API) addParams(body []byte, params map[string]json.RawMessage) ([]byte, error) {
	own, _ := parse(body)
	keys := make([]string, 0, len(params))
	for key := range params {
		if _, taken := own[key]; taken || slices.Contains(a.Dialect().Facts().keys, key) {
			return nil, &UnsupportedError{
				API: a, What: fmt.Sprintf("param %q", key), Reason: "ferry sets it itself",
				hint: "use the flag or the setting that ferry has for it",
			}
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	body = bytes.TrimSuffix(body, []byte("}"))
	for _, key := range keys {
		name, err := encodeJSON(key)
		if err != nil {
			return nil, err
		}
		value, err := encodeJSON(params[key])
		if err != nil || len(params[key]) == 0 {
			return nil, &UnsupportedError{
				API: a, What: fmt.Sprintf("param %q", key), Reason: "its value is not JSON",
				hint: `a text needs its quotes: key='"value"'`,
			}
		}
		body = append(append(append(append(body, ','), name...), ':'), value...)
	}
	return append(body, '}'), nil
}

// mostEncoded is the most bytes that the texts of a request may have as JSON: twice what an API takes.
const mostEncoded = 64 << 20

// SizeError is a request whose texts would be too long as JSON. It is not encoded.
type SizeError struct{ Size int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("the request would have %d MiB as JSON, over the limit of %d MiB", (e.Size+1<<20-1)>>20, mostEncoded>>20)
}

// Hint tells what to do about it.
func (e *SizeError) Hint() string {
	return "send a shorter prompt; a control character has 6 bytes in JSON, a quote and a backslash 2"
}

// encodedSize is how many bytes the texts of a request have as JSON.
func (r Request) encodedSize() int {
	size := jsonSize(r.Prompt) + jsonSize(r.System) + len(r.Schema)
	for _, turn := range r.Turns {
		size += jsonSize(turn.Text)
	}
	for _, text := range r.Stop {
		size += jsonSize(text)
	}
	for key, value := range r.Params {
		size += jsonSize(key) + len(value)
	}
	return size
}

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

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
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
