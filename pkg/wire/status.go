package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// check says whether a body that came with the HTTP status is a success, and asks no more of it than the script did: one
// JSON object whose effective status is 200. The error is an *APIError or a *NotAnswerError. The object's fields come
// also beside an error that is in an object with the status 200.
//
// The effective status: in Complete the body's top-level .status is what the script read, so it wins whatever the HTTP
// status. In the other dialects a numeric .status can turn an HTTP 200 into an error and never an error into a success.
// In all three an error in any form turns an HTTP 200 without a .status into that error.
func (a API) check(httpStatus int, body []byte) (object, error) {
	fields, isObject := parse(body)
	if !isObject {
		fields, isObject = parse(beforeDone(body))
	}
	status, stated, readable := statedStatus(fields["status"])
	effective := httpStatus
	switch {
	case a == Complete && !readable:
		effective = 0
	case a == Complete && stated, httpStatus == 200 && stated && isFailure(float64(status)):
		effective = status
	case httpStatus == 200:
		if fault := a.faultInBody(fields, body); fault != nil {
			fault.Body, fault.Status = body, fault.statusInside()
			return fields, fault
		}
	}
	if effective != 200 {
		e := &APIError{Status: effective, HTTPStatus: httpStatus}
		e.readBody(body)
		return nil, e
	}
	if !isObject {
		return nil, notJSON(body)
	}
	return fields, nil
}

// faultInBody finds an error in a body with HTTP status 200: one object, or a list of them.
func (a API) faultInBody(fields object, body []byte) *APIError {
	if fields != nil {
		return a.faultIn(fields)
	}
	for _, one := range elements(bytes.TrimSpace(bytes.TrimPrefix(body, bom))) {
		fields, _ := parse(one)
		if e := a.faultIn(fields); e != nil {
			return e
		}
	}
	return nil
}

// beforeDone is the body without the last event of a chat stream, which some gateways put behind a whole answer too.
func beforeDone(body []byte) []byte {
	before, ok := bytes.CutSuffix(bytes.TrimSpace(body), []byte(done))
	if !ok {
		return nil
	}
	before, _ = bytes.CutSuffix(bytes.TrimSpace(before), []byte("data:"))
	return before
}

// object holds the raw fields of a JSON object by their exact names: encoding/json's structs would match any case, which
// the script's jq did not. They are parts of the body.
type object map[string]json.RawMessage

// bom is the byte order mark, which some servers put before their JSON and jq skips.
var bom = []byte("\xef\xbb\xbf")

// maxMembers and maxElements are how many members of an object and values of an array are kept: no answer and no error
// has so many, and each takes more memory than its bytes do.
const maxMembers, maxElements = 1 << 12, 1 << 12

// parse reads one JSON object. Anything else, data behind the object included, is none.
func parse(body []byte) (object, bool) {
	l := lexer{b: bytes.TrimPrefix(body, bom)}
	if !l.enter('{') {
		return nil, false
	}
	fields := object{}
	for {
		name, ok := l.member()
		if !ok {
			break
		}
		value := l.value()
		if _, again := fields[string(name)]; again || len(fields) < maxMembers && len(name) <= maxName {
			fields[string(name)] = value
		}
	}
	if !l.whole() {
		return nil, false
	}
	return fields, true
}

// read decodes a field into v and reports whether it is there and fits.
func (o object) read(name string, v any) bool {
	raw, there := o[name]
	return there && json.Unmarshal(raw, v) == nil
}

// stringOf is a field that is a string, "" where it is not.
func stringOf(o object, name string) string { return string(unquote(o[name])) }

// statedStatus reads a .status: a whole number (in any JSON spelling) or a string of digits. Absent or null, it is not
// stated. Anything else is not readable. A number too large to be a status is some other status than 200: -1.
func statedStatus(raw json.RawMessage) (status int, stated, readable bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, false, true
	}
	digits := string(raw)
	switch {
	case raw[0] == '"':
		if json.Unmarshal(raw, &digits) != nil || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return 0, false, false
		}
	case raw[0] != '-' && (raw[0] < '0' || raw[0] > '9'):
		return 0, false, false // true, false, an object, an array
	}
	number, err := strconv.ParseFloat(digits, 64)
	switch {
	case err != nil || math.Abs(number) > 1e6:
		return -1, true, true
	case number != math.Trunc(number):
		return 0, false, false
	}
	return int(number), true, true
}

const (
	htmlPage = "an HTML page"
	cutBody  = "a JSON body that was cut short"
)

// notJSON names what came where a JSON object was expected.
func notJSON(body []byte) *NotAnswerError {
	text := bytes.TrimSpace(bytes.TrimPrefix(body, bom))
	none := &NotAnswerError{Body: body}
	switch {
	case len(text) == 0:
		none.Reason = "an empty body"
	case text[0] == '<':
		none.Reason, none.Title = htmlPage, pageTitle(text)
	case text[0] == '{' && cutShort(text):
		none.Reason, none.Cut = cutBody, true
	case text[0] == '{' || text[0] == '[':
		none.Reason = "a body that is not one JSON object"
	default:
		none.Reason = "a body that is not JSON"
	}
	return none
}

// cutShort reports whether text is the beginning of a JSON value that did not come whole.
func cutShort(text []byte) bool {
	l := lexer{b: text}
	l.value()
	return l.cut
}
