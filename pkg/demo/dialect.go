package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// dialect is what the node knows of one kind of API. Its answers are written here as they look on the wire.
type dialect interface {
	// parse takes a request apart. What is wrong with it is kept in the request.
	parse(r *requestBody) prompt
	// reply is the body of an answer that is not streamed, before and behind its text.
	reply(a answer) (head, tail string)
	// open, delta and end are the events of a stream, in this order; delta once per piece of text.
	open(a answer) []string
	delta(a answer, piece string) string
	end(a answer) []string
	// ping is the event that keeps an idle stream alive.
	ping() string
	// models is the body of the list of models. Any other model's name is answered to as well.
	models() string
	// failure is the body of an error.
	failure(e *apiError, requestID string) string
}

// apis are what the node serves, by the end of the path: gateways put what they like before it. The models and the
// health of the node have no dialect.
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

// route finds the API of a request: its name, "" for an unknown path, and the dialect in which errors are written. The
// models and an unknown path have OpenAI's where the headers say that the client speaks it.
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

// apiError is an error on its way to the client, in no shape yet.
type apiError struct {
	status  int
	message string
	param   string // chat only: the field at fault
	cap     bool   // a spend cap: final, so without Retry-After
}

func badRequest(param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...), param: param}
}

// statusError is the error behind a status that the query asked for.
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

// overloaded is the error that comes after a status of 200.
func overloaded() *apiError {
	return &apiError{status: 529, message: "Overloaded: the demo node was asked for an error event"}
}

// quote writes a text as JSON. The real APIs do not escape <, > and & either.
func quote(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

// event writes an event of a stream; name is "" where it only has data.
func event(name, data string) string {
	if name != "" {
		name = "event: " + name + "\n"
	}
	return name + "data: " + data + "\n\n"
}
