package wire

import (
	"bytes"
	"strconv"
)

func (s *Stream) readMessages(e event) (Delta, error) {
	c := &s.chunk
	kind := e.Name
	if kind == "" || kind == "message" {
		kind = s.events.intern(unquote(c.kind))
	}
	switch kind {
	case "content_block_delta":
		switch {
		case isWord(c.delta, "text_delta"):
			return Delta{Text: s.say(c.text)}, nil
		case isWord(c.delta, "thinking_delta"):
			return Delta{Reasoning: s.reasoning.read(c.reasoning)}, nil
		}
	case "content_block_start":
		return s.blockStart(c.block), nil
	case "message_start":
		fields, ok := parse(c.message)
		if !ok {
			return Delta{}, s.malformed(e)
		}
		if s.spoke { // a gateway that asked again, or two answers spliced: neither may be shown behind the other
			return Delta{}, s.cut(errSpliced)
		}
		s.started = true
		s.id, s.model = stringOf(fields, "id"), stringOf(fields, "model")
		s.counts.add(fields["usage"])
	case "message_delta":
		return Delta{}, s.stopped(c.stop, s.started)
	case "message_stop":
		return Delta{}, s.finish(s.started, errNoStart)
	case "message":
		return s.wholeMessage(e)
	}
	return Delta{}, nil
}

// wholeMessage reads a whole answer that came as one event.
func (s *Stream) wholeMessage(e event) (Delta, error) {
	fields, _ := parse(e.Data)
	answer, fault := s.api.answer(fields)
	if fault != nil || s.spoke {
		return Delta{}, s.malformed(e)
	}
	s.started, s.id, s.model = true, answer.ID, answer.Model
	s.thought = answer.Thought
	delta := Delta{Text: s.saidWhole([]byte(answer.Text))}
	if err := s.stopped(fields["stop_reason"], true); err != nil {
		return delta, err
	}
	return delta, s.finish(true, nil)
}

// blockStart reads a block that begins with words in it. Claude's begin empty; a gateway that has the whole text at
// once may not.
func (s *Stream) blockStart(raw []byte) Delta {
	fields, _ := parse(raw)
	switch stringOf(fields, "type") {
	case "text":
		return Delta{Text: s.say(fields["text"])}
	case "thinking":
		return Delta{Reasoning: s.reasoning.read(fields["thinking"])}
	}
	return Delta{}
}

// readComplete reads one completion. The one with a stop_reason is the last: nothing else ends this dialect's stream. An
// empty stop_reason is how a gateway without null says it.
func (s *Stream) readComplete() (Delta, error) {
	c := &s.chunk
	s.identify()
	if isText(c.text) {
		s.started = true
	}
	delta := Delta{Text: s.say(c.text)}
	if s.isSecond(delta, false) {
		return Delta{}, s.cut(errSpliced)
	}
	if err := s.stopped(c.stop, true); err != nil || !s.ended {
		return delta, err
	}
	return delta, s.finish(s.started, errNoText)
}

// identify keeps what the chunks of the data-only dialects repeat.
func (s *Stream) identify() {
	if s.id == "" {
		s.id = string(unquote(s.chunk.id))
	}
	if s.model == "" {
		s.model = string(unquote(s.chunk.model))
	}
}

// idReader is what the chunks' ids say.
type idReader struct {
	last     []byte // raw
	repeated bool   // it came in two chunks: the gateway does not give each its own
}

// isSecond reports whether the chunk belongs to a second answer: behind text of the id that the chunks had so far, one
// of another id has a role or adds something. Usage and the end may come with any id.
func (s *Stream) isSecond(delta Delta, hasRole bool) bool {
	id, r := s.chunk.id, &s.ids
	switch {
	case !isText(id) || len(id) == len(`""`):
		return false
	case bytes.Equal(id, r.last):
		r.repeated = true
		return false
	case r.repeated && s.spoke && !isLaterTime(r.last, id):
		return hasRole || len(delta.Text)+len(delta.Reasoning) > 0
	}
	r.last, r.repeated = append(r.last[:0], id...), false
	return false
}

// isLaterTime reports whether two ids end in a number that begins alike: some gateways give each chunk the time as its id.
func isLaterTime(before, id []byte) bool {
	same := 0
	for same < min(len(before), len(id)) && before[same] == id[same] {
		same++
	}
	const digits = "0123456789"
	return same-len(bytes.TrimRight(id[:same], digits)) >= 5 && string(bytes.TrimLeft(id[same:], digits)) == `"`
}

// say reads text of the answer. Text behind a stop reason shows that it was not the end.
func (s *Stream) say(raw []byte) []byte {
	text := s.text.read(raw)
	if len(text) > 0 {
		s.ended = false
	}
	return text
}

// saidWhole takes text that was read from more than a string, as say does.
func (s *Stream) saidWhole(text []byte) []byte {
	if len(text) > 0 {
		s.ended = false
		s.text.encoding.add(text)
	}
	return text
}

// stopped takes a stop reason, if there is one, as the end of an answer that has begun. The error comes from a reason
// which reports a failure.
func (s *Stream) stopped(raw []byte, begun bool) error {
	reason := stopWord(raw)
	if len(reason) == 0 {
		return nil
	}
	s.stop, s.ended = string(reason), begun
	if ending(s.stop) == Failed {
		return stopFailure(s.api, s.stop)
	}
	return nil
}

// stopWord is the text of a stop reason, empty where there is none.
func stopWord(raw []byte) []byte {
	if word := unquote(raw); string(word) != "null" {
		return word
	}
	return nil
}

// fault is the error that an event holds.
func (s *Stream) fault(e event) error {
	fields, _ := parse(e.Data)
	f := s.api.faultIn(fields)
	if f == nil {
		f = &APIError{HTTPStatus: 200}
		f.readBody(e.Data)
	}
	f.Body, f.Status = bytes.Clone(e.Data), f.statusInside()
	status, isFailure, readable := statedFailure(s.api, fields["status"])
	switch {
	case isFailure && readable:
		f.Status = status
	case isFailure && !isFault(fields["error"]):
		f.Status = 0
	}
	return f
}

// failed reports whether an event that came is an error: its data say so, or hold an error or, as a gateway's envelope
// does, a status that is one.
func (c *chunk) failed(a API) bool {
	if isWord(c.kind, "error") || c.fault != nil && isFault(c.fault) {
		return true
	}
	if c.base != nil {
		base, _ := parse(c.base)
		if isCode(base["status_code"]) {
			return true
		}
	}
	_, isFailure, _ := statedFailure(a, c.status)
	return isFailure
}

// mayBeFault reports whether an event has nothing of an answer, so that it may be an error of another form.
func (c *chunk) mayBeFault(a API, name string) bool {
	switch a {
	case Chat:
		return c.choices == 0 && isNull(c.usage)
	case Complete:
		return c.text == nil && c.stop == nil
	}
	return name == "" && c.kind == nil
}

// statedFailure reads an event's status member, by the rules of check for an HTTP 200.
func statedFailure(a API, raw []byte) (status int, isFailed, readable bool) {
	if raw == nil {
		return 0, false, true
	}
	status, stated, readable := statedStatus(raw)
	if a == Complete {
		return status, !readable || stated && status != 200, readable
	}
	return status, stated && isFailure(float64(status)), true
}

// indexOf reads the index of a choice, 0 where it has none.
func indexOf(raw []byte) int {
	n, err := strconv.Atoi(string(raw))
	if err != nil {
		return 0
	}
	return n
}
