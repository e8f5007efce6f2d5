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
			return nil, &UnsupportedError{API: Chat, What: "PDF documents", hint: "the messages api has them: choose a node of that"}
		}
	}
	turns := append(slices.Clip(r.Turns), Turn{"user", r.Prompt, r.Files})
	if r.System != "" {
		turns = slices.Insert(turns, 0, Turn{Role: "system", Text: r.System})
	}
	out := members{{"model", r.Model}, {"max_tokens", r.MaxTokens}, {"messages", messageList{turns, chatFile}}, {"stream", r.Stream}}
	if r.Stream { // the last chunk has the usage only where it was asked for
		out = append(out, member{"stream_options", json.RawMessage(`{"include_usage":true}`)})
	}
	out = out.sampling(r, "stop")
	if r.Schema != nil {
		out = append(out, member{"response_format", json.RawMessage(
			`{"type":"json_schema","json_schema":{"name":"answer","schema":` + string(r.Schema) + `,"strict":true}}`)})
	}
	return out, nil
}

// chatFile is what stands around the content of a picture.
func chatFile(f *File) (before, after string) {
	return `{"type":"image_url","image_url":{"url":"data:` + f.Type + ";base64,", `"}}`
}

func (chat) decode(in object, a *Answer, u *counts) *NotAnswerError {
	choice := chosen(in["choices"])
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
	said, thought, readable := content(message)
	if len(thought) == 0 {
		thought = reasoningOf(message)
	}
	a.Text, a.Thought = string(said), len(thought) > 0
	refusal := string(unquote(message["refusal"]))
	isUnfinished := string(choice["finish_reason"]) == "null"
	switch {
	case !ok && !isNull(choice["message"]) || !readable:
		return &NotAnswerError{Reason: noContent}
	case a.Text == "" && refusal != "":
		a.Text, a.StopReason = refusal, "refusal"
	case isNull(message["content"]) && (a.StopReason == "" && !isUnfinished || len(unquote(choice["text"])) > 0):
		return &NotAnswerError{Reason: noContent} // a text in the choice itself is of the older completions API
	}
	if isUnfinished {
		return unfinished("finish_reason")
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

func isZero(index []byte) bool { return isNull(index) || string(index) == "0" }

// content reads a message's content, and the reasoning in it: a string, null, or an array of parts.
func content(message object) (said, thought []byte, ok bool) {
	raw := message["content"]
	if isNull(raw) || isText(raw) {
		return unquote(raw), nil, true
	}
	return readParts(raw, maxNested)
}

// reasoningOf is the reasoning beside a message's content, of which some servers send the same words under two names.
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

// chatReader reads chunks.
type chatReader struct {
	s   *Stream
	ids idReader

	choices int // how many a chunk has
	choice      // the one that is read
	next    choice

	inNext, inDelta []field

	started bool // a chunk with a choice came
	counted bool // a usage came
	// closing says that a chunk with the usage and without choices came last, which is the end that some servers make.
	closing bool

	// last is the index of the choice that is read: the one that text came from last. stopped is the index of the one with
	// a finish_reason.
	last, stopped int
	// several says that a chunk had choices of two indexes: an index is a choice's then, and only that of last is read.
	several bool
	// texts are the indexes that text came at, one bit each.
	texts uint64
	// roles are the indexes that a role came at, one bit each, and everywhere says that one came twice at an index: from a
	// server that repeats it in every delta it tells nothing.
	roles      uint64
	everywhere bool
	// wholeCame says that a message with a finish_reason gave text, which is a whole answer.
	wholeCame bool
	// said is the text that came in messages where deltas are expected, and deltas says that text came in deltas.
	said       []byte
	deltas     bool
	cumulative bool
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

// readChoices keeps the only choice, whatever its index is: some gateways put Claude's number of a block there. Of
// several it keeps the one that text came from, else that of index 0, or the first: a server that was made to send more
// sends other answers to the same prompt.
func (r *chatReader) readChoices(l *lexer) {
	r.reset()
	if !l.enter('[') {
		l.value()
		return
	}
	several := false
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
		several = several || kept != index
		if kept != r.last && index == r.last {
			r.choice = r.next
		}
	}
	if several && !r.several && !r.s.hasText {
		r.last = indexOf(r.index)
	}
	r.several = r.several || several
	r.s.chunk.inFault, r.s.chunk.inUsage = r.fault, r.usage
}

// indexOf is a choice's index, 0 where there is none.
func indexOf(raw []byte) int {
	index, _ := strconv.Atoi(string(raw))
	return index
}

// readDelta reads what a chunk adds. Some servers send the reasoning under two names, with the same words: the first one
// that says something counts.
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

// knows takes any name but those of the other dialects: chunks have none, and a gateway that gives them one means chunks.
func (chat) knows(name string) bool { return !messages{}.knows(name) && !complete{}.knows(name) }

func (r *chatReader) isAnswer(string) bool { return r.choices > 0 || !isNull(r.s.chunk.usage) }

func (r *chatReader) isEnd() bool { return r.s.ended || r.closing || r.s.stop != "" }

// errChoices is a stream with the texts of several answers in it.
var errChoices = errors.New("it mixes the texts of several choices")

// read reads one chunk. The finish_reason does not end the stream: the usage comes behind it.
func (r *chatReader) read(e event) (Delta, error) {
	s := r.s
	s.identify()
	if isNull(r.delta.content) && r.message == nil && !s.hasText && len(unquote(r.text)) > 0 {
		return Delta{}, &NotAnswerError{Reason: noContent, Body: bytes.Clone(e.Data)} // a chunk of the older completions API
	}
	index := indexOf(r.index)
	if r.choices > 0 && (r.several && index != r.last || s.ended && s.hasText && index != r.stopped) {
		switch {
		case EndingOf(stopReason(r.stop)) == Failed:
			return Delta{}, s.stopped(r.stop, true)
		case r.texts>>uint(index)&1 == 1 && (stopReason(r.stop) != "" || r.message != nil || len(unquote(r.delta.content)) > 0):
			return Delta{}, s.cut(errChoices) // text of it was taken for the first's
		}
		return Delta{}, nil // another answer to the same prompt
	}
	wasEnded, wholeCame := s.ended, r.wholeCame
	if isText(r.delta.role) {
		r.everywhere = r.everywhere || r.roles>>uint(index)&1 == 1
		r.roles |= 1 << uint(index)
	}
	delta := r.added()
	counted := len(s.chunk.usage) > 0 && s.chunk.usage[0] == '{'
	begins := isText(r.delta.role) && !wasEnded && !counted && len(stopReason(r.stop)) == 0
	if r.ids.isSecond(s, begins || len(delta.Text)+len(delta.Reasoning) > 0) {
		return Delta{}, s.cut(errSpliced)
	}
	if len(delta.Text) > 0 {
		if index < r.last || s.hasText && r.isApart(index) {
			return Delta{}, s.cut(errChoices)
		}
		if wholeCame || wasEnded && len(s.chunk.id) > 0 && stringOf(s.chunk.id) != s.id {
			return Delta{}, s.cut(errSpliced)
		}
		r.last = index
		r.texts |= 1 << uint(index)
	}
	if r.isMixed(index) {
		return Delta{}, s.cut(errChoices)
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
		r.closing, s.settled = true, s.ended
	case s.ended && first && len(delta.Text) == 0: // the usage came with the finish_reason, and nowhere before
		s.settled = true
	}
	return delta, err
}

// isApart reports whether the text so far and the index are of two choices: a role came once for each. One choice may
// have several indexes, where a gateway puts Claude's number of a block there.
func (r *chatReader) isApart(index int) bool {
	return index != r.last && !r.everywhere && r.roles>>uint(r.last)&1 == 1 && r.roles>>uint(index)&1 == 1
}

// isMixed reports whether text of several choices was taken for one: text came at two indexes, and either a chunk had
// several choices, or the last one ends by itself. Claude's end has no number, so that its index is 0.
func (r *chatReader) isMixed(index int) bool {
	if r.texts&(r.texts-1) == 0 {
		return false
	}
	ending := EndingOf(stopReason(r.stop))
	return r.several || index == r.last && stopReason(r.stop) != "" && ending != Failed && ending != Paused
}

// stopsAnother reports whether the stop reason at the index is not of the choice that text came from. Claude's end has no
// number, so that its index is 0, or the last block's where that is a tool call.
func (r *chatReader) stopsAnother(index int) bool {
	if index == r.last || isNull(r.stop) {
		return false
	}
	switch EndingOf(stopReason(r.stop)) {
	case Failed:
		return false
	case Paused:
		return r.isApart(index)
	}
	return index > r.last || r.isApart(index)
}

// added is what the chunk adds: its delta, or its message where no delta came.
func (r *chatReader) added() Delta {
	s := r.s
	var delta Delta
	if len(r.delta.content) > 0 && r.delta.content[0] == '[' {
		said, thought, _ := readParts(r.delta.content, maxNested)
		delta = Delta{Text: s.addText(said), Reasoning: thought}
	} else {
		delta.Text = s.addText(s.text.read(r.delta.content))
	}
	switch {
	case len(r.delta.reasoning) > 0 && r.delta.reasoning[0] == '[':
		_, thought, _ := readParts(r.delta.reasoning, maxNested)
		delta.Reasoning = append(delta.Reasoning, thought...)
	case len(delta.Reasoning) == 0:
		delta.Reasoning = s.reasoning.read(r.delta.reasoning)
	}
	r.deltas = r.deltas || len(delta.Text) > 0
	refusal := r.delta.refusal
	if r.message != nil && !r.deltas {
		message, _ := parse(r.message)
		delta.Text = s.addText(r.fromMessage(message))
		if !s.thought && len(delta.Reasoning) == 0 {
			delta.Reasoning = reasoningOf(message)
		}
		if isText(message["refusal"]) {
			refusal = message["refusal"]
		}
	}
	s.answered = s.answered || len(delta.Text) > 0
	if isText(refusal) { // it is read into the same buffer
		delta.Text = bytes.Clone(delta.Text)
	}
	if words := s.addText(s.text.read(refusal)); len(words) > 0 {
		s.refused = true
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], words...)
	}
	return delta
}

// fromMessage is what a chunk's message adds where a delta is expected. Some servers send a piece in each, others all of
// the text so far; and a last one may have the whole text again.
func (r *chatReader) fromMessage(message object) []byte {
	said, _, _ := content(message)
	rest, repeats := bytes.CutPrefix(said, r.said)
	isLast := len(stopReason(r.stop)) > 0
	if repeats && len(r.said) > 0 && (len(rest) > 0 || r.cumulative || isLast) {
		r.cumulative = r.cumulative || len(rest) > 0
		said = rest
	}
	r.said = append(r.said, said...)
	r.wholeCame = r.wholeCame || isLast && len(r.said) > 0
	return said
}
