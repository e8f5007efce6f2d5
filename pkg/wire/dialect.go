// Package wire owns the request and answer types and how each dialect writes and reads them, API errors included. It
// reads a body once it has arrived whole and says what it is: an answer, an error of the API, or no answer at all. It
// reads an event stream as it arrives and says whether the answer in it is whole. It does not send, retry or print:
// bodies that it quotes are raw, and a caller that shows them masks them first.
package wire

// API is the name of a dialect, as a configuration has it.
type API string

// Dialect is how one kind of API takes requests and gives answers. Each has a file of its own.
type Dialect interface {
	// Path is what the dialect appends to a node's address.
	Path() string
	// Facts are what else can be said of it without its code.
	Facts() Facts

	// encode gives the body of a request, or an *UnsupportedError.
	encode(r Request) (any, error)
	// decode reads what a whole answer holds. What can be read of it is in the answer beside an error too.
	decode(fields object, a *Answer) *NotAnswerError
	// knows reports whether a stream has events of the name. The standard and the vendors ask for others to be ignored.
	knows(event string) bool
	// reader gives what reads the events of a stream, and the members of their data that it looks for.
	reader(s *Stream) (reader, []field)
}

// Facts are what the dialects differ in.
type Facts struct {
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

	// keys are the members of a request that decide what ferry asks for and how it reads the answer. They are ferry's even
	// where a request leaves them out: a "stream" that ferry does not know of would bring an answer that it cannot read.
	keys []string
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
