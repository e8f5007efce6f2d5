package wire

import (
	"bytes"
	"errors"
)

// choiceReader is what a chat stream's chunks said so far of their choice.
type choiceReader struct {
	// last is the index of the choice that text came from, and stopped the index of the one with a finish_reason.
	last, stopped int
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
		return Delta{}, nil // another answer to the same prompt, behind the end of the first
	}
	wasEnded := s.ended
	delta := s.chatDelta()
	if len(delta.Text) > 0 {
		if index < s.choice.last {
			return Delta{}, s.cut(errChoices)
		}
		if wasEnded && len(c.id) > 0 && string(unquote(c.id)) != s.id {
			return Delta{}, s.cut(errSpliced)
		}
		s.choice.last = index
	}
	if c.choices > 0 {
		s.started, s.closing = true, false
	}
	counted := len(c.usage) > 0 && c.usage[0] == '{'
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
	isLast := len(unquote(s.chunk.stop)) > 0
	if repeats && len(r.said) > 0 && (len(rest) > 0 || r.cumulative || isLast) {
		r.cumulative = r.cumulative || len(rest) > 0
		said = rest
	}
	r.said = append(r.said, said...)
	return said
}
