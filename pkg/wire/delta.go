package wire

import (
	"bytes"
	"encoding/json"
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
		switch string(unquote(c.delta)) {
		case "text_delta":
			return Delta{Text: s.say(c.text)}, nil
		case "thinking_delta":
			return Delta{Reasoning: s.think(c.reasoning)}, nil
		}
	case "content_block_start":
		return blockStart(c.block), nil
	case "message_start":
		fields, ok := parse(c.message)
		if !ok {
			return Delta{}, s.malformed(e)
		}
		s.started = true
		s.id, s.model = text(fields, "id"), text(fields, "model")
		s.addUsage(fields["usage"])
	case "message_delta":
		s.stopped(c.stop)
		s.addUsage(c.usage)
	case "message_stop":
		return Delta{}, s.finish(s.started, errNoStart)
	}
	return Delta{}, nil
}

// blockStart reads a block that begins with words in it. Claude's begin empty; a gateway that has the whole text at
// once may not.
func blockStart(raw []byte) Delta {
	fields, _ := parse(raw)
	switch text(fields, "type") {
	case "text":
		return Delta{Text: []byte(text(fields, "text"))}
	case "thinking":
		return Delta{Reasoning: []byte(text(fields, "thinking"))}
	}
	return Delta{}
}

// messagesUsage is the usage of a messages stream. message_start has the input and a first output, message_delta the
// output so far: all of it counts from the start, so the larger number is the later one, also where a gateway repeats a
// field as 0.
type messagesUsage struct{ input, created, read, output int }

func (s *Stream) addUsage(raw json.RawMessage) {
	u := usage(object{"usage": raw})
	if u == nil {
		return
	}
	if s.usage == nil {
		s.usage = &messagesUsage{}
	}
	s.usage.input = max(s.usage.input, u.Input-u.CacheCreation-u.CacheRead)
	s.usage.created = max(s.usage.created, u.CacheCreation)
	s.usage.read = max(s.usage.read, u.CacheRead)
	s.usage.output = max(s.usage.output, u.Output)
}

func (u *messagesUsage) sum() *Usage {
	return &Usage{Input: u.input + u.created + u.read, Output: u.output, CacheCreation: u.created, CacheRead: u.read}
}

// readComplete reads one completion. The one with a stop_reason is the last: nothing else ends this dialect's stream. An
// empty stop_reason is that of a gateway that has no null.
func (s *Stream) readComplete() (Delta, error) {
	c := &s.chunk
	s.identify()
	if isText(c.text) {
		s.started = true
	}
	delta := Delta{Text: s.say(c.text)}
	if !s.stopped(c.stop) {
		return delta, nil
	}
	return delta, s.finish(s.started, errNoText)
}

// readChat reads one chunk. The finish_reason does not end the stream: the usage comes behind it.
func (s *Stream) readChat() Delta {
	c := &s.chunk
	s.identify()
	s.stopped(c.stop)
	delta := Delta{Text: s.say(c.text), Reasoning: s.think(c.reasoning)}
	if len(c.text) > 0 && c.text[0] == '[' {
		whole, _ := content(object{"content": c.text})
		delta.Text = []byte(whole)
	}
	s.spoke = s.spoke || len(delta.Text) > 0
	if refusal := unquote(c.refusal); len(refusal) > 0 {
		s.refused = true
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], refusal...)
	}
	return delta
}

// identify keeps what the chunks of the data-only dialects repeat, and the last usage.
func (s *Stream) identify() {
	if s.id == "" {
		s.id = string(unquote(s.chunk.id))
	}
	if s.model == "" {
		s.model = string(unquote(s.chunk.model))
	}
	if u := s.chunk.usage; len(u) > 0 && u[0] == '{' {
		s.rawUsage = append(s.rawUsage[:0], u...)
	}
}

// stopped keeps a stop reason, and reports whether there is one.
func (s *Stream) stopped(raw []byte) bool {
	reason := unquote(raw)
	if len(reason) == 0 {
		return false
	}
	s.stop = string(reason)
	return true
}

func (s *Stream) say(raw []byte) (out []byte) {
	out, s.text = plainText(raw, s.text)
	return out
}

func (s *Stream) think(raw []byte) (out []byte) {
	out, s.reasoning = plainText(raw, s.reasoning)
	return out
}

// plainText is unquote with a buffer that is used again.
func plainText(raw, buffer []byte) (out, kept []byte) {
	if !isText(raw) {
		return nil, buffer
	}
	inner := raw[1 : len(raw)-1]
	if verbatim(inner) {
		return inner, buffer
	}
	buffer = appendUnquoted(buffer[:0], inner)
	return buffer, buffer
}

// failed reports whether an event that came is an error: its data say so, or hold an error or, as a gateway's envelope
// does, a status that is one.
func (c *chunk) failed(a API, name string) bool {
	if len(c.kind) > 0 && string(unquote(c.kind)) == "error" {
		return true
	}
	if (a != Messages || name == "" || name == "message") && isFault(c.fault) {
		return true
	}
	_, isFailure, _ := c.statedFailure(a)
	return isFailure
}

// statedFailure reads the event's status member, by the rules of check for an HTTP 200.
func (c *chunk) statedFailure(a API) (status int, isFailure, readable bool) {
	if c.status == nil {
		return 0, false, true
	}
	status, stated, readable := statedStatus(c.status)
	if a == Complete {
		return status, !readable || stated && status != 200, readable
	}
	return status, stated && status >= 400 && status <= 599, true
}

// isFault reports whether an error member says anything: servers that always have one send null or an empty one.
func isFault(raw []byte) bool {
	if isText(raw) {
		return len(raw) > len(`""`)
	}
	fields, _ := parse(raw)
	return len(fields) > 0
}

// apiError makes the error of an event. Its status is that of the type or code, a numeric code, or the stated one; an
// error that names none of them is the server's: 500.
func (c *chunk) apiError(a API, data []byte) *APIError {
	raw := c.fault
	if !isFault(raw) {
		raw = data // an error event whose fields are at the top
	}
	e := readError(raw)
	if !isFault(c.fault) && e.Type == "error" {
		e.Type = ""
	}
	fields, _ := parse(data)
	e.RequestID, e.Body, e.HTTPStatus = text(fields, "request_id"), bytes.Clone(data), 200
	stated, isFailure, readable := c.statedFailure(a)
	status, known := statusOfType(e.Code, e.Type)
	code, err := strconv.Atoi(e.Code)
	switch {
	case isFailure && readable:
		e.Status = stated
	case known:
		e.Status = status
	case err == nil && code >= 400 && code <= 599:
		e.Status = code
	case readable || isFault(c.fault):
		e.Status = 500
	}
	return e
}
