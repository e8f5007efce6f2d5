package wire

import (
	"encoding/json"
	"fmt"
	"strings"
)

// APIError is an answer whose effective status is not 200.
type APIError struct {
	// Status is the effective status; 0 where the body states one that is no whole number, -1 where it states one that
	// is too large to be a status.
	Status int
	// HTTPStatus is that of the reply itself.
	HTTPStatus int
	// Type, Code and Message are the error object's, "" where there is none.
	Type, Code, Message string
	// RequestID is the server's name for the request, "" where the body has none.
	RequestID string
	// RetryAfter is the header's raw value.
	RetryAfter string
	// Body is what came, raw.
	Body []byte
}

func (e *APIError) Error() string {
	var b strings.Builder
	if e.Status > 0 {
		fmt.Fprintf(&b, "status %d", e.Status)
	} else {
		fmt.Fprintf(&b, "HTTP %d with a .status in the body that is no status", e.HTTPStatus)
	}
	for _, part := range []string{e.Type, e.Message} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	return b.String()
}

// SpendCap reports whether the error names a limit on spending, which no wait lifts.
func (e *APIError) SpendCap() bool {
	for _, name := range []string{e.Type, e.Code} {
		switch name {
		case "billing_error", "insufficient_quota", "billing_hard_limit_reached", "spend_limit_reached":
			return true
		}
	}
	text := strings.ToLower(e.Message)
	for _, phrase := range []string{"spend limit", "spend cap", "spending limit", "spending cap", "usage limits"} {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

// NotAnswerError is a status 200 that is no answer.
type NotAnswerError struct {
	// Reason says what came instead, such as "an HTML page".
	Reason string
	// Body is what came, raw.
	Body []byte
	// Object says that the body is one JSON object with the status 200, which is all that the script asked for.
	Object bool
	// WrongShape says that the JSON is whole and of a shape that another attempt would not change.
	WrongShape bool
	// Cut says that the body is the beginning of an answer.
	Cut bool
}

func (e *NotAnswerError) Error() string { return "status 200 with " + e.Reason }

// Hint tells what to do about it, "" where there is nothing to say.
func (e *NotAnswerError) Hint() string {
	switch {
	case e.Reason == htmlPage:
		return "is the node's url that of the API? a web page, a login or a gateway's own error came instead"
	case e.Object:
		return "-o raw prints the body as it came"
	}
	return ""
}

// readError reads an error object, or an error that is a bare string. A code may be a number.
func readError(raw json.RawMessage) *APIError {
	e := &APIError{}
	if len(raw) == 0 {
		return e
	}
	if json.Unmarshal(raw, &e.Message) == nil {
		return e
	}
	fields, _ := parse(raw)
	e.Type, e.Message, e.Code = text(fields, "type"), text(fields, "message"), text(fields, "code")
	if code := string(fields["code"]); e.Code == "" && code != "null" && code != `""` {
		e.Code = code
	}
	return e
}

// statusOfType gives the status that an error of a known type or code has, so that one inside an HTTP 200 can be
// treated as what it is. The first name known wins. The types are those of the Claude and OpenAI-style APIs.
func statusOfType(names ...string) (int, bool) {
	for _, name := range names {
		switch name {
		case "invalid_request_error":
			return 400, true
		case "authentication_error", "invalid_api_key", "invalid_authentication":
			return 401, true
		case "billing_error":
			return 402, true
		case "permission_error", "permission_denied":
			return 403, true
		case "not_found_error", "model_not_found":
			return 404, true
		case "request_too_large":
			return 413, true
		case "rate_limit_error", "rate_limit_exceeded", "insufficient_quota", "requests", "tokens":
			return 429, true
		case "api_error", "server_error", "internal_error":
			return 500, true
		case "service_unavailable":
			return 503, true
		case "timeout_error":
			return 504, true
		case "overloaded_error":
			return 529, true
		}
	}
	return 0, false
}
