package demo

import (
	"fmt"
	"net/http"
)

// api is one of the faces that the node has.
type api string

const (
	apiNone     api = ""
	apiMessages api = "messages"
	apiComplete api = "complete"
	apiChat     api = "chat"
	apiModels   api = "models"
	apiHealth   api = "health"
)

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

// anthropicType is the error type that goes with a status.
func anthropicType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "billing_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusConflict:
		return "conflict_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusServiceUnavailable, 529:
		// 503 has no type of its own in the API; a proxy sends it when it has no capacity, which is this one.
		return "overloaded_error"
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

// openAIType is the type and code that go with an error in the chat dialect; a code may be absent.
func (e *apiError) openAIType() (kind string, code *string) {
	is := func(kind, code string) (string, *string) { return kind, &code }
	switch {
	case e.cap:
		return is("insufficient_quota", "insufficient_quota")
	case e.status == http.StatusUnauthorized:
		return is("invalid_request_error", "invalid_api_key")
	case e.status == http.StatusTooManyRequests:
		return is("requests", "rate_limit_exceeded")
	case e.status >= 500:
		return "server_error", nil
	default:
		return "invalid_request_error", nil
	}
}

type anthropicError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

type openAIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// anthropicBody is the error shape of messages.
func (e *apiError) anthropicBody(requestID string) any {
	return struct {
		Type      string         `json:"type"`
		Error     anthropicError `json:"error"`
		RequestID string         `json:"request_id"`
	}{"error", anthropicError{anthropicType(e.status), e.message}, requestID}
}

// openAIBody is the error shape of chat.
func (e *apiError) openAIBody() any {
	kind, code := e.openAIType()
	body := openAIError{Message: e.message, Type: kind, Code: code}
	if e.param != "" {
		body.Param = &e.param
	}
	return struct {
		Error openAIError `json:"error"`
	}{body}
}

// completeBody is the error shape of complete.
func (e *apiError) completeBody() any {
	return struct {
		Error anthropicError `json:"error"`
	}{anthropicError{anthropicType(e.status), e.message}}
}

// shape returns the error's body as the client that asked expects it.
func (x *exchange) shape(e *apiError) any {
	said := *e
	if x.p.echoKey && x.key != "" {
		said.message += " (key: " + x.key + ")"
	}
	switch {
	case x.openAI():
		return said.openAIBody()
	case x.api == apiComplete:
		return said.completeBody()
	default:
		return said.anthropicBody(x.requestID())
	}
}
