package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// Chat is the OpenAI-style dialect.
const Chat API = "chat"

type chat struct{}

func (chat) Facts() Facts {
	return Facts{
		Path: "/chat/completions", ModelsPath: "/models", Bearer: true, Model: ModelRequired,
		prompt: "messages", stopName: "finish_reason",
	}
}

func (chat) encode(r Request) (members, error) {
	for _, f := range r.AllFiles() {
		if f.Type == pdf {
			return nil, &UnsupportedError{API: Chat, What: "PDF documents", hint: "the messages api has them: use a node with that api"}
		}
	}
	turns := append(slices.Clip(r.Turns), Turn{"user", r.Prompt, r.Files})
	if r.System != "" {
		turns = slices.Insert(turns, 0, Turn{Role: "system", Text: r.System})
	}
	tokens := "max_tokens"
	if r.isHost("api.openai.com", tokens) {
		tokens = "max_completion_tokens"
	}
	out := members{{"model", r.Model}, {tokens, r.MaxTokens}}
	out = append(out, member{"messages", messageList{turns, chatFile}}, member{"stream", r.Stream})
	// The last chunk has the usage only if it was requested. Mistral does not have the member.
	if r.Stream && !r.isHost("api.mistral.ai", "stream_options") {
		out = append(out, member{"stream_options", json.RawMessage(`{"include_usage":true}`)})
	}
	out = out.sampling(r, "stop")
	if r.Schema != nil {
		out = append(out, member{"response_format", json.RawMessage(
			`{"type":"json_schema","json_schema":{"name":"answer","schema":` + string(r.Schema) + `,"strict":true}}`)})
	}
	return out, nil
}

// isHost reports whether a member is sent to a host that names it differently, or does not have it. A param with the
// member's name takes precedence.
func (r Request) isHost(host, member string) bool {
	_, given := r.Params[member]
	return r.Host == host && !given
}

// chatFile returns the JSON before and after the content of a picture.
func chatFile(f *File) (before, after string) {
	return `{"type":"image_url","image_url":{"url":"data:` + f.Type + ";base64,", `"}}`
}

func (chat) decode(in object, a *Answer, u *counts) *NotAnswerError {
	choice := selectChoice(in["choices"])
	if !u.add(in["usage"]) {
		u.add(choice["usage"])
	}
	if choice == nil {
		return &NotAnswerError{Reason: "no choices in the answer"}
	}
	a.StopReason = stringOf(choice["finish_reason"])
	message, ok := parse(choice["message"])
	if !ok {
		message, ok = parse(choice["delta"])
	}
	text, reasoning, readable := content(message)
	if len(reasoning) == 0 {
		reasoning = reasoningOf(message)
	}
	a.Text, a.HasReasoning = string(text), len(reasoning) > 0
	refusal := string(unquote(message["refusal"]))
	isUnfinished := string(choice["finish_reason"]) == "null"
	switch {
	case !ok && !isNull(choice["message"]) || !readable:
		return &NotAnswerError{Reason: noContent}
	case a.Text == "" && refusal != "":
		a.Text, a.StopReason = refusal, "refusal"
	case isNull(message["content"]) && (a.StopReason == "" && !isUnfinished || len(unquote(choice["text"])) > 0):
		return &NotAnswerError{Reason: noContent} // text directly in the choice is the older completions API
	}
	if isUnfinished {
		return unfinished("finish_reason")
	}
	return nil
}

// selectChoice returns the only choice, else the choice with index 0, else the first. nil means none.
func selectChoice(raw []byte) object {
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

func isZero(index []byte) bool { return isNull(index) || string(index) == "0" }

// content returns the text and the reasoning of a message's content: a string, null, or an array of parts.
func content(message object) (text, reasoning []byte, ok bool) {
	raw := message["content"]
	if isNull(raw) || isText(raw) {
		return unquote(raw), nil, true
	}
	return readParts(raw, maxNested)
}

// reasoningOf returns the reasoning outside a message's content. Some servers send the same words under two names.
func reasoningOf(message object) []byte {
	return firstText(maxNested, message["reasoning_content"], message["reasoning"], message["reasoning_details"])
}

// choice holds the raw values of one choice of a chunk.
type choice struct {
	index, stop, message, text, fault, usage []byte
	delta                                    chatDelta
}

// chatDelta holds the raw values of a choice's delta.
type chatDelta struct{ content, reasoning, short, details, refusal, role []byte }

type chatReader struct {
	s   *Stream
	ids idReader

	choices int // number of choices in the chunk
	choice      // the selected choice
	next    choice

	inNext, inDelta []field

	started bool // a chunk with a choice arrived
	counted bool // a usage arrived
	// closing reports that the last chunk had a usage and no choices. Some servers end a stream like this.
	closing bool

	// last is the index of the selected choice: the one from which text arrived last. stopped is the index of the
	// choice with a finish_reason.
	last, stopped int
	// multipleIndexes reports that a chunk had choices with different indexes. Then an index identifies a choice, and
	// only the choice with the index last is read.
	multipleIndexes bool
	// texts has one bit for each index at which text arrived.
	texts uint64
	// roles has one bit for each index at which a role arrived. roleRepeats reports that a role arrived twice at one
	// index: a server that repeats the role in every delta does not mark a new choice with it.
	roles       uint64
	roleRepeats bool
	// gotComplete reports that a message with a finish_reason had text, which is a complete answer.
	gotComplete bool
	// messageText is the text that arrived in messages instead of deltas. deltas reports that text arrived in deltas.
	messageText []byte
	deltas      bool
	cumulative  bool
}

func (chat) reader(s *Stream) (reader, []field) {
	r := &chatReader{s: s}
	c, d := &r.next, &r.next.delta
	r.inNext = []field{
		{name: "index", to: &c.index}, {name: "delta", read: r.readDelta}, {name: "finish_reason", to: &c.stop},
		{name: "message", to: &c.message}, {name: "error", to: &c.fault}, {name: "usage", to: &c.usage},
		{name: "text", to: &c.text},
	}
	r.inDelta = []field{
		{name: "content", to: &d.content}, {name: "role", to: &d.role}, {name: "reasoning_content", to: &d.reasoning},
		{name: "reasoning", to: &d.short}, {name: "reasoning_details", to: &d.details}, {name: "refusal", to: &d.refusal},
	}
	return r, []field{{name: "choices", read: r.readChoices}}
}

func (r *chatReader) reset() { r.choices, r.choice = 0, choice{} }

// readChoices keeps the only choice, whatever its index is: some gateways send Claude's content block index there. Of
// several choices it keeps the one from which text arrived, else the one with index 0, else the first. The others are
// further answers to the same prompt, from a server that was configured to send several.
func (r *chatReader) readChoices(l *lexer) {
	r.reset()
	if !l.enter('[') {
		l.value()
		return
	}
	multiple := false
	for l.more(']') {
		r.next = choice{}
		if !l.pick(r.inNext) {
			continue
		}
		if r.choices++; r.choices == 1 {
			r.choice = r.next
			continue
		}
		kept, index := indexOf(r.index), indexOf(r.next.index)
		multiple = multiple || kept != index
		if kept != r.last && index == r.last {
			r.choice = r.next
		}
	}
	if multiple && !r.multipleIndexes && !r.s.hasText {
		r.last = indexOf(r.index)
	}
	r.multipleIndexes = r.multipleIndexes || multiple
	r.s.chunk.inFault, r.s.chunk.inUsage = r.fault, r.usage
}

// indexOf returns a choice's index, 0 if it has none.
func indexOf(raw []byte) int {
	index, _ := strconv.Atoi(string(raw))
	return index
}

// readDelta reads the delta of a choice. Some servers send the same reasoning under two names: the first that is not
// empty counts.
func (r *chatReader) readDelta(l *lexer) {
	d := &r.next.delta
	*d = chatDelta{}
	l.pick(r.inDelta)
	if len(unquote(d.reasoning)) == 0 {
		d.reasoning = d.short
	}
	if len(d.details) > 0 && d.details[0] == '[' && len(unquote(d.reasoning)) == 0 {
		d.reasoning = d.details
	}
}

// knows accepts any name except the names of the other dialects: chunks have no event name, but some gateways add
// one.
func (chat) knows(name []byte) bool { return !messages{}.knows(name) && !complete{}.knows(name) }

func (r *chatReader) isAnswer([]byte) bool { return r.choices > 0 || !isNull(r.s.chunk.usage) }

func (r *chatReader) isEnd() bool { return r.s.ended || r.closing || r.s.stop != "" }

// errChoices reports a stream that mixes the texts of several answers.
var errChoices = errors.New("it mixes the texts of several choices")

// read reads one chunk. The finish_reason does not end the stream, because the usage follows it.
func (r *chatReader) read(e event) (Delta, error) {
	s := r.s
	s.identify()
	if isNull(r.delta.content) && r.message == nil && !s.hasText && len(unquote(r.text)) > 0 {
		return Delta{}, &NotAnswerError{Reason: noContent, Body: bytes.Clone(e.Data)} // a chunk of the older completions API
	}
	index := indexOf(r.index)
	if r.choices > 0 && (r.multipleIndexes && index != r.last || s.ended && s.hasText && index != r.stopped) {
		switch {
		case EndingOf(stopReason(r.stop)) == Failed:
			return Delta{}, s.stopped(r.stop, true)
		case r.texts>>uint(index)&1 == 1 && (stopReason(r.stop) != "" || r.message != nil || len(unquote(r.delta.content)) > 0):
			return Delta{}, s.truncated(errChoices) // its text was taken as part of the first choice
		}
		return Delta{}, nil // another answer to the same prompt
	}
	wasEnded, hadComplete := s.ended, r.gotComplete
	if isText(r.delta.role) {
		r.roleRepeats = r.roleRepeats || r.roles>>uint(index)&1 == 1
		r.roles |= 1 << uint(index)
	}
	delta := r.added()
	counted := len(s.chunk.usage) > 0 && s.chunk.usage[0] == '{'
	begins := isText(r.delta.role) && !wasEnded && !counted && len(stopReason(r.stop)) == 0
	if r.ids.isSecond(s, begins || len(delta.Text)+len(delta.Reasoning) > 0) {
		return Delta{}, s.truncated(errSpliced)
	}
	if len(delta.Text) > 0 {
		if index < r.last || s.hasText && r.isOtherChoice(index) {
			return Delta{}, s.truncated(errChoices)
		}
		if hadComplete || wasEnded && len(s.chunk.id) > 0 && stringOf(s.chunk.id) != s.id {
			return Delta{}, s.truncated(errSpliced)
		}
		r.last = index
		r.texts |= 1 << uint(index)
	}
	if r.isMixed(index) {
		return Delta{}, s.truncated(errChoices)
	}
	if s.hasText && r.stopsAnother(index) {
		r.stop = nil
	}
	if r.choices > 0 {
		r.started, r.closing = true, false
	}
	first := counted && !r.counted
	r.counted = r.counted || counted
	err := s.stopped(r.stop, true)
	if s.ended && !wasEnded {
		r.stopped = index
	}
	switch {
	case r.choices == 0 && counted && r.started:
		r.closing, s.onlyEndMissing = true, s.ended
	case s.ended && first && len(delta.Text) == 0: // the usage came with the finish_reason and not before
		s.onlyEndMissing = true
	}
	return delta, err
}

// isOtherChoice reports whether index belongs to another choice than the text so far: each of the two indexes had a
// role, once. One choice may have several indexes if a gateway sends Claude's content block index there.
func (r *chatReader) isOtherChoice(index int) bool {
	return index != r.last && !r.roleRepeats && r.roles>>uint(r.last)&1 == 1 && r.roles>>uint(index)&1 == 1
}

// isMixed reports whether the texts of several choices were taken for one: text arrived at two indexes, and either a
// chunk had several choices, or the last choice has its own finish_reason. Claude's end of an answer has no block
// index, so a gateway sends it with index 0.
func (r *chatReader) isMixed(index int) bool {
	if r.texts&(r.texts-1) == 0 {
		return false
	}
	ending := EndingOf(stopReason(r.stop))
	return r.multipleIndexes || index == r.last && stopReason(r.stop) != "" && ending != Failed && ending != Paused
}

// stopsAnother reports whether the stop reason at index belongs to another choice than the text. Claude's end of an
// answer has no block index, so a gateway sends it with index 0, or with the index of the last block if that is a
// tool call.
func (r *chatReader) stopsAnother(index int) bool {
	if index == r.last || isNull(r.stop) {
		return false
	}
	switch EndingOf(stopReason(r.stop)) {
	case Failed:
		return false
	case Paused:
		return r.isOtherChoice(index)
	}
	return index > r.last || r.isOtherChoice(index)
}

// added returns what the chunk adds: its delta, or its message if no delta has arrived.
func (r *chatReader) added() Delta {
	s := r.s
	text, reasoning, isList := readParts(r.delta.content, maxNested)
	if !isList {
		text = s.text.read(r.delta.content)
	}
	delta := Delta{Text: s.addText(text), Reasoning: reasoning}
	if _, more, isList := readParts(r.delta.reasoning, maxNested); isList {
		delta.Reasoning = append(delta.Reasoning, more...)
	} else if len(delta.Reasoning) == 0 {
		delta.Reasoning = s.reasoning.read(r.delta.reasoning)
	}
	r.deltas = r.deltas || len(delta.Text) > 0
	refusal := r.delta.refusal
	if r.message != nil && !r.deltas {
		message, _ := parse(r.message)
		delta.Text = s.addText(r.fromMessage(message))
		if !s.hasReasoning && len(delta.Reasoning) == 0 {
			delta.Reasoning = reasoningOf(message)
		}
		if isText(message["refusal"]) {
			refusal = message["refusal"]
		}
	}
	s.answered = s.answered || len(delta.Text) > 0
	if isText(refusal) { // the refusal is read into the same buffer
		delta.Text = bytes.Clone(delta.Text)
	}
	if words := s.addText(s.text.read(refusal)); len(words) > 0 {
		s.refused = true
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], words...)
	}
	return delta
}

// fromMessage returns what a chunk's message adds, if the server sends messages instead of deltas. Some servers send
// one piece in each message, others all text so far. The last message may repeat the complete text.
func (r *chatReader) fromMessage(message object) []byte {
	text, _, _ := content(message)
	rest, repeats := bytes.CutPrefix(text, r.messageText)
	isLast := len(stopReason(r.stop)) > 0
	if repeats && len(r.messageText) > 0 && (len(rest) > 0 || r.cumulative || isLast) {
		r.cumulative = r.cumulative || len(rest) > 0
		text = rest
	}
	r.messageText = append(r.messageText, text...)
	r.gotComplete = r.gotComplete || isLast && len(r.messageText) > 0
	return text
}
