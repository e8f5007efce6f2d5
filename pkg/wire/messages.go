package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
)

// Messages is Claude's dialect.
const Messages API = "messages"

// DefaultVersion is the anthropic-version of the messages dialect unless a node sets another.
const DefaultVersion = "2026-10-21"

// samplingRemoved is the first version without temperature, top_p and top_k: its servers answer 400 "Extra inputs are
// not permitted". Versions are dates, so they are compared as strings.
const samplingRemoved = "2026-10-21"

type messages struct{}

func (messages) Facts() Facts {
	return Facts{
		Path: "/v1/messages", ModelsPath: "/v1/models", VersionHeader: "anthropic-version",
		prompt: "messages", stopName: "stop_reason", typed: true,
	}
}

func (messages) encode(r Request) (members, error) {
	if cmp.Or(r.Version, DefaultVersion) >= samplingRemoved && (r.Temperature != nil || r.TopP != nil) {
		what := "temperature"
		if r.Temperature == nil {
			what = "top_p"
		}
		return nil, &UnsupportedError{
			API: Messages, What: what, Reason: "version " + samplingRemoved + " removed it",
			hint: `a node with version: "2023-06-01" still accepts it`,
		}
	}
	// "stream": false is also sent, as in chat: some servers stream by default.
	out := members{{"model", r.Model}, {"max_tokens", r.MaxTokens}}
	if r.System != "" {
		out = append(out, member{"system", r.System})
	}
	turns := append(slices.Clip(r.Turns), Turn{"user", r.Prompt, r.Files})
	out = append(out, member{"messages", messageList{turns, messagesFile}}, member{"stream", r.Stream})
	out = out.sampling(r, "stop_sequences")
	if r.Schema != nil {
		out = append(out, member{"output_config", json.RawMessage(`{"format":{"type":"json_schema","schema":` + string(r.Schema) + "}}")})
	}
	return out, nil
}

// messagesFile returns the JSON before and after the content of a picture or a document.
func messagesFile(f *File) (before, after string) {
	block := "image"
	if f.Type == pdf {
		block = "document"
	}
	return `{"type":"` + block + `","source":{"type":"base64","media_type":"` + f.Type + `","data":"`, `"}}`
}

func (messages) decode(in object, a *Answer, u *counts) *NotAnswerError {
	u.add(in["usage"])
	a.StopReason = stringOf(in["stop_reason"])
	text, reasoning, ok := readParts(in["content"], maxNested)
	a.Text, a.HasReasoning = string(text), len(reasoning) > 0
	switch {
	case !ok && (!isNull(in["content"]) || a.StopReason == ""):
		return &NotAnswerError{Reason: noContent}
	case string(in["stop_reason"]) == "null":
		return unfinished("stop_reason")
	}
	return nil
}

// messagesReader reads Claude's events: message_start, the content blocks, message_delta with the stop reason,
// message_stop.
type messagesReader struct {
	s       *Stream
	started bool // message_start arrived

	message, block []byte // raw values of message_start and content_block_start
	delta          messagesDelta
	inDelta        []field
}

// messagesDelta holds the raw values of a delta.
type messagesDelta struct{ kind, text, thinking, stop []byte }

func (messages) reader(s *Stream) (reader, []field) {
	r := &messagesReader{s: s}
	d := &r.delta
	r.inDelta = []field{
		{name: "type", to: &d.kind}, {name: "text", to: &d.text}, {name: "thinking", to: &d.thinking},
		{name: "stop_reason", to: &d.stop},
	}
	return r, []field{
		{name: "delta", read: r.readDelta}, {name: "message", to: &r.message}, {name: "content_block", to: &r.block},
	}
}

func (r *messagesReader) reset() { r.message, r.block, r.delta = nil, nil, messagesDelta{} }

func (r *messagesReader) readDelta(l *lexer) {
	r.delta = messagesDelta{}
	l.pick(r.inDelta)
}

func (messages) knows(name []byte) bool {
	switch string(name) {
	case "message_start", "message_delta", "message_stop",
		"content_block_start", "content_block_delta", "content_block_stop":
		return true
	}
	return false
}

func (r *messagesReader) isAnswer(name []byte) bool { return len(name) > 0 || r.s.chunk.kind != nil }

func (r *messagesReader) isEnd() bool { return r.s.ended }

var errNoStart = errors.New("message_stop without a message_start")

func (r *messagesReader) read(e event) (Delta, error) {
	s := r.s
	kind := e.Name
	if len(kind) == 0 || string(kind) == "message" {
		kind = unquote(s.chunk.kind)
	}
	switch string(kind) {
	case "content_block_delta":
		return r.readBlock(r.delta.kind, "text_delta", r.delta.text, "thinking_delta", r.delta.thinking), nil
	case "content_block_start": // Claude's are empty; a gateway that has the complete text at once may fill it in
		fields, _ := parse(r.block)
		return r.readBlock(fields["type"], "text", fields["text"], "thinking", fields["thinking"]), nil
	case "message_start":
		fields, ok := parse(r.message)
		if !ok {
			return Delta{}, s.malformed(e)
		}
		if s.hasText { // a gateway that retried, or two spliced answers: the second must not be shown after the first
			return Delta{}, s.truncated(errSpliced)
		}
		r.started = true
		s.id, s.model = stringOf(fields["id"]), stringOf(fields["model"])
		s.counts.add(fields["usage"])
	case "message_delta":
		return Delta{}, s.stopped(r.delta.stop, r.started)
	case "message_stop":
		return Delta{}, s.finish(r.started, errNoStart)
	case "message":
		return r.wholeMessage(e)
	}
	return Delta{}, nil
}

// readBlock reads the text or the reasoning of a block or a delta, depending on its type.
func (r *messagesReader) readBlock(
	kind []byte, textKind string, text []byte, thinkingKind string, thinking []byte,
) Delta {
	switch string(unquote(kind)) {
	case textKind:
		return Delta{Text: r.s.addText(r.s.text.read(text))}
	case thinkingKind:
		return Delta{Reasoning: r.s.reasoning.read(thinking)}
	}
	return Delta{}
}

// wholeMessage reads a complete answer that arrived as one event.
func (r *messagesReader) wholeMessage(e event) (Delta, error) {
	s := r.s
	fields, _ := parse(e.Data)
	answer, fault := s.api.answer(fields)
	if fault != nil || s.hasText {
		return Delta{}, s.malformed(e)
	}
	r.started, s.id, s.model = true, answer.ID, answer.Model
	s.hasReasoning = answer.HasReasoning
	delta := Delta{Text: s.addText([]byte(answer.Text))}
	if err := s.stopped(fields["stop_reason"], true); err != nil {
		return delta, err
	}
	return delta, s.finish(true, nil)
}
