package cmd

import (
	"bytes"
	"io"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/guard"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// streamSink prints a stream as it comes, each attempt with a printer of its own.
type streamSink struct {
	*callOutput
	printer
}

// printer prints a stream in one form of the output. Every call of Flush makes at most one write to standard output.
type printer interface {
	Raw(b []byte) error
	Delta(d wire.Delta) error
	Flush() error
	Shown() bool
	// finish shows what was held back when the stream has ended, whole or not.
	finish(whole, stopped bool) error
	// text is all the text, where it was to be kept.
	text() string
}

// Reset begins anew.
func (s *streamSink) Reset() {
	base := basePrinter{output: s.callOutput, masked: s.masker.Stream(), reasoning: s.masker.Stream()}
	switch s.output {
	case "raw":
		s.printer = &rawPrinter{basePrinter: base, bytes: s.masker.Stream(), pieces: s.masker.Pieces()}
	case "json":
		s.printer = &jsonPrinter{basePrinter: base}
	default:
		s.printer = &textPrinter{basePrinter: base, markdown: term.Markdown{Plain: !s.render || s.out.Plain}}
	}
}

// basePrinter is what the printers share: the buffer of one write, and the text that is kept.
type basePrinter struct {
	output            *callOutput
	masked, reasoning *guard.MaskStream
	out               []byte
	shown             bool
	full              error // more text came than is kept
	kept              strings.Builder
	scratch           []byte // text that has been masked
}

func (p *basePrinter) Shown() bool      { return p.shown }
func (p *basePrinter) Raw([]byte) error { return nil }
func (p *basePrinter) text() string     { return p.kept.String() }

// mostKept is the most bytes of a stream's text that are kept, as of a whole answer.
const mostKept = 64 << 20

// remember keeps text that has been masked.
func (p *basePrinter) remember(masked []byte) {
	if !p.output.keep || p.full != nil {
		return
	}
	if p.kept.Len()+len(masked) > mostKept {
		p.full = &client.Error{Class: client.TooLarge, Err: &text.LimitError{What: "the text of the stream, which is to be kept,", Limit: mostKept}}
		return
	}
	p.kept.Write(masked)
}

func (p *basePrinter) Flush() error {
	if len(p.out) == 0 || p.full != nil {
		return p.full
	}
	p.shown = true
	err := p.output.write(p.out)
	p.out = p.out[:0]
	return err
}

// textPrinter shows the text, and on standard error the reasoning where it is asked for.
type textPrinter struct {
	basePrinter
	visible  text.VisibleStream
	markdown term.Markdown
	safe     []byte // text that is safe for the terminal
	newlines int    // line ends that have come and are not shown until something follows them
	open     bool   // the last thing shown is no line end
}

func (p *textPrinter) Delta(d wire.Delta) error {
	if p.output.thinking && len(d.Reasoning) > 0 {
		p.think(p.reasoning.Append(nil, d.Reasoning))
	}
	p.scratch = p.masked.Append(p.scratch[:0], d.Text)
	p.add(p.scratch)
	return nil
}

// think shows reasoning, dimmed, on a line of its own that stays open.
func (p *textPrinter) think(masked []byte) {
	if len(masked) == 0 {
		return
	}
	a := p.output.app
	a.endSilence()
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.live != nil {
		a.live.Clear()
	}
	shown := indented(text.Visible(string(masked)), 2)
	if !a.open {
		shown = "  " + shown
	}
	if !a.err.Plain {
		shown = "\x1b[2m" + shown + "\x1b[22m"
	}
	_, _ = io.WriteString(a.err, shown)
	a.open = true
}

// endThought ends the line of the reasoning.
func (p *textPrinter) endThought() {
	p.output.writing.Lock()
	defer p.output.writing.Unlock()
	p.output.endLine()
}

// add takes masked text. Line ends at its end wait: standard output ends in exactly one.
func (p *textPrinter) add(masked []byte) {
	p.remember(masked)
	kept := bytes.TrimRight(masked, "\n")
	if len(kept) > 0 {
		for ; p.newlines > 0; p.newlines-- {
			p.put([]byte{'\n'})
		}
		p.put(kept)
	}
	p.newlines += len(masked) - len(kept)
}

func (p *textPrinter) put(masked []byte) {
	p.endThought()
	p.open = true
	if p.output.out.TTY {
		p.safe = p.visible.Append(p.safe[:0], masked)
		p.out = p.markdown.Append(p.out, p.safe)
		return
	}
	p.out = append(p.out, masked...)
}

func (p *textPrinter) finish(whole, stopped bool) error {
	p.think(p.reasoning.Flush(nil, !whole))
	p.add(p.masked.Flush(nil, !whole))
	if p.output.out.TTY {
		p.out = p.markdown.Append(p.out, p.visible.Flush(nil))
		p.out = p.markdown.Flush(p.out)
	}
	p.endThought()
	// A pipe gets of a cut answer what came and not a byte more; a person gets the prompt on a line of its own.
	if whole || p.open && (stopped || p.output.out.TTY) {
		p.out = append(p.out, '\n')
	}
	return p.Flush()
}

// rawPrinter shows the bytes of the event stream, in whole lines. A secret that stands in one piece is masked in them. One
// that is cut over events cannot be, so where the masked lines hold one, nothing more is shown.
type rawPrinter struct {
	basePrinter
	bytes  *guard.MaskStream
	pieces *guard.Pieces
	looked int // so many bytes of out are whole lines, which have been looked at
	split  bool
}

// splitKey is the error of a secret that the answer holds in pieces.
func splitKey() error {
	return text.Errorf("-o text and -o json mask it", "the answer holds a key in pieces, which raw cannot mask")
}

func (p *rawPrinter) Raw(b []byte) error {
	from := len(p.out)
	p.out = p.bytes.Append(p.out, b)
	p.look(from)
	return p.check()
}

// look looks at the lines that have come whole. What stands before from ends none.
func (p *rawPrinter) look(from int) {
	for {
		n := bytes.IndexAny(p.out[from:], "\r\n")
		if n < 0 {
			return
		}
		p.pieces.Line(p.out[p.looked : from+n])
		from += n + 1
		p.looked = from
	}
}

// check drops what has not been shown once a secret has been found.
func (p *rawPrinter) check() error {
	if p.split = p.split || p.pieces.Found(); !p.split {
		return nil
	}
	p.out, p.looked = nil, 0
	return splitKey()
}

func (p *rawPrinter) Delta(d wire.Delta) error {
	p.pieces.Text("text", d.Text)
	p.pieces.Text("reasoning", d.Reasoning)
	if p.output.keep {
		p.scratch = p.masked.Append(p.scratch[:0], d.Text)
		p.remember(p.scratch)
	}
	return p.check()
}

// mostHeldBack is the most bytes that wait until it is certain that they are not in the middle of a secret.
const mostHeldBack = 16 << 20

// Flush shows nothing while a text may be in the middle of a secret.
func (p *rawPrinter) Flush() error {
	if p.pieces.Holding() {
		if len(p.out) > mostHeldBack {
			return &text.LimitError{What: "the part of the stream that may hold a key in pieces", Limit: mostHeldBack}
		}
		return nil
	}
	rest := bytes.Clone(p.out[p.looked:])
	p.out = p.out[:p.looked]
	err := p.basePrinter.Flush()
	p.out, p.looked = append(p.out, rest...), 0
	return err
}

func (p *rawPrinter) finish(whole, _ bool) error {
	p.remember(p.masked.Flush(nil, !whole))
	from := len(p.out)
	p.out = p.bytes.Flush(p.out, !whole)
	p.look(from)
	p.pieces.Line(p.out[p.looked:])
	if !whole && p.pieces.Holding() {
		p.out = nil // half a secret is not shown either
	}
	p.pieces.End()
	if p.check() != nil {
		return &client.Error{Class: client.Output, Status: 200, Err: splitKey()}
	}
	return p.basePrinter.Flush()
}

// jsonPrinter shows a line of JSON for each batch of text or reasoning that came together.
type jsonPrinter struct {
	basePrinter
	words, thoughts []byte
}

func (p *jsonPrinter) Delta(d wire.Delta) error {
	p.thoughts = p.reasoning.Append(p.thoughts, d.Reasoning)
	p.words = p.masked.Append(p.words, d.Text)
	return nil
}

func (p *jsonPrinter) Flush() error { return p.flush(text.WholeRunes(p.words)) }

// flush shows the reasoning and so much of the text: half a character waits for the rest of it.
func (p *jsonPrinter) flush(words []byte) error {
	p.line("reasoning", p.thoughts)
	p.line("text", words)
	p.remember(words)
	p.thoughts, p.words = p.thoughts[:0], append(p.words[:0], p.words[len(words):]...)
	return p.basePrinter.Flush()
}

func (p *jsonPrinter) line(kind string, masked []byte) {
	if len(masked) > 0 {
		for piece := range text.JSONLine([]byte(`{"text":"","type":"`+kind+`"}`+"\n"), string(masked)) {
			p.out = append(p.out, piece...)
		}
	}
}

func (p *jsonPrinter) finish(whole, _ bool) error {
	p.thoughts = p.reasoning.Flush(p.thoughts, !whole)
	p.words = p.masked.Flush(p.words, !whole)
	return p.flush(p.words)
}
