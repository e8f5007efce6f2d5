package wire

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"ferry/pkg/text"
)

// APIError is a response whose effective status is not 200.
type APIError struct {
	// Status is the effective status; 0 if the body's .status is not a whole number, -1 if it is too large to be a
	// status.
	Status int
	// HTTPStatus is the status of the HTTP response.
	HTTPStatus int
	// Type, Code and Message are from the error object, "" if missing. Message has all the texts of the error.
	Type, Code, Message string
	// RequestID is the server's id of the request, "" if the body has none.
	RequestID string
	// RetryAfter is the raw value of the Retry-After header.
	RetryAfter string
	// Body is the raw body.
	Body []byte

	stated int // an HTTP status that the error contains
}

func (e *APIError) Error() string {
	status := fmt.Sprintf("status %d", e.Status)
	if e.Status <= 0 {
		status = fmt.Sprintf("HTTP %d with an invalid .status in the body", e.HTTPStatus)
	}
	parts := []string{status, e.Type, e.Message}
	if e.Type == "" && e.Message == "" {
		parts = append(parts, e.Code)
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
}

// statusInside returns the status of an error inside an HTTP 200: a number in the error, the status for its code or
// type, else 500.
func (e *APIError) statusInside() int {
	return cmp.Or(e.stated, statusOfType(e.Code), statusOfType(e.Type), 500)
}

// spendCodes are the types and codes of an account without credit or at a spending limit, in lower case: from Claude,
// OpenAI, Moonshot, DashScope, Ark, MiniMax (1008) and Zhipu.
var spendCodes = []string{
	"billing_error", "insufficient_quota", "billing_hard_limit_reached", "spend_limit_reached", "credit_balance_exhausted",
	"exceeded_current_quota_error", "arrearage", "accountoverdueerror", "1008", "1113", "1304", "1308", "1309", "1310", "1311",
}

// spendPhrases are phrases in such errors, in lower case: from DeepSeek, one-api, new-api and others.
var spendPhrases = []string{
	"spend limit", "spend cap", "spending limit", "spending cap", "usage limits", "insufficient balance",
	"credit balance is too low", "exceeded your current quota", "quota is not enough", "额度已用尽", "余额不足", "欠费",
}

// inFlightBudget is in OpenRouter's 402 for an account whose remaining budget is reserved by requests in progress.
// The error is temporary.
const inFlightBudget = "in_flight_budget_exhausted"

// InFlightBudget reports whether the account's remaining budget is only reserved by requests in progress.
func (e *APIError) InFlightBudget() bool {
	return e.Status == 402 && (e.Code == inFlightBudget || e.Type == inFlightBudget || strings.Contains(e.Message, inFlightBudget))
}

// SpendCap reports whether the error says that the account has no credit or is at a spending limit. Waiting does not
// help.
func (e *APIError) SpendCap() bool {
	if e.Status == 402 {
		return !e.InFlightBudget()
	}
	for _, name := range []string{e.Type, e.Code} {
		name = strings.ToLower(name)
		if slices.Contains(spendCodes, name) || strings.HasSuffix(name, "_spend_limit_exceeded") {
			return true
		}
	}
	words := e.lowerMessage()
	if words == "" { // plain text
		words = strings.ToLower(string(e.Body[:min(len(e.Body), 4096)]))
	}
	return hasAny(words, spendPhrases)
}

// lowerMessage returns the beginning of the message in lower case.
func (e *APIError) lowerMessage() string {
	return strings.ToLower(e.Message[:min(len(e.Message), 64<<10)])
}

func hasAny(words string, phrases []string) bool {
	return slices.ContainsFunc(phrases, func(phrase string) bool { return strings.Contains(words, phrase) })
}

// streamPhrases are phrases of servers whose model supports only streams, in lower case: from DashScope and others.
var streamPhrases = []string{
	"only support stream", "only supports stream", "supports only stream", "support stream mode", "non-stream", "nonstream",
	"streaming is required", "requires stream", "stream must be", "stream to true", "stream=true",
}

// OnlyStreams reports whether the error says that the model supports only streams.
func (e *APIError) OnlyStreams() bool {
	return (e.Status == 400 || e.Status == 422) && hasAny(e.lowerMessage(), streamPhrases)
}

// NotAnswerError is a response with status 200 that is not an answer.
type NotAnswerError struct {
	// Reason says what was received instead, such as "an HTML page".
	Reason string
	// Title is an HTML page's title, or its first words; "" if it has none.
	Title string
	// Body is the raw body.
	Body []byte
	// Object reports that the body is one JSON object with status 200, which is all that the script checked.
	Object bool
	// WrongShape reports that the JSON is complete and has a shape that another attempt would not change.
	WrongShape bool
	// Truncated reports that the body is the beginning of an answer.
	Truncated bool
	// Encoding is the compression or character encoding of the body, "" for plain UTF-8.
	Encoding string
}

func (e *NotAnswerError) Error() string {
	if e.Title != "" {
		return "status 200 with " + e.Reason + ": " + e.Title
	}
	if e.Encoding != "" {
		return "status 200 with a body in the encoding " + e.Encoding
	}
	return "status 200 with " + e.Reason
}

// Hint returns what the user can do about it, or "".
func (e *NotAnswerError) Hint() string {
	switch {
	case e.Reason == htmlPage:
		return "is the node's url the API's? the reply is a web page, a login page or a gateway's error page"
	case e.Encoding != "":
		return "ferry requests no compression and reads UTF-8: does a gateway change the answer?"
	case e.Object:
		return "-o raw prints the body unchanged"
	}
	return ""
}

const (
	htmlPage  = "an HTML page"
	noContent = "no content in the answer"
)

// stopFailure returns the error for a stop reason that reports a failure.
func (a API) stopFailure(reason string) *APIError {
	return &APIError{
		HTTPStatus: 200, Status: cmp.Or(statusOfType(reason), 500), Code: reason,
		Message: fmt.Sprintf("the answer ended with %s %s", a.Dialect().Facts().stopName, reason),
	}
}

// typeStatuses maps known error types and codes of the Claude, OpenAI-style and Google APIs, in lower case, to
// statuses.
var typeStatuses = map[string]int{
	"invalid_request_error": 400, "context_length_exceeded": 400, "invalid_argument": 400,
	"authentication_error": 401, "invalid_api_key": 401, "invalid_authentication": 401, "unauthenticated": 401,
	"billing_error": 402, "permission_error": 403, "permission_denied": 403,
	"not_found_error": 404, "model_not_found": 404, "not_found": 404, "request_too_large": 413,
	"rate_limit_error": 429, "rate_limit_exceeded": 429, "insufficient_quota": 429, "requests": 429, "tokens": 429,
	"resource_exhausted": 429,
	"api_error":          500, "server_error": 500, "internal_error": 500, "internal_server_error": 500,
	"service_unavailable": 503, "unavailable": 503, "timeout_error": 504, "deadline_exceeded": 504, "overloaded_error": 529,
}

// statusOfType returns the status for the type or code of an error, 0 if it is unknown, so that an error inside an
// HTTP 200 is handled by its kind.
func statusOfType(name string) int { return typeStatuses[strings.ToLower(name)] }

// TruncatedError is a stream that ended before the answer was complete.
type TruncatedError struct {
	// Events is the number of events received.
	Events int
	// Err is the read error, or what is wrong with the end of the stream; nil if the stream just ended.
	Err error
}

func (e *TruncatedError) Error() string {
	cut := "cut after " + text.Count(e.Events, "event")
	if e.Err != nil {
		cut += ": " + e.Err.Error()
	}
	return cut
}

// Unwrap returns Err.
func (e *TruncatedError) Unwrap() error { return e.Err }

// MalformedError is an event whose data are not the expected JSON.
type MalformedError struct {
	// Event is the event's number, from 1.
	Event int
	// Body is the event's raw data.
	Body []byte
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("event %d of the stream is malformed", e.Event)
}

const (
	maxNested = 6   // maximum depth of errors inside errors
	maxTexts  = 100 // maximum number of texts of one error
)

// errorTexts collects the texts of an error.
type errorTexts struct {
	*APIError
	words []string
}

// read fills in e from the members of an error object, or of an object that contains one.
func (e *APIError) read(fields object) {
	w := errorTexts{APIError: e}
	w.object(fields, maxNested)
	e.Message = strings.Join(w.words, ": ")
	e.RequestID = stringOf(fields["request_id"])
}

// value reads an error of any shape: a string, an object, or a list of them.
func (w *errorTexts) value(raw []byte, depth int) {
	if len(raw) == 0 || depth == 0 {
		return
	}
	switch raw[0] {
	case '"':
		w.add(string(unquote(raw)))
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

// object reads an error's fields, starting with an error inside it.
func (w *errorTexts) object(fields object, depth int) {
	if isFault(fields["error"]) {
		w.value(fields["error"], depth)
	}
	if kind := stringOf(fields["type"]); w.Type == "" && kind != "error" && kind != "message" && !strings.Contains(kind, ":") {
		w.Type = kind // not the URL of a problem type
	}
	for _, name := range codeNames {
		w.code(fields[name])
	}
	if name := stringOf(fields["status"]); w.Type == "" && name != "error" && strings.Trim(name, "0123456789") != "" {
		w.Type = name // the name of the error in Google's APIs
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

// places returns the location of a member in the request, from FastAPI's loc list.
func places(raw []byte) (out []string) {
	for _, part := range elements(raw) {
		if isText(part) {
			part = []byte(stringOf(part))
		}
		out = append(out, string(part))
	}
	return out
}

// code stores the first code, and the first code that is an HTTP error status.
func (w *errorTexts) code(raw []byte) {
	if !isCode(raw) {
		return
	}
	code := string(raw)
	if isText(raw) {
		code = stringOf(raw)
	}
	if w.Code == "" {
		w.Code = code
	}
	if status, err := strconv.ParseFloat(code, 64); err == nil && isFailure(status) && w.stated == 0 {
		w.stated = int(status)
	}
}

// add adds words that are not contained in earlier ones.
func (w *errorTexts) add(words string) {
	words = strings.TrimSpace(words)
	if strings.HasPrefix(words, "<") {
		words = cmp.Or(pageWords([]byte(words)), words)
	}
	isKnown := func(earlier string) bool { return strings.Contains(earlier, words) }
	if words == "" || len(w.words) == maxTexts || slices.ContainsFunc(w.words, isKnown) {
		return
	}
	w.words = append(w.words, words)
}

// readBody fills in e from a body of any kind.
func (e *APIError) readBody(body []byte) {
	e.Body = body
	body = bytes.TrimSpace(bytes.TrimPrefix(body, bom))
	if fields, ok := parse(body); ok {
		e.read(fields)
	} else if len(elements(body)) > 0 {
		e.read(object{"errors": body})
	} else {
		e.Message = pageWords(body)
	}
}

// pageWords returns the title of an HTML or XML page, or its first words without the markup. For any other body it
// returns "".
func pageWords(body []byte) string {
	const maxBytes = 200
	if len(body) == 0 || body[0] != '<' {
		return ""
	}
	page := body[:min(len(body), 64<<10)]
	words := page
	if title := markup().title.FindSubmatch(page); title != nil {
		words = title[1]
	} else {
		words = markup().unread.ReplaceAll(page, nil)
		words = markup().tag.ReplaceAll(words, []byte(" "))
	}
	out := html.UnescapeString(string(bytes.Join(bytes.Fields(words), []byte(" "))))
	if len(out) > maxBytes {
		whole := text.WholeRunes(out[:maxBytes])
		// Drop the last word: half a key would not be masked.
		return strings.TrimRightFunc(whole, func(r rune) bool { return r > ' ' && r < utf8.RuneSelf }) + "…"
	}
	return out
}

type pageMarkup struct{ title, unread, tag *regexp.Regexp }

// markup returns the patterns for the parts of a page. They are compiled only when needed.
var markup = sync.OnceValue(func() pageMarkup {
	return pageMarkup{
		title:  regexp.MustCompile(`(?is)<title[^>]*>\s*([^<]*[^<\s])\s*</title`),
		unread: regexp.MustCompile(`(?is)<!--.*?-->|<(script|style|svg)\b.*?</(script|style|svg)[^>]*>`),
		tag:    regexp.MustCompile(`<[^>]*(>|$)`),
	}
})
