// Package wire owns the request and answer types and how each dialect writes and reads them, API errors included. It
// reads a body once it has arrived whole and says what it is: an answer, an error of the API, or no answer at all. It
// reads an event stream as it arrives and says whether the answer in it is whole. It does not send, retry or print:
// bodies that it quotes are raw, and a caller that shows them masks them first.
package wire

// API is the name of a dialect, as a configuration has it.
type API string

// Dialect is what ferry needs to know of one kind of API. Each has a file of its own.
type Dialect interface {
	// Path is what the dialect appends to a node's address.
	Path() string
	// ModelsPath is where its servers list their models, which costs nothing to ask.
	ModelsPath() string
	// VersionHeader is the header that names the version of the API, "" where there is none.
	VersionHeader() string
	// Defaults are what a node has where its configuration says nothing.
	Defaults() Defaults
}

// Defaults are what a node of a dialect has where its configuration says nothing.
type Defaults struct {
	// Bearer says that the key goes as a Bearer token, and not in x-api-key.
	Bearer bool
	// Model says what is asked for.
	Model ModelDefault
	// MaxTokens is the most tokens of an answer, 0 for the most in other dialects.
	MaxTokens int
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
