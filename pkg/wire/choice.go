package wire

import (
	"bytes"
	"errors"
)

// choiceReader is what a chat stream's chunks said so far of their choice.
type choiceReader struct {
	// last is the index of the choice that text came from, and stopped the index of the one with a finish_reason.
	last, stopped int
	// roles are the indexes that a role came at, one bit each, and everywhere says that one came twice at an index: from a
	// server that repeats it in every delta it tells nothing.
	roles      uint64
	everywhere bool
	// ended says that a message with a finish_reason gave text, which is a whole answer.
	ended bool
	// said is the text that came in messages where deltas are expected, and deltas says that text came in deltas.
	said       []byte
	deltas     bool
	cumulative bool
}

// errChoices is a stream with the texts of several answers in it.
var errChoices = errors.New("it mixes the texts of several choices")

// readChat reads one chunk. The finish_reason does not end the stream: the usage comes behind it.
func (s *Stream) readChat() (Delta, error) {
	c := &s.chunk
	s.identify()
	index := indexOf(c.index)
	if s.ended && s.spoke && c.choices > 0 && index != s.choice.stopped {
		if ending(string(stopWord(c.stop))) == Failed {
			return Delta{}, s.stopped(c.stop, true)
		}
		return Delta{}, nil // another answer to the same prompt, behind the end of the first
	}
	wasEnded, wholeCame := s.ended, s.choice.ended
	s.choice.role(c.role, index)
	delta := s.chatDelta()
	counted := len(c.usage) > 0 && c.usage[0] == '{'
	if s.isSecond(delta, isText(c.role) && !wasEnded && !counted && len(stopWord(c.stop)) == 0) {
		return Delta{}, s.cut(errSpliced)
	}
	if len(delta.Text) > 0 {
		if index < s.choice.last || s.spoke && s.choice.apart(index) {
			return Delta{}, s.cut(errChoices)
		}
		if wholeCame || wasEnded && len(c.id) > 0 && string(unquote(c.id)) != s.id {
			return Delta{}, s.cut(errSpliced)
		}
		s.choice.last = index
	}
	if s.spoke && s.choice.stopsAnother(index, c.stop) {
		c.stop = nil
	}
	if c.choices > 0 {
		s.started, s.closing = true, false
	}
	first := counted && !s.counted
	s.counted = s.counted || counted
	err := s.stopped(c.stop, true)
	if s.ended && !wasEnded {
		s.choice.stopped = index
	}
	switch {
	case c.choices == 0 && counted && s.started:
		s.closing, s.settled = true, s.ended
	case s.ended && first && len(delta.Text) == 0: // the usage came with the finish_reason, and nowhere before
		s.settled = true
	}
	return delta, err
}

// role notes the index of a chunk with a role.
func (r *choiceReader) role(role []byte, index int) {
	if isText(role) {
		r.everywhere = r.everywhere || r.roles>>uint(index)&1 == 1
		r.roles |= 1 << uint(index)
	}
}

// apart reports whether the text so far and the index are of two choices: a role came once for each. One choice may have
// several indexes, where a gateway puts Claude's number of a block there.
func (r *choiceReader) apart(index int) bool {
	return index != r.last && !r.everywhere && r.roles>>uint(r.last)&1 == 1 && r.roles>>uint(index)&1 == 1
}

// stopsAnother reports whether a stop reason at the index is not of the choice that text came from. Claude's end has no
// number, so that its index is 0, or the last block's where that is a tool call.
func (r *choiceReader) stopsAnother(index int, reason []byte) bool {
	if index == r.last || isNull(reason) {
		return false
	}
	switch ending(string(stopWord(reason))) {
	case Failed:
		return false
	case Paused:
		return r.apart(index)
	}
	return index > r.last || r.apart(index)
}

// chatDelta is what the chunk adds: its delta, or its message where no delta came.
func (s *Stream) chatDelta() Delta {
	c := &s.chunk
	var delta Delta
	if len(c.text) > 0 && c.text[0] == '[' {
		said, thought, _ := readParts(c.text)
		delta = Delta{Text: s.saidWhole(said), Reasoning: thought}
	} else {
		delta.Text = s.say(c.text)
	}
	switch {
	case len(c.reasoning) > 0 && c.reasoning[0] == '[':
		_, thought, _ := readParts(c.reasoning)
		delta.Reasoning = append(delta.Reasoning, thought...)
	case len(delta.Reasoning) == 0:
		delta.Reasoning = s.reasoning.read(c.reasoning)
	}
	s.choice.deltas = s.choice.deltas || len(delta.Text) > 0
	refusal := c.refusal
	if c.whole != nil && !s.choice.deltas {
		message, _ := parse(c.whole)
		delta.Text = s.saidWhole(s.fromMessage(message))
		if !s.thought && len(delta.Reasoning) == 0 {
			delta.Reasoning = firstText(message["reasoning_content"], message["reasoning"], message["reasoning_details"])
		}
		if isText(message["refusal"]) {
			refusal = message["refusal"]
		}
	}
	s.answered = s.answered || len(delta.Text) > 0
	if words := s.say(refusal); len(words) > 0 {
		s.refused = true
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], words...)
	}
	return delta
}

// fromMessage is what a chunk's message adds where a delta is expected. Some servers send a piece in each, others all of
// the text so far; and a last one may have the whole text again.
func (s *Stream) fromMessage(message object) []byte {
	said, _, _ := content(message)
	r := &s.choice
	rest, repeats := bytes.CutPrefix(said, r.said)
	isLast := len(stopWord(s.chunk.stop)) > 0
	if repeats && len(r.said) > 0 && (len(rest) > 0 || r.cumulative || isLast) {
		r.cumulative = r.cumulative || len(rest) > 0
		said = rest
	}
	r.said = append(r.said, said...)
	r.ended = r.ended || isLast && len(r.said) > 0
	return said
}
