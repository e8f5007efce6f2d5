// Package wire owns the request and answer types and how each of the three dialects writes and reads them, API errors
// included. It reads a body once it has arrived whole and says what it is: an answer, an error of the API, or no
// answer at all. It refuses to send, to retry and to print: bodies that it quotes are raw, and whoever shows them masks
// them first.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// API names a dialect.
type API string

// The three dialects.
const (
	// Messages is Claude's: POST …/v1/messages.
	Messages API = "messages"
	// Complete is that of the script ferry replaces: POST …/v1/complete with a prompt and max_tokens.
	Complete API = "complete"
	// Chat is the OpenAI-style one: POST …/chat/completions.
	Chat API = "chat"
)

// APIs lists the dialects, the default first.
func APIs() []API { return []API{Messages, Complete, Chat} }

// ParseAPI reads a dialect's name. The error lists the names.
func ParseAPI(name string) (API, error) {
	names := make([]string, 0, len(APIs()))
	for _, a := range APIs() {
		if name == string(a) {
			return a, nil
		}
		names = append(names, string(a))
	}
	return "", fmt.Errorf("%q is not an api (%s)", name, strings.Join(names, ", "))
}

// DefaultVersion is the anthropic-version that the messages dialect speaks unless a node names another.
const DefaultVersion = "2026-10-21"

// Path is what the dialect appends to a node's address.
func (a API) Path() string {
	switch a {
	case Complete:
		return "/v1/complete"
	case Chat:
		return "/chat/completions"
	default:
		return "/v1/messages"
	}
}

// ModelsPath is where the dialect's servers list their models, which costs nothing to ask.
func (a API) ModelsPath() string {
	if a == Chat {
		return "/models"
	}
	return "/v1/models"
}

// Request is one prompt with what goes with it.
type Request struct {
	// Model may be empty in Complete, whose original has none.
	Model     string
	System    string
	Prompt    string
	MaxTokens int
}

type messagesRequest struct {
	Model     string    `json:"model"`
	MaxTokens int       `json:"max_tokens"`
	System    string    `json:"system,omitempty"`
	Messages  []message `json:"messages"`
}

type chatRequest struct {
	Model     string    `json:"model"`
	MaxTokens int       `json:"max_tokens"`
	Messages  []message `json:"messages"`
}

type completeRequest struct {
	Prompt    string `json:"prompt"`
	MaxTokens int    `json:"max_tokens"`
	Model     string `json:"model,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// ErrNoSystem says that the complete dialect, whose request is a prompt and a number, has no system prompt.
var ErrNoSystem = fmt.Errorf("the complete api has no system prompt")

// Encode writes r as the dialect's JSON body, without a newline behind it and without HTML escapes, so that a prompt
// reads in the body as it was typed. The prompt must be valid UTF-8. The error is ErrNoSystem or nil.
func (a API) Encode(r Request) ([]byte, error) {
	prompt := []message{{Role: "user", Content: r.Prompt}}
	var body any
	switch a {
	case Complete:
		if r.System != "" {
			return nil, ErrNoSystem
		}
		body = completeRequest{r.Prompt, r.MaxTokens, r.Model}
	case Chat:
		if r.System != "" {
			prompt = append([]message{{Role: "system", Content: r.System}}, prompt...)
		}
		body = chatRequest{r.Model, r.MaxTokens, prompt}
	default:
		body = messagesRequest{r.Model, r.MaxTokens, r.System, prompt}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
