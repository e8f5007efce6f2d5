// Package wire owns the request and answer types and how each of the three dialects writes and reads them, API errors
// included. It reads a body once it has arrived whole and says what it is: an answer, an error of the API, or no answer
// at all. It reads an event stream as it arrives and says whether the answer in it is whole. It refuses to send, to
// retry and to print: bodies that it quotes are raw, and a caller that shows them masks them first.
package wire

// API names a dialect.
type API string

// The three dialects.
const (
	// Messages is Claude's: POST …/v1/messages.
	Messages API = "messages"
	// Complete is the dialect of the script that ferry replaces: POST …/v1/complete with a prompt and max_tokens.
	Complete API = "complete"
	// Chat is the OpenAI-style one: POST …/chat/completions.
	Chat API = "chat"
)

// APIs lists the dialects, the default first.
func APIs() []API { return []API{Messages, Complete, Chat} }

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
