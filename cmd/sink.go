package cmd

import (
	"bytes"
	"encoding/json"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/guard"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// answerSink shows a stream as it comes. Every call of Flush makes at most one write to standard output.
type answerSink interface {
	client.Sink
	// finish shows what was held back when the stream has ended, whole or not.
	finish(whole, stopped bool) error
	// text is all the text, where it was to be kept.
	text() string
}

// newSink makes the sink of the output form.
func (s *outputStage) newSink() answerSink {
	base := &sinkBase{app: s.app, masked: s.masker.Stream(), keep: s.keep}
	switch s.output {
	case "raw":
		return &rawSink{sinkBase: base, bytes: s.masker.Stream(), pieces: s.masker.Pieces()}
	case "json":
		return &jsonSink{sinkBase: base, reasoning: s.masker.Stream()}
	}
	return &textSink{sinkBase: base, render: s.render, markdown: s.markdown(s.render), thinking: s.thinking, reasoning: s.masker.Stream()}
}

// sinkBase is what the sinks share: the buffer of one write, and the text that is kept.
type sinkBase struct {
	app    *app
	masked *guard.MaskStream
	out    []byte
	shown  bool
	keep   bool
	full   error // more text came than is kept
	kept   strings.Builder
	// scratch is text that has been masked.
	scratch []byte
}

func (s *sinkBase) Reset() {
	*s = sinkBase{app: s.app, masked: s.app.masker.Stream(), keep: s.keep}
}

func (s *sinkBase) Shown() bool      { return s.shown }
func (s *sinkBase) Raw([]byte) error { return nil }
func (s *sinkBase) text() string     { return s.kept.String() }

// mostKept is the most bytes of a stream's text that are kept, as of a whole answer.
const mostKept = 64 << 20

// remember keeps text that has been masked.
func (s *sinkBase) remember(part []byte) {
	if s.keep && s.full == nil {
		if s.kept.Len()+len(part) > mostKept {
			s.full = &client.Error{Class: client.TooLarge, Err: &text.LimitError{What: "the text of the stream, which is to be kept,", Limit: mostKept}}
			return
		}
		s.kept.Write(part)
	}
}

func (s *sinkBase) Flush() error {
	if len(s.out) == 0 || s.full != nil {
		return s.full
	}
	s.shown = true
	err := s.app.write(s.out)
	s.out = s.out[:0]
	return err
}

// textSink shows the text, and on standard error the reasoning where it is asked for.
type textSink struct {
	*sinkBase
	visible   text.VisibleStream
	render    bool
	markdown  term.Markdown
	safe      []byte // text that is safe for the terminal
	newlines  int    // line ends that have come and are not shown until something follows them
	open      bool   // the last thing shown is no line end
	thinking  bool
	reasoning *guard.MaskStream
	thought   bool // reasoning has been shown and its line is open
}

func (s *textSink) Reset() {
	s.sinkBase.Reset()
	*s = textSink{
		sinkBase: s.sinkBase, render: s.render, markdown: s.app.markdown(s.render),
		thinking: s.thinking, reasoning: s.app.masker.Stream(), thought: s.thought,
	}
}

func (s *textSink) Delta(d wire.Delta) error {
	if s.thinking && len(d.Reasoning) > 0 {
		s.think(s.reasoning.Append(nil, d.Reasoning))
	}
	s.scratch = s.masked.Append(s.scratch[:0], d.Text)
	s.add(s.scratch)
	return nil
}

// think shows reasoning, dimmed.
func (s *textSink) think(part []byte) {
	if len(part) == 0 {
		return
	}
	shown := indented(text.Visible(string(part)), 2)
	if !s.thought {
		shown = "  " + shown
	}
	s.thought = true
	if !s.app.err.Plain {
		shown = "\x1b[2m" + shown + "\x1b[22m"
	}
	s.app.tell(shown)
}

// add takes masked text. Line ends at its end wait: standard output ends in exactly one.
func (s *textSink) add(text []byte) {
	s.remember(text)
	kept := bytes.TrimRight(text, "\n")
	if len(kept) > 0 {
		for ; s.newlines > 0; s.newlines-- {
			s.put([]byte{'\n'})
		}
		s.put(kept)
	}
	s.newlines += len(text) - len(kept)
}

func (s *textSink) put(text []byte) {
	if s.thought {
		s.app.tell("\n") // the answer begins on a line of its own
		s.thought = false
	}
	s.open = true
	if s.app.out.TTY {
		s.safe = s.visible.Append(s.safe[:0], text)
		s.out = s.markdown.Append(s.out, s.safe)
		return
	}
	s.out = append(s.out, text...)
}

func (s *textSink) finish(whole, stopped bool) error {
	s.think(s.reasoning.Flush(nil, !whole))
	s.add(s.masked.Flush(nil, !whole))
	if s.app.out.TTY {
		s.out = s.markdown.Append(s.out, s.visible.Flush(nil))
		s.out = s.markdown.Flush(s.out)
	}
	if s.thought {
		s.app.tell("\n")
		s.thought = false
	}
	// A pipe gets of a cut answer what came and not a byte more; a person gets the prompt on a line of its own.
	if whole || s.open && (stopped || s.app.out.TTY) {
		s.out = append(s.out, '\n')
	}
	return s.Flush()
}

// rawSink shows the bytes of the event stream, in whole lines. A secret that stands in one piece is masked in them. One
// that is cut over events cannot be, so where the masked lines hold one, nothing more is shown.
type rawSink struct {
	*sinkBase
	bytes  *guard.MaskStream
	pieces *guard.Pieces
	looked int // so many bytes of out are whole lines, which have been looked at
	split  bool
}

// splitKeyError is a secret that the answer holds in pieces.
type splitKeyError struct{}

func (splitKeyError) Error() string { return "the answer holds a key in pieces, which raw cannot mask" }

// Hint tells what to do about it.
func (splitKeyError) Hint() string { return "-o text and -o json mask it" }

func (s *rawSink) Reset() {
	s.sinkBase.Reset()
	*s = rawSink{sinkBase: s.sinkBase, bytes: s.app.masker.Stream(), pieces: s.app.masker.Pieces()}
}

func (s *rawSink) Raw(b []byte) error {
	from := len(s.out)
	s.out = s.bytes.Append(s.out, b)
	s.look(from)
	return s.check()
}

// look looks at the lines that have come whole. What stands before from ends none.
func (s *rawSink) look(from int) {
	for {
		n := bytes.IndexAny(s.out[from:], "\r\n")
		if n < 0 {
			return
		}
		s.pieces.Line(s.out[s.looked : from+n])
		from += n + 1
		s.looked = from
	}
}

// check drops what has not been shown once a secret has been found.
func (s *rawSink) check() error {
	if s.split = s.split || s.pieces.Found(); !s.split {
		return nil
	}
	s.out, s.looked = nil, 0
	return splitKeyError{}
}

func (s *rawSink) Delta(d wire.Delta) error {
	s.pieces.Text("text", d.Text)
	s.pieces.Text("reasoning", d.Reasoning)
	if s.keep {
		s.scratch = s.masked.Append(s.scratch[:0], d.Text)
		s.remember(s.scratch)
	}
	return s.check()
}

// mostHeldBack is the most bytes that wait until it is certain that they are not in the middle of a secret.
const mostHeldBack = 16 << 20

// Flush shows nothing while a text may be in the middle of a secret.
func (s *rawSink) Flush() error {
	if s.pieces.Holding() {
		if len(s.out) > mostHeldBack {
			return &text.LimitError{What: "the part of the stream that may hold a key in pieces", Limit: mostHeldBack}
		}
		return nil
	}
	rest := bytes.Clone(s.out[s.looked:])
	s.out = s.out[:s.looked]
	err := s.sinkBase.Flush()
	s.out, s.looked = append(s.out, rest...), 0
	return err
}

func (s *rawSink) finish(whole, _ bool) error {
	s.remember(s.masked.Flush(nil, !whole))
	from := len(s.out)
	s.out = s.bytes.Flush(s.out, !whole)
	s.look(from)
	s.pieces.Line(s.out[s.looked:])
	if !whole && s.pieces.Holding() {
		s.out = nil // half a secret is not shown either
	}
	s.pieces.End()
	if s.check() != nil {
		return &client.Error{Class: client.Output, Status: 200, Err: splitKeyError{}}
	}
	return s.sinkBase.Flush()
}

// jsonSink shows a line of JSON for each batch of text or reasoning that came together.
type jsonSink struct {
	*sinkBase
	reasoning       *guard.MaskStream
	words, thoughts []byte
}

func (s *jsonSink) Reset() {
	s.sinkBase.Reset()
	*s = jsonSink{sinkBase: s.sinkBase, reasoning: s.app.masker.Stream()}
}

func (s *jsonSink) Delta(d wire.Delta) error {
	s.thoughts = s.reasoning.Append(s.thoughts, d.Reasoning)
	s.words = s.masked.Append(s.words, d.Text)
	return nil
}

func (s *jsonSink) Flush() error { return s.flush(text.WholeRunes(s.words)) }

// flush shows the reasoning and so much of the text: half a character waits for the rest of it.
func (s *jsonSink) flush(words []byte) error {
	s.line("reasoning", s.thoughts)
	s.line("text", words)
	s.remember(words)
	s.thoughts, s.words = s.thoughts[:0], append(s.words[:0], s.words[len(words):]...)
	return s.sinkBase.Flush()
}

func (s *jsonSink) line(kind string, part []byte) {
	if len(part) > 0 {
		for piece := range text.JSONLine([]byte(`{"text":"","type":"`+kind+`"}`+"\n"), string(part)) {
			s.out = append(s.out, piece...)
		}
	}
}

func (s *jsonSink) finish(whole, _ bool) error {
	s.thoughts = s.reasoning.Flush(s.thoughts, !whole)
	s.words = s.masked.Flush(s.words, !whole)
	return s.flush(s.words)
}

// encodeLine is an object on a line of its own, without HTML escapes.
func encodeLine(object any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		panic(err) // only strings, numbers and their maps are ever encoded here
	}
	return b.Bytes()
}
