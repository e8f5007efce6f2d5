package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// Check says whether a body that came with the HTTP status is a success, and asks no more of it than the script did:
// one JSON object whose effective status is 200. The error is an *APIError or a *NotAnswerError.
//
// The effective status: in Complete the body's top-level .status is what the script read, so it wins whatever the HTTP
// status. In the other dialects a numeric .status can turn an HTTP 200 into an error and never an error into a success.
// In all three an error object of a known type turns an HTTP 200 without a .status into that error.
func (a API) Check(httpStatus int, body []byte) error {
	_, err := a.check(httpStatus, body)
	return err
}

// check is Check, and gives the object's fields after a success.
func (a API) check(httpStatus int, body []byte) (object, error) {
	fields, isObject := parse(body)
	status, stated, readable := statedStatus(fields["status"])
	apiErr := readError(fields["error"])
	apiErr.Body, apiErr.RequestID = body, text(fields, "request_id")
	effective := httpStatus
	switch {
	case a == Complete && !readable:
		apiErr.HTTPStatus = httpStatus
		return nil, apiErr
	case a == Complete && stated:
		effective = status
	case httpStatus == 200 && stated && status >= 400 && status <= 599:
		effective = status
	case httpStatus == 200:
		if known, ok := statusOfType(apiErr.Code, apiErr.Type); ok {
			effective = known
		}
	}
	apiErr.Status, apiErr.HTTPStatus = effective, httpStatus
	if effective != 200 {
		return nil, apiErr
	}
	if !isObject {
		reason := notJSON(body)
		return nil, &NotAnswerError{Reason: reason, Body: body, Cut: reason == cutBody}
	}
	return fields, nil
}

// object holds the raw fields of a JSON object by their exact names: encoding/json's structs would match any case, which
// the script's jq did not. They are parts of the body.
type object map[string]json.RawMessage

// bom is the byte order mark, which some servers put before their JSON and jq skips.
var bom = []byte("\xef\xbb\xbf")

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
		fields[string(name)] = l.value()
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

// text is a field that is a string, "" where it is not.
func text(o object, name string) string { return string(unquote(o[name])) }

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
func notJSON(body []byte) string {
	text := bytes.TrimSpace(bytes.TrimPrefix(body, bom))
	switch {
	case len(text) == 0:
		return "an empty body"
	case text[0] == '<':
		return htmlPage
	case text[0] == '{' && cutShort(text):
		return cutBody
	case text[0] == '{' || text[0] == '[':
		return "a body that is not one JSON object"
	}
	return "a body that is not JSON"
}

// cutShort reports whether text is the beginning of a JSON value that did not come whole.
func cutShort(text []byte) bool {
	var value json.RawMessage
	return errors.Is(json.NewDecoder(bytes.NewReader(text)).Decode(&value), io.ErrUnexpectedEOF)
}
