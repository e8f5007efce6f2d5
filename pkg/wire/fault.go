package wire

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// faultIn finds an error in an object that came with HTTP status 200, nil for none. These are errors, also beside an
// answer: an error member that says something, at the top or in the choice, a type or an object of the name "error", and a base_resp with a status
// code. Where no answer stands in the object, these are errors too: a code that is not one of success, "success": false,
// and members of the names that errors have. A mere message is none in Complete, whose gateways have shapes of their own.
func (a API) faultIn(fields object) *APIError {
	base, _ := parse(fields["base_resp"])
	if inside := chosen(fields["choices"])["error"]; isFault(inside) && !isFault(fields["error"]) {
		fields = maps.Clone(fields)
		fields["error"] = inside
	}
	switch {
	case isFault(fields["error"]), stringOf(fields, "type") == "error", stringOf(fields, "object") == "error", isCode(base["status_code"]):
	case a.hasAnswer(fields):
		return nil
	case slices.ContainsFunc(codeNames, func(name string) bool { return isCode(fields[name]) }):
	case string(fields["success"]) == "false", isFault(fields["errors"]), isFault(fields["detail"]), isFault(fields["error_msg"]):
	case a != Complete && (stringOf(fields, "message") != "" || stringOf(fields, "Message") != "" || stringOf(fields, "msg") != ""):
	default:
		return nil
	}
	e := &APIError{HTTPStatus: 200}
	e.read(fields)
	return e
}

// hasAnswer reports whether the object has an answer or a part of one, or is an event of a stream.
func (a API) hasAnswer(fields object) bool {
	for _, name := range []string{"choices", "content", "completion"} {
		if raw := fields[name]; len(raw) > 0 && string(raw) != "null" && string(raw) != "[]" {
			return true
		}
	}
	return a == Messages && stringOf(fields, "type") != ""
}

// isFault reports whether an error member says anything: servers that always have one send null or an empty one.
func isFault(raw []byte) bool {
	l := lexer{b: raw}
	return len(raw) > 0 && l.says()
}

// says reads the next value and reports whether anything in it is more than null, false, 0 or empty.
func (l *lexer) says() (found bool) {
	switch l.peek() {
	case '{':
		l.enter('{')
		for _, ok := l.member(); ok; _, ok = l.member() {
			found = l.says() || found
		}
		return found
	case '[':
		l.enter('[')
		for l.more(']') {
			found = l.says() || found
		}
		return found
	}
	switch string(l.value()) {
	case "", `""`, "null", "false", "0", `"0"`:
		return false
	}
	return true
}

// codeNames are the members in which servers put the number or the name of an error.
var codeNames = []string{"code", "error_code", "errorCode", "errcode", "status_code", "statusCode"}

// isCode reports whether a code stands for a failure.
func isCode(raw []byte) bool {
	if isText(raw) {
		switch strings.ToLower(string(unquote(raw))) {
		case "", "0", "200", "ok", "success":
			return false
		}
		return true
	}
	return len(raw) > 0 && (raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9') && string(raw) != "0" && string(raw) != "200"
}

// elements are the values of an array, the first of them where there are many.
func elements(raw []byte) (out [][]byte) {
	l := lexer{b: raw}
	if !l.enter('[') {
		return nil
	}
	for l.more(']') {
		if value := l.value(); len(out) < maxElements {
			out = append(out, value)
		}
	}
	if !l.whole() {
		return nil
	}
	return out
}

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
		w.say(string(words(raw)))
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
			part = unquote(part)
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
		code = string(unquote(raw))
	}
	if w.Code == "" {
		w.Code = code
	}
	if status, err := strconv.ParseFloat(code, 64); err == nil && isFailure(status) && w.stated == 0 {
		w.stated = int(status)
	}
}

// isFailure reports whether a number is an HTTP status of a failure.
func isFailure(n float64) bool { return n == math.Trunc(n) && n >= 400 && n <= 599 }

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
