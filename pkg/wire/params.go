package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// apply sets or removes the members that params name. New members are appended in the order of their names, so that
// the same request always has the same bytes.
func (a API) apply(m members, params map[string]json.RawMessage) (members, error) {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value := params[name]
		if err := a.CheckParam(name, value); err != nil {
			return nil, err
		}
		set := members{{name, value}}
		if string(bytes.TrimSpace(value)) == "null" {
			set = nil
		}
		at := slices.IndexFunc(m, func(one member) bool { return one.name == name })
		if at < 0 {
			m = append(m, set...)
		} else {
			m = slices.Replace(m, at, at+1, set...)
		}
	}
	return m, nil
}

// CheckParam returns an *UnsupportedError if a param's name or value is not allowed.
func (a API) CheckParam(name string, value json.RawMessage) error {
	fault := &UnsupportedError{API: a, What: fmt.Sprintf("param %q", name)}
	switch {
	case name == a.Dialect().Facts().prompt:
		fault.Reason, fault.hint = "it is the prompt", "give the prompt as arguments, with -f or in a pipe"
	case name == "stream": // it decides how the response is read
		fault.Reason, fault.hint = "ferry sets it itself", "use ferry stream for a stream, ferry ask for a complete answer"
	case !json.Valid(value):
		fault.Reason, fault.hint = "its value is not JSON", `a string needs quotes: key='"value"'`
	default:
		return nil
	}
	return fault
}

// MaxAnswerTokens returns the maximum number of answer tokens that the request asks for.
func (r Request) MaxAnswerTokens() int {
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		if n, err := strconv.Atoi(string(bytes.TrimSpace(r.Params[name]))); err == nil && n > 0 {
			return n
		}
	}
	return r.MaxTokens
}

// ParamHint returns what to change in the request with the given body, if e has status 400 or 422 and says that the
// server does not accept one of its members; else "".
func (e *APIError) ParamHint(body Body) string {
	if e.Status != 400 && e.Status != 422 {
		return ""
	}
	sent, _ := parse(body.Display())
	message := e.Message[:min(len(e.Message), 4096)]
	words := strings.FieldsFunc(message, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	fault, _ := parse(e.Body)
	if inner, ok := parse(fault["error"]); ok {
		fault = inner
	}
	named := stringOf(fault["param"])
	use := ""
	for i, word := range words {
		_, isSent := sent[word]
		switch {
		case isSent && named == "" && isNamed(message, word):
			named = word
		case i > 0 && strings.EqualFold(words[i-1], "use") && strings.Contains(word, "_") && !isSent:
			use = word
		}
	}
	value, isSent := sent[named]
	switch {
	case !isSent || slices.Contains([]string{"model", "messages", "prompt", "stream"}, named):
		return ""
	case use != "" && len(value) < 64 && !isText(value):
		return fmt.Sprintf("--param %s=null --param %s=%s; params: of the node sets this permanently", named, use, value)
	case hasAny(strings.ToLower(message), rejectPhrases):
		return fmt.Sprintf("--param %s=null leaves it out; params: of the node sets this permanently", named)
	}
	return fmt.Sprintf("--param %s=VALUE sends another, --param %s=null none", named, named)
}

// rejectPhrases are phrases of errors about a member that the server does not accept at all, in lower case.
var rejectPhrases = []string{
	"unsupported", "not support", "not permitted", "not allowed", "unknown", "unrecognized", "unexpected", "only", "extra", "deprecated",
}

// isNamed reports whether an error message names the member, and does not just use the English word.
func isNamed(message, name string) bool {
	if strings.Contains(name, "_") || name == "temperature" {
		return true
	}
	for _, mark := range []string{"'", `"`, "`"} {
		if strings.Contains(message, mark+name+mark) {
			return true
		}
	}
	return strings.HasPrefix(message, name+":") || strings.Contains(message, "."+name+":")
}
