package wire

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
	said, ok := texts(in["content"])
	if !ok {
		return &NotAnswerError{Reason: "no content in the answer"}
	}
	if unfinished(in, "stop_reason") {
		return &NotAnswerError{Reason: "an unfinished answer: stop_reason is null"}
	}
	a.Text, a.StopReason, a.Usage = said, text(in, "stop_reason"), usage(in)
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

// texts puts the texts of a content array together; what is no text, such as thinking, is not of the answer. It reports
// false for what is no array of blocks.
func texts(raw []byte) (string, bool) {
	l := lexer{b: raw}
	if !l.enter('[') {
		return "", false
	}
	var all []byte
	for l.more(']') {
		said, ok := block(&l)
		if !ok {
			return "", false
		}
		all = append(all, said...)
	}
	return string(all), l.whole()
}

// block reads one block and gives its text, if it is one of type text. null is an empty block, and any other value none.
func block(l *lexer) (said []byte, ok bool) {
	if l.peek() == 'n' {
		return nil, l.value() != nil
	}
	if !l.enter('{') {
		return nil, false
	}
	var kind, words []byte
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "type":
			kind = l.value()
		case "text":
			words = l.value()
		default:
			l.value()
		}
	}
	if !textOrNull(kind) || !textOrNull(words) {
		return nil, false
	}
	if string(unquote(kind)) != "text" {
		return nil, true
	}
	return unquote(words), true
}

// textOrNull reports whether a raw value is a string, null or not there.
func textOrNull(raw []byte) bool { return len(raw) == 0 || isText(raw) || string(raw) == "null" }

// content reads a chat message's content: a string, null, or an array of parts.
func content(message object) (string, bool) {
	raw, there := message["content"]
	switch {
	case !there:
		return "", false
	case textOrNull(raw):
		return string(unquote(raw)), true
	}
	return texts(raw)
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
