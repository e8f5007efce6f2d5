package cmd

import (
	"bytes"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

// filterChain takes a text that arrives in pieces through one list after the other.
type filterChain struct {
	lists   []*guard.Filter
	streams []*guard.FilterStream
	held    int // bytes that came and were not let through
}

func (f *contentFilter) chain() *filterChain {
	c := &filterChain{lists: f.lists}
	for _, list := range f.lists {
		c.streams = append(c.streams, list.Stream())
	}
	return c
}

// take lets through what is safe of the text so far, which is good until the next call. Where a list has a match the
// text ends before it, and so it does for the lists behind.
func (c *filterChain) take(p []byte, last bool) (safe []byte, blocked error) {
	c.held += len(p)
	for i, s := range c.streams {
		out, match := s.Write(p)
		if match == nil && last {
			out = bytes.Clone(out)
			var rest []byte
			rest, match = s.Close()
			out = append(out, rest...)
		}
		if match != nil {
			blocked, last = &guard.BlockedError{List: c.lists[i].List(), Line: match.Line, Where: "answer"}, true
		}
		p = out
	}
	c.held -= len(p)
	return p, blocked
}

// filterSink stands before a sink and lets through what is safe. It comes before everything else that is done with an
// answer, so that no mask and no escape can hide a word from it.
type filterSink struct {
	answerSink
	filter          *contentFilter
	words, thoughts *filterChain
	thinking        bool // the reasoning is shown too
	blocked         error
}

// filtered puts the filter before a sink, where it looks at answers.
func (f *contentFilter) filtered(sink answerSink, form string, thinking bool) answerSink {
	if f == nil || !f.answers {
		return sink
	}
	base := filterSink{answerSink: sink, filter: f, thinking: thinking || form != "text", words: f.chain(), thoughts: f.chain()}
	if form == "raw" {
		return &rawFilterSink{filterSink: base}
	}
	return &base
}

func (s *filterSink) Reset() {
	s.answerSink.Reset()
	s.words, s.thoughts = s.filter.chain(), s.filter.chain()
}

// pass filters one delta.
func (s *filterSink) pass(d wire.Delta, last bool) (wire.Delta, error) {
	text, blocked := s.words.take(d.Text, last)
	safe := wire.Delta{Text: text}
	if s.thinking {
		thoughts, also := s.thoughts.take(d.Reasoning, last)
		safe.Reasoning = thoughts
		if blocked == nil {
			blocked = also
		}
	}
	if s.blocked == nil {
		s.blocked = blocked
	}
	return safe, blocked
}

func (s *filterSink) Delta(d wire.Delta) error {
	safe, blocked := s.pass(d, false)
	err := s.answerSink.Delta(safe)
	if err == nil && blocked != nil {
		err = s.answerSink.Flush()
	}
	if err == nil {
		err = blocked
	}
	return err
}

func (s *filterSink) finish(whole, stopped bool) error {
	if s.blocked == nil {
		safe, _ := s.pass(wire.Delta{}, true)
		if err := s.answerSink.Delta(safe); err != nil {
			return err
		}
	}
	err := s.answerSink.finish(whole && s.blocked == nil, stopped)
	if s.blocked != nil {
		return s.blocked
	}
	return err
}

// rawFilterSink filters the bytes of an event stream by the text that they stand for: bytes wait until the filter has
// seen and passed the text of every event in them.
type rawFilterSink struct {
	filterSink
	bytes, texts []byte
}

func (s *rawFilterSink) Reset() {
	s.filterSink.Reset()
	s.bytes, s.texts = nil, nil
}

func (s *rawFilterSink) Raw(b []byte) error {
	s.bytes = append(s.bytes, b...)
	return nil
}

func (s *rawFilterSink) Delta(d wire.Delta) error {
	safe, blocked := s.pass(d, false)
	s.texts = append(s.texts, safe.Text...)
	return blocked
}

func (s *rawFilterSink) Flush() error {
	if s.blocked != nil || s.words.held+s.thoughts.held > 0 {
		return nil
	}
	return s.release(wholeEvents(s.bytes))
}

// release hands on so many bytes, and the text that they stand for.
func (s *rawFilterSink) release(n int) error {
	if n == 0 {
		return nil
	}
	err := s.answerSink.Raw(s.bytes[:n])
	if err == nil {
		err = s.answerSink.Delta(wire.Delta{Text: s.texts})
	}
	s.bytes, s.texts = append(s.bytes[:0], s.bytes[n:]...), s.texts[:0]
	if err == nil {
		err = s.answerSink.Flush()
	}
	return err
}

// finish shows what waited. Of a stream that was cut, the event that did not come whole is left out: nobody has looked
// at it; and what stands behind the end of a whole one is looked at here.
func (s *rawFilterSink) finish(whole, stopped bool) error {
	if s.blocked == nil {
		safe, _ := s.pass(wire.Delta{}, true)
		s.texts = append(s.texts, safe.Text...)
	}
	if s.blocked == nil && whole {
		for text := range eventTexts(s.bytes) {
			if err := s.filter.check(text, "answer"); err != nil {
				s.blocked = err
				break
			}
		}
	}
	var err error
	switch {
	case s.blocked != nil:
	case whole:
		err = s.release(len(s.bytes))
	default:
		err = s.release(wholeEvents(s.bytes))
	}
	if ended := s.answerSink.finish(whole && s.blocked == nil, stopped); err == nil {
		err = ended
	}
	if s.blocked != nil {
		return s.blocked
	}
	return err
}

// wholeEvents is where the last event that came whole ends: behind a blank line.
func wholeEvents(b []byte) int {
	end := 0
	for _, blank := range []string{"\n\n", "\n\r\n", "\r\r"} {
		if at := bytes.LastIndex(b, []byte(blank)); at >= 0 {
			end = max(end, at+len(blank))
		}
	}
	return end
}
