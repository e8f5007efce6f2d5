package wire

import "strings"

// Answer is a whole answer.
type Answer struct {
	ID         string
	Model      string
	Text       string
	StopReason string
	// Usage is nil where the server reported none.
	Usage *Usage
}

// Usage is what an answer cost, in tokens. Input is the sum of all input, cached or not.
type Usage struct {
	Input         int `json:"input_tokens"`
	Output        int `json:"output_tokens"`
	CacheCreation int `json:"cache_creation_input_tokens"`
	CacheRead     int `json:"cache_read_input_tokens"`
}

// Truncated reports whether the model stopped because it reached a limit on tokens.
func (a Answer) Truncated() bool {
	switch a.StopReason {
	case "max_tokens", "length", "model_context_window_exceeded":
		return true
	}
	return false
}

// Refused reports whether the model or a filter of the server declined to answer.
func (a Answer) Refused() bool { return a.StopReason == "refusal" || a.StopReason == "content_filter" }

// Decode reads a whole body that came with the HTTP status. The error is an *APIError where the effective status is
// not 200, a *NotAnswerError where it is 200 and the body is no answer. Only what makes the answer whole must have the
// right shape: a usage or a model name of another shape is as good as none.
func (a API) Decode(httpStatus int, body []byte) (Answer, error) {
	fields, err := a.check(httpStatus, body)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{ID: text(fields, "id"), Model: text(fields, "model")}
	var fault *NotAnswerError
	switch a {
	case Complete:
		fault = answer.complete(fields)
	case Chat:
		fault = answer.chat(fields)
	default:
		fault = answer.messages(fields)
	}
	if fault != nil {
		fault.Body, fault.Object = body, true
		return Answer{}, fault
	}
	return answer, nil
}

func (a *Answer) complete(in object) *NotAnswerError {
	var completion *string
	if !in.read("completion", &completion) || completion == nil {
		return &NotAnswerError{Reason: "no completion in the answer", WrongShape: true}
	}
	a.Text, a.StopReason, a.Usage = *completion, text(in, "stop_reason"), usage(in)
	return nil
}

func (a *Answer) messages(in object) *NotAnswerError {
	var blocks []part
	if !in.read("content", &blocks) || blocks == nil {
		return &NotAnswerError{Reason: "no content in the answer"}
	}
	if unfinished(in, "stop_reason") {
		return &NotAnswerError{Reason: "an unfinished answer: stop_reason is null"}
	}
	a.Text, a.StopReason, a.Usage = join(blocks), text(in, "stop_reason"), usage(in)
	return nil
}

func (a *Answer) chat(in object) *NotAnswerError {
	var choices []object
	var message object
	if !in.read("choices", &choices) || len(choices) == 0 || !choices[0].read("message", &message) {
		return &NotAnswerError{Reason: "no choices in the answer"}
	}
	choice := choices[0]
	if unfinished(choice, "finish_reason") {
		return &NotAnswerError{Reason: "an unfinished answer: finish_reason is null"}
	}
	said, ok := content(message)
	refusal := text(message, "refusal")
	if !ok && refusal == "" {
		return &NotAnswerError{Reason: "no content in the answer"}
	}
	a.Text, a.StopReason, a.Usage = said, text(choice, "finish_reason"), chatUsage(in)
	if said == "" && refusal != "" {
		a.Text, a.StopReason = refusal, "refusal"
	}
	return nil
}

// part is one block of a content array.
type part struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// join puts the texts of a content array together; what is no text, such as thinking, is not of the answer.
func join(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Type == "text" {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// content reads a chat message's content: a string, null, or an array of parts.
func content(message object) (string, bool) {
	var whole *string
	if message.read("content", &whole) {
		if whole == nil {
			return "", true
		}
		return *whole, true
	}
	var parts []part
	ok := message.read("content", &parts)
	return join(parts), ok
}

// unfinished reports whether a stop reason is null, which is what servers send while an answer is still being written.
// A missing one is an older gateway's: the complete JSON is then what makes the answer whole.
func unfinished(in object, name string) bool { return string(in[name]) == "null" }

// usage reads a usage, with Input as the sum of the three input fields of the messages dialect.
func usage(in object) *Usage {
	var u *Usage
	if !in.read("usage", &u) || u == nil {
		return nil
	}
	u.Input += u.CacheCreation + u.CacheRead
	return u
}

func chatUsage(in object) *Usage {
	var u *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
	if !in.read("usage", &u) || u == nil {
		return nil
	}
	return &Usage{Input: u.Prompt, Output: u.Completion, CacheRead: u.Details.Cached}
}
