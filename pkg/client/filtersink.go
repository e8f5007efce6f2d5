package client

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

func (f *Filter) chain() *filterChain {
	c := &filterChain{lists: f.Lists}
	for _, list := range f.Lists {
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

// filteringSink stands before a sink and lets through what is safe. It comes before everything else that is done with an
// answer, so that no mask and no escape can hide a word from it.
type filteringSink interface {
	Sink
	// end hands on what was kept back when the stream has ended, whole or not. The error is the sink's or a
	// *guard.BlockedError.
	end(whole bool) error
}

type filterSink struct {
	Sink
	filter          *Filter
	words, thoughts *filterChain
	blocked         error
}

func (f *Filter) sink(to Sink) filteringSink {
	base := filterSink{Sink: to, filter: f, words: f.chain(), thoughts: f.chain()}
	if f.Raw {
		return &rawFilterSink{filterSink: base}
	}
	return &base
}

func (s *filterSink) Reset() {
	s.Sink.Reset()
	s.words, s.thoughts = s.filter.chain(), s.filter.chain()
}

// pass filters one delta.
func (s *filterSink) pass(d wire.Delta, last bool) (wire.Delta, error) {
	text, blocked := s.words.take(d.Text, last)
	safe := wire.Delta{Text: text}
	if s.filter.Thinking {
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
	err := s.Sink.Delta(safe)
	if err == nil && blocked != nil {
		err = s.Sink.Flush()
	}
	if err == nil {
		err = blocked
	}
	return err
}

func (s *filterSink) end(bool) error {
	if s.blocked == nil {
		safe, _ := s.pass(wire.Delta{}, true)
		if err := s.Sink.Delta(safe); err != nil {
			return err
		}
	}
	return s.blocked
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
	err := s.Sink.Raw(s.bytes[:n])
	if err == nil {
		err = s.Sink.Delta(wire.Delta{Text: s.texts})
	}
	s.bytes, s.texts = append(s.bytes[:0], s.bytes[n:]...), s.texts[:0]
	if err == nil {
		err = s.Sink.Flush()
	}
	return err
}

// end hands on what waited. Of a stream that was cut, the event that did not come whole is left out, which was not looked
// at; what stands behind the end of a whole one is looked at here.
func (s *rawFilterSink) end(whole bool) error {
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
	switch {
	case s.blocked != nil:
		return s.blocked
	case whole:
		return s.release(len(s.bytes))
	}
	return s.release(wholeEvents(s.bytes))
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
