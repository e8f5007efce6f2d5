package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Decode reads a complete response body: one JSON object, or an event stream, which some servers send unrequested.
// The error is an *APIError if the effective status is not 200 or the stop reason reports a failure, and a
// *NotAnswerError if the effective status is 200 but the body is not an answer. The received text is returned with an
// error too. Only what shows that the answer is complete must have the right shape: a usage or a model name of
// another shape is ignored.
func (a API) Decode(httpStatus int, body []byte) (Answer, error) {
	fields, err := a.check(httpStatus, body)
	if fields == nil {
		if httpStatus == 200 && isEvents(body) {
			return a.decodeEvents(body)
		}
		return Answer{}, err
	}
	answer, fault := a.answer(fields)
	switch {
	case err != nil:
		return answer, err
	case fault != nil:
		fault.Body, fault.Object = body, true
		return answer, fault
	case EndingOf(answer.StopReason) == Failed:
		e := a.stopFailure(answer.StopReason)
		e.Body = body
		return answer, e
	}
	return answer, nil
}

// check reports whether a body is a success: as in the script, one JSON object whose effective status is 200. The
// error is an *APIError or a *NotAnswerError. The object's fields are also returned with an error inside an object
// with status 200.
//
// In Complete, the body's top-level .status is the effective status, as in the script, whatever the HTTP status is.
// In the other dialects, a numeric .status can turn an HTTP 200 into an error, but never an error into a success. In
// all dialects, an error in any form turns an HTTP 200 without a .status into that error.
func (a API) check(httpStatus int, body []byte) (object, error) {
	fields, isObject := parse(body)
	if !isObject {
		fields, isObject = parse(trimDone(body))
	}
	effective, status := httpStatus, fields["status"]
	if status != nil {
		effective = a.effectiveStatus(httpStatus, status)
	}
	if httpStatus == 200 && effective == 200 && (isNull(status) || !a.Dialect().Facts().bodyStatus) {
		objects := []object{fields}
		if !isObject { // a list of errors
			for _, one := range elements(bytes.TrimSpace(bytes.TrimPrefix(body, bom))) {
				object, _ := parse(one)
				objects = append(objects, object)
			}
		}
		for _, in := range objects {
			if fault := a.faultIn(in); fault != nil {
				fault.Body, fault.Status = body, fault.statusInside()
				return fields, fault
			}
		}
	}
	if effective != 200 {
		e := &APIError{Status: effective, HTTPStatus: httpStatus}
		if effective == noStatus {
			e.Status = 0
		}
		e.readBody(body)
		return nil, e
	}
	if !isObject {
		return nil, notJSON(body)
	}
	return fields, nil
}

// answer reads the answer in an object. What could be read is returned with an error too.
func (a API) answer(fields object) (Answer, *NotAnswerError) {
	answer := Answer{ID: stringOf(fields["id"]), Model: stringOf(fields["model"])}
	var u counts
	fault := a.Dialect().decode(fields, &answer, &u)
	answer.Usage, answer.Empty, answer.NotUTF8 = u.usage(), answer.Text == "", !utf8.ValidString(answer.Text)
	return answer, fault
}

// unfinished returns the error for a stop reason that is null, which servers send while the answer is still being
// written. A missing stop reason is not an error: older gateways send none, and complete JSON then means a complete
// answer.
func unfinished(name string) *NotAnswerError {
	return &NotAnswerError{Reason: "an unfinished answer: " + name + " is null"}
}

// faultIn returns the error in an object that came with HTTP status 200, nil for none. These are errors, even if
// there is an answer too: an error member that is not empty, at the top level or in the choice; a type or an object
// "error"; and a base_resp with a failure code. Without an answer, these are errors too: a code that is not a
// success, "success": false, and the other usual members of errors. In Complete, a message alone is not an error: its
// gateways use their own shapes.
func (a API) faultIn(fields object) *APIError {
	base, _ := parse(fields["base_resp"])
	if choices := fields["choices"]; choices != nil && !isFault(fields["error"]) {
		if inside := selectChoice(choices)["error"]; isFault(inside) {
			fields = maps.Clone(fields)
			fields["error"] = inside
		}
	}
	facts := a.Dialect().Facts()
	isAnswer := facts.typed && stringOf(fields["type"]) != ""
	for _, name := range []string{"choices", "content", "completion"} {
		raw := fields[name]
		isAnswer = isAnswer || !isNull(raw) && string(raw) != "[]"
	}
	says := func(name string) bool { return !facts.bodyStatus && stringOf(fields[name]) != "" }
	switch {
	case fields["error"] != nil && isFault(fields["error"]), base != nil && isCode(base["status_code"]),
		stringOf(fields["type"]) == "error", stringOf(fields["object"]) == "error":
	case isAnswer:
		return nil
	case slices.ContainsFunc(codeNames, func(name string) bool { return isCode(fields[name]) }):
	case string(fields["success"]) == "false", isFault(fields["errors"]), isFault(fields["detail"]), isFault(fields["error_msg"]):
	case says("message"), says("Message"), says("msg"):
	default:
		return nil
	}
	e := &APIError{HTTPStatus: 200}
	e.read(fields)
	return e
}

// isFault reports whether an error member has content: any value other than null, false, 0 or an empty one. Servers
// that always send the member send null or an empty value if there is no error.
func isFault(raw []byte) bool {
	l := lexer{b: raw}
	for c := l.peek(); c != 0; c = l.peek() {
		switch c {
		case '{', '}', '[', ']', ',':
			l.i++
			continue
		}
		value := string(l.value())
		if c == '"' && l.peek() == ':' { // the string is a member's name
			l.i++
			continue
		}
		switch value {
		case `""`, "null", "false", "0", `"0"`:
		default:
			return true
		}
	}
	return false
}

// codeNames are the members in which servers send the number or the name of an error.
var codeNames = []string{"code", "error_code", "errorCode", "errcode", "status_code", "statusCode"}

// isCode reports whether a code means a failure.
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

// isFailure reports whether a number is an HTTP error status.
func isFailure(n float64) bool { return n == math.Trunc(n) && n >= 400 && n <= 599 }

// effectiveStatus applies the rules of check to the .status of a body.
func (a API) effectiveStatus(httpStatus int, raw []byte) int {
	if isNull(raw) {
		return httpStatus
	}
	status := statedStatus(raw)
	if a.Dialect().Facts().bodyStatus || httpStatus == 200 && isFailure(float64(status)) {
		return status
	}
	return httpStatus
}

// noStatus is a .status that is neither a whole number nor a string of digits.
const noStatus = math.MinInt

// statedStatus returns the value of a .status: a whole number (in any JSON notation) or a string of digits. A number
// too large to be a status returns -1, which is not 200 either.
func statedStatus(raw []byte) int {
	digits := string(raw)
	if isText(raw) {
		if digits = string(unquote(raw)); strings.Trim(digits, "0123456789") != "" {
			return noStatus
		}
	}
	number, err := strconv.ParseFloat(digits, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax): // true, false, an object, an array, an empty string
		return noStatus
	case err != nil || math.Abs(number) > 1e6:
		return -1
	case number != math.Trunc(number):
		return noStatus
	}
	return int(number)
}

// done is the last event of the OpenAI-style servers.
const done = "[DONE]"

// trimDone returns the body without the last event of a chat stream, which some gateways also append to a complete
// answer.
func trimDone(body []byte) []byte {
	before, ok := bytes.CutSuffix(bytes.TrimSpace(body), []byte(done))
	if !ok {
		return nil
	}
	before, _ = bytes.CutSuffix(bytes.TrimSpace(before), []byte("data:"))
	return before
}

// notJSON returns an error that describes a body that is not a JSON object.
func notJSON(body []byte) *NotAnswerError {
	text := bytes.TrimSpace(bytes.TrimPrefix(body, bom))
	none := &NotAnswerError{Body: body, Encoding: EncodingOf(text)}
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&json.RawMessage{})
	switch {
	case len(text) == 0:
		none.Reason = "an empty body"
	case text[0] == '<':
		none.Reason, none.Title = htmlPage, pageWords(text)
	case none.Encoding != "":
		none.Reason = "a body that is not plain UTF-8"
	case text[0] == '{' && errors.Is(err, io.ErrUnexpectedEOF):
		none.Reason, none.Truncated = "a JSON body that was cut short", true
	case text[0] == '{' || text[0] == '[':
		none.Reason = "a body that is not one JSON object"
	default:
		none.Reason = "a body that is not JSON"
	}
	return none
}

// EncodingOf returns the encoding that the first bytes of a body indicate, "" for none.
func EncodingOf(start []byte) string {
	if len(start) < 2 {
		return ""
	}
	switch [2]byte(start) {
	case [2]byte{0x1f, 0x8b}:
		return "gzip"
	case [2]byte{0xfe, 0xff}, [2]byte{0xff, 0xfe}: // its byte order mark
		return "UTF-16"
	}
	if (start[0] == 0) != (start[1] == 0) && start[0] < utf8.RuneSelf && start[1] < utf8.RuneSelf {
		return "UTF-16"
	}
	return ""
}

// decodeEvents reads a complete body that is an event stream.
func (a API) decodeEvents(body []byte) (Answer, error) {
	s := a.NewStream(bytes.NewReader(body))
	var all strings.Builder
	all.Grow(len(body)) // the text is not longer, and growing step by step needs several times the memory
	for s.err == nil {
		delta, _ := s.Next()
		all.Write(delta.Text)
	}
	answer, err := s.Answer(), s.err
	answer.Text = all.String()
	if err == io.EOF && jsonLines(body) && a.hasText(s.events) { //nolint:errorlint // the very end
		err = s.truncated(errSpliced)
	}
	if err == io.EOF { //nolint:errorlint // the very end
		return answer, nil
	}
	switch fault := err.(type) { //nolint:errorlint // it comes unwrapped
	case *APIError:
		return answer, fault
	case *NotAnswerError:
		fault.Body = body
		return answer, fault
	}
	_, cut := err.(*TruncatedError) //nolint:errorlint // it comes unwrapped
	return answer, &NotAnswerError{Reason: "an event stream: " + err.Error(), Body: body, Truncated: cut}
}

// hasText reports whether the events have text.
func (a API) hasText(events *eventReader) bool {
	s := a.newStream(events)
	for s.err == nil && !s.hasText {
		_, _ = s.Next()
	}
	return s.hasText
}

// isEvents reports whether a complete body is an event stream, or JSON objects, one per line.
func isEvents(body []byte) bool {
	_, whole := BeginsEvents(bytes.TrimLeft(bytes.TrimPrefix(body, bom), " \t\r\n"))
	return whole || jsonLines(body)
}

// BeginsEvents checks the start of a body: whole reports that an event stream begins like this, begins that it may be
// the start of one.
func BeginsEvents(start []byte) (begins, whole bool) {
	for _, field := range []string{"data:", "event:", "id:", "retry:", "error:", ":"} {
		whole = whole || bytes.HasPrefix(start, []byte(field))
		begins = begins || strings.HasPrefix(field, string(start[:min(len(start), len(field))]))
	}
	return begins, whole
}

// jsonLines reports whether a body is JSON objects, one per line: the first line is an object, and more lines follow.
func jsonLines(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, bom), " \t\r\n")
	first, rest, _ := bytes.Cut(body, []byte("\n"))
	if len(first) == 0 || first[0] != '{' || len(bytes.TrimSpace(rest)) == 0 {
		return false
	}
	_, ok := parse(first)
	return ok
}

// Partial returns the text in the beginning of an incomplete body, "" if there is none.
func (a API) Partial(body []byte) string {
	if !isEvents(body) {
		body = closeJSON(body)
	}
	answer, _ := a.Decode(200, body)
	return strings.TrimRight(answer.Text, string(utf8.RuneError)) // remove a character that was cut
}

// closeJSON completes the beginning of a JSON value to a valid one: it ends an open string, drops a member that has
// no value yet, and closes open brackets. It returns nil if the result is not valid JSON.
func closeJSON(body []byte) []byte {
	var due []byte // the closing brackets, the innermost last
	members, escape, inString := 0, len(body), false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			n := len(`\n`)
			if i+1 < len(body) && body[i+1] == 'u' {
				n = len(`\u0000`)
			}
			if i+n > len(body) {
				escape = i // an incomplete escape at the end
			}
			i += n - 1
		case inString:
		case c == '{' || c == '[':
			if due = append(due, c+2); len(due) > maxDepth { // '{'+2 is '}', '['+2 is ']'
				return nil
			}
			members = i + 1
		case (c == '}' || c == ']') && len(due) > 0:
			due = due[:len(due)-1]
			members = i + 1
		case c == ',':
			members = i
		}
	}
	slices.Reverse(due)
	closed := make([]byte, 0, len(body)+1+len(due))
	for _, end := range []int{escape, members} { // members is the end of the complete members
		closed = append(closed[:0], body[:end]...)
		if end == escape && inString {
			closed = append(closed, '"')
		}
		if closed = append(closed, due...); json.Valid(closed) {
			return closed
		}
	}
	return nil
}
