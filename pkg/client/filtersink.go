package client

import (
	"bytes"
	"cmp"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

// filterChain passes streamed text through several lists, one after the other.
type filterChain struct {
	lists   []*guard.Filter
	streams []*guard.FilterStream
	held    int // bytes received but not passed on
}

func (f *Filter) chain() *filterChain {
	c := &filterChain{lists: f.Lists}
	for _, list := range f.Lists {
		c.streams = append(c.streams, list.Stream())
	}
	return c
}

// take returns the safe part of the text so far, valid until the next call. If a list has a match, the text ends before
// the match, also for the lists after it.
func (c *filterChain) take(p []byte, last bool) (safe []byte, blocked error) {
	c.held += len(p)
	for i, s := range c.streams {
		add := s.Write
		if last {
			add = s.Close
		}
		out, match := add(p)
		if match != nil {
			blocked, last = &guard.BlockedError{List: c.lists[i].List(), Line: match.Line, Where: "answer"}, true
		}
		p = out
	}
	c.held -= len(p)
	return p, blocked
}

// filterSink is a sink that passes only safe text to the next sink. It runs before all other processing of an answer,
// so that masking and escaping cannot hide a word from it. If the next sink shows bytes, filterSink keeps them until
// the text of every event in them has been checked.
type filterSink struct {
	Sink
	filter          *Filter
	words, thoughts *filterChain
	blocked         error
	bytes, texts    []byte // not passed on yet
}

func (f *Filter) sink(to Sink) *filterSink {
	return &filterSink{Sink: to, filter: f, words: f.chain(), thoughts: f.chain()}
}

func (s *filterSink) Reset() {
	s.Sink.Reset()
	s.words, s.thoughts, s.bytes, s.texts = s.filter.chain(), s.filter.chain(), nil, nil
}

// pass filters one delta.
func (s *filterSink) pass(d wire.Delta, last bool) (wire.Delta, error) {
	text, blocked := s.words.take(d.Text, last)
	safe := wire.Delta{Text: text}
	if s.filter.Thinking {
		var also error
		safe.Reasoning, also = s.thoughts.take(d.Reasoning, last)
		blocked = cmp.Or(blocked, also)
	}
	s.blocked = cmp.Or(s.blocked, blocked)
	return safe, blocked
}

func (s *filterSink) Raw(b []byte) error {
	if !s.filter.Raw {
		return s.Sink.Raw(b)
	}
	s.bytes = append(s.bytes, b...)
	return nil
}

func (s *filterSink) Delta(d wire.Delta) error {
	safe, blocked := s.pass(d, false)
	if s.filter.Raw {
		s.texts = append(s.texts, safe.Text...)
		return blocked
	}
	err := s.Sink.Delta(safe)
	if err == nil && blocked != nil {
		err = s.Sink.Flush()
	}
	return cmp.Or(err, blocked)
}

func (s *filterSink) Flush() error {
	switch {
	case !s.filter.Raw:
		return s.Sink.Flush()
	case s.blocked != nil || s.words.held+s.thoughts.held > 0:
		return nil
	}
	return s.release(wholeEvents(s.bytes))
}

// release passes on n bytes and the text in them.
func (s *filterSink) release(n int) error {
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

// end passes on the remaining data at the end of the stream. If the stream was cut, it drops the last incomplete event,
// which was not checked. If the stream is complete, it checks the data after the last event. The error is the sink's or
// a *guard.BlockedError.
func (s *filterSink) end(whole bool) error {
	if s.blocked != nil {
		return s.blocked
	}
	safe, _ := s.pass(wire.Delta{}, true)
	if !s.filter.Raw {
		return cmp.Or(s.Sink.Delta(safe), s.blocked)
	}
	s.texts = append(s.texts, safe.Text...)
	if whole && s.blocked == nil {
		s.blocked = s.filter.checkEvents(s.bytes)
	}
	switch {
	case s.blocked != nil:
		return s.blocked
	case whole:
		return s.release(len(s.bytes))
	}
	return s.release(wholeEvents(s.bytes))
}

// wholeEvents returns the end of the last complete event, which is after a blank line.
func wholeEvents(b []byte) int {
	end := 0
	for _, blank := range []string{"\n\n", "\n\r\n", "\r\r"} {
		if at := bytes.LastIndex(b, []byte(blank)); at >= 0 {
			end = max(end, at+len(blank))
		}
	}
	return end
}
