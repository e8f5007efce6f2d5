package wire

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

const (
	maxNested = 6   // how deep errors are looked for in errors
	maxWords  = 100 // how many texts of an error are put together
)

// errorWords collects what an error says of itself.
type errorWords struct {
	*APIError
	words []string
	left  int
}

// read takes what the members of an error object, or of an object with one in it, say.
func (e *APIError) read(fields object) {
	w := errorWords{APIError: e, left: maxWords}
	w.object(fields, maxNested)
	e.Message = strings.Join(w.words, ": ")
	e.RequestID = stringOf(fields, "request_id")
}

// value reads an error of any shape: a text, an object, or a list of them.
func (w *errorWords) value(raw []byte, depth int) {
	if len(raw) == 0 || depth == 0 {
		return
	}
	switch raw[0] {
	case '"':
		w.say(string(unquote(raw)))
	case '{':
		fields, _ := parse(raw)
		w.object(fields, depth-1)
	case '[':
		for _, one := range elements(raw) {
			w.value(one, depth-1)
		}
	default:
		w.code(raw)
	}
}

// object reads an error's fields, the error inside it first.
func (w *errorWords) object(fields object, depth int) {
	if isFault(fields["error"]) {
		w.value(fields["error"], depth)
	}
	if kind := stringOf(fields, "type"); w.Type == "" && kind != "error" && kind != "message" && !strings.Contains(kind, ":") {
		w.Type = kind // and not a problem's URL
	}
	for _, name := range codeNames {
		w.code(fields[name])
	}
	if name := stringOf(fields, "status"); w.Type == "" && name != "error" && strings.Trim(name, "0123456789") != "" {
		w.Type = name // Google's name of the error
	}
	where := len(w.words)
	for _, name := range []string{
		"title", "message", "Message", "msg", "detail", "error_msg", "errorMessage", "error_message", "error_description",
		"status_msg", "reason", "errors", "raw", "metadata", "base_resp",
	} {
		w.value(fields[name], depth)
	}
	if place := strings.Join(places(fields["loc"]), "."); place != "" && len(w.words) > where {
		w.words[where] = place + ": " + w.words[where]
	}
}

// places are the parts of a place in the request, as FastAPI names it.
func places(raw []byte) (out []string) {
	for _, part := range elements(raw) {
		if isText(part) {
			part = []byte(valid(part))
		}
		out = append(out, string(part))
	}
	return out
}

// code keeps the first code, and the number of an HTTP status where any of them is one.
func (w *errorWords) code(raw []byte) {
	if !isCode(raw) {
		return
	}
	code := string(raw)
	if isText(raw) {
		code = valid(raw)
	}
	if w.Code == "" {
		w.Code = code
	}
	if status, err := strconv.ParseFloat(code, 64); err == nil && isFailure(status) && w.stated == 0 {
		w.stated = int(status)
	}
}

// say adds words that are not there yet.
func (w *errorWords) say(words string) {
	words = strings.TrimSpace(words)
	if words == "" || w.left == 0 || slices.ContainsFunc(w.words, func(said string) bool { return strings.Contains(said, words) }) {
		return
	}
	w.left--
	w.words = append(w.words, words)
}

// readBody takes what a body of any kind says of an error.
func (e *APIError) readBody(body []byte) {
	e.Body = body
	body = bytes.TrimSpace(bytes.TrimPrefix(body, bom))
	if fields, ok := parse(body); ok {
		e.read(fields)
		return
	}
	e.Message = pageTitle(body)
	if list := elements(body); len(list) > 0 {
		w := errorWords{APIError: e, left: maxWords}
		w.value(body, maxNested)
		e.Message = strings.Join(w.words, ": ")
	}
}

// pageTitle is the title of an HTML page, "" without one.
func pageTitle(body []byte) string {
	const most = 200
	if len(body) == 0 || body[0] != '<' {
		return ""
	}
	head := body[:min(len(body), 64<<10)]
	from := bytes.Index(bytes.ToLower(head), []byte("<title"))
	if from < 0 {
		return ""
	}
	_, title, ok := bytes.Cut(head[from:], []byte(">"))
	title, _, closed := bytes.Cut(title, []byte("<"))
	if !ok || !closed {
		return ""
	}
	words := strings.Join(strings.Fields(string(title)), " ")
	if len(words) > most {
		words = strings.ToValidUTF8(words[:most], "") + "…"
	}
	return words
}
