package wire

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// Answer is a whole answer.
type Answer struct {
	ID         string
	Model      string
	Text       string
	StopReason string
	// Usage is nil where the server reported none that can be believed.
	Usage *Usage
	// Empty says that no text came, and Thought that reasoning did.
	Empty, Thought bool
	// NotUTF8 says that the text has bytes that are not UTF-8. They are kept as they came.
	NotUTF8 bool
}

// Decode reads a whole body that came with the HTTP status: one JSON object, or an event stream where a server sends one
// unasked. The error is an *APIError where the effective status is not 200 or the stop reason reports a failure, a
// *NotAnswerError where it is 200 and the body is no answer. The received text is given beside an error too. Only what
// makes the answer whole must have the right shape: a usage or a model name of another shape is as good as none.
func (a API) Decode(httpStatus int, body []byte) (Answer, error) {
	fields, err := a.check(httpStatus, body)
	if fields == nil && httpStatus == 200 && isEvents(body) {
		return a.decodeEvents(body)
	}
	if err != nil {
		var answer Answer
		if fields != nil {
			answer, _ = a.answer(fields)
		}
		return answer, err
	}
	answer, fault := a.answer(fields)
	switch {
	case fault != nil:
		fault.Body, fault.Object = body, true
		return answer, fault
	case answer.Ending() == Failed:
		e := stopFailure(a, answer.StopReason)
		e.Body = body
		return answer, e
	}
	return answer, nil
}

// answer reads the answer in an object. What can be read of it is given beside an error too.
func (a API) answer(fields object) (Answer, *NotAnswerError) {
	answer := Answer{ID: stringOf(fields, "id"), Model: stringOf(fields, "model")}
	var fault *NotAnswerError
	switch a {
	case Complete:
		fault = answer.complete(fields)
	case Chat:
		fault = answer.chat(fields)
	default:
		fault = answer.messages(fields)
	}
	answer.Empty, answer.NotUTF8 = answer.Text == "", !utf8.ValidString(answer.Text)
	return answer, fault
}

func (a *Answer) complete(in object) *NotAnswerError {
	a.StopReason, a.Usage = stringOf(in, "stop_reason"), usageOf(in["usage"])
	if !isText(in["completion"]) {
		return &NotAnswerError{Reason: "no completion in the answer", WrongShape: true}
	}
	a.Text = string(words(in["completion"]))
	return nil
}

func (a *Answer) messages(in object) *NotAnswerError {
	a.StopReason, a.Usage = stringOf(in, "stop_reason"), usageOf(in["usage"])
	said, thought, ok := readParts(in["content"])
	a.Text, a.Thought = string(said), len(thought) > 0
	switch {
	case !ok && (!isNull(in["content"]) || a.StopReason == ""):
		return &NotAnswerError{Reason: "no content in the answer"}
	case unfinished(in, "stop_reason"):
		return &NotAnswerError{Reason: "an unfinished answer: stop_reason is null"}
	}
	return nil
}

func (a *Answer) chat(in object) *NotAnswerError {
	choice := chosen(in["choices"])
	if choice == nil {
		a.Usage = usageOf(in["usage"])
		return &NotAnswerError{Reason: "no choices in the answer"}
	}
	a.StopReason, a.Usage = stringOf(choice, "finish_reason"), usageOf(in["usage"], choice["usage"])
	message, ok := parse(choice["message"])
	if !ok {
		message, ok = parse(choice["delta"])
	}
	said, thought, readable := content(message)
	if len(thought) == 0 {
		thought = firstText(message["reasoning_content"], message["reasoning"], message["reasoning_details"])
	}
	a.Text, a.Thought = string(said), len(thought) > 0
	refusal := string(words(message["refusal"]))
	switch {
	case !ok && !isNull(choice["message"]) || !readable:
		return &NotAnswerError{Reason: "no content in the answer"}
	case a.Text == "" && refusal != "":
		a.Text, a.StopReason = refusal, "refusal"
	case isNull(message["content"]) && a.StopReason == "":
		if unfinished(choice, "finish_reason") {
			break
		}
		return &NotAnswerError{Reason: "no content in the answer"}
	}
	if unfinished(choice, "finish_reason") {
		return &NotAnswerError{Reason: "an unfinished answer: finish_reason is null"}
	}
	return nil
}

// chosen is the one choice there is, else the choice of index 0, or the first. nil is none.
func chosen(raw []byte) object {
	var first object
	for _, one := range elements(raw) {
		choice, ok := parse(one)
		switch {
		case !ok:
		case first == nil:
			first = choice
		case !isZero(first["index"]) && isZero(choice["index"]):
			first = choice
		}
	}
	return first
}

// isNull reports whether a raw value is null or not there: the two mean the same.
func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// content reads a chat message's content, and the reasoning in it: a string, null, or an array of parts.
func content(message object) (said, thought []byte, ok bool) {
	raw := message["content"]
	if textOrNull(raw) {
		return words(raw), nil, true
	}
	return readParts(raw)
}

// unfinished reports whether a stop reason is null, which is what servers send while an answer is still being written.
// A missing one is an older gateway's: the complete JSON is then what makes the answer whole.
func unfinished(in object, name string) bool { return string(in[name]) == "null" }

// decodeEvents reads a whole body that is an event stream.
func (a API) decodeEvents(body []byte) (Answer, error) {
	s := a.NewStream(bytes.NewReader(body))
	var all strings.Builder
	all.Grow(len(body)) // it is no longer, and growing needs several times the memory
	for {
		delta, err := s.Next()
		all.Write(delta.Text)
		if err == nil {
			continue
		}
		answer := s.Answer()
		answer.Text = all.String()
		if err == io.EOF && jsonLines(body) && a.speaks(s.events) { //nolint:errorlint // the very end
			err = s.cut(errSpliced)
		}
		if err == io.EOF { //nolint:errorlint // the very end
			return answer, nil
		}
		if apiErr, ok := err.(*APIError); ok { //nolint:errorlint // it comes unwrapped
			return answer, apiErr
		}
		_, cut := err.(*CutError) //nolint:errorlint // it comes unwrapped
		return answer, &NotAnswerError{Reason: "an event stream: " + err.Error(), Body: body, Cut: cut}
	}
}

// speaks reports whether the events have text.
func (a API) speaks(events *eventReader) bool {
	s := &Stream{api: a, events: events, counts: noCounts()}
	for s.err == nil && !s.spoke {
		_, _ = s.Next()
	}
	return s.spoke
}

// isEvents reports whether a whole body is an event stream, or JSON objects one a line.
func isEvents(body []byte) bool {
	_, whole := BeginsEvents(bytes.TrimLeft(bytes.TrimPrefix(body, bom), " \t\r\n"))
	return whole || jsonLines(body)
}

// BeginsEvents looks at the start of a body: whole says that an event stream begins so, and begins that it may become
// one.
func BeginsEvents(start []byte) (begins, whole bool) {
	for _, field := range []string{"data:", "event:", "id:", "retry:", "error:", ":"} {
		whole = whole || bytes.HasPrefix(start, []byte(field))
		begins = begins || strings.HasPrefix(field, string(start[:min(len(start), len(field))]))
	}
	return begins, whole
}
