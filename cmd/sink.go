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

// streamSink prints a stream as it arrives, with a new printer for each attempt.
type streamSink struct {
	*callOutput
	printer
}

// printer prints a stream in one output form. Each call of Flush makes at most one write to standard output.
type printer interface {
	Raw(b []byte) error
	Delta(d wire.Delta) error
	Flush() error
	Shown() bool
	// finish prints what was held back when the stream has ended, complete or not.
	finish(complete, stopped bool) error
	// text returns the complete text if it was to be kept.
	text() string
}

// Reset starts a new attempt.
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

// basePrinter is what the printers share: the buffer of one write, and the kept text.
type basePrinter struct {
	output            *callOutput
	masked, reasoning *guard.MaskStream
	out               []byte
	shown             bool
	tooLong           error // set if the text is too long to keep
	kept              strings.Builder
	scratch           []byte // masked text
}

func (p *basePrinter) Shown() bool      { return p.shown }
func (p *basePrinter) Raw([]byte) error { return nil }
func (p *basePrinter) text() string     { return p.kept.String() }

// maxKept is how many bytes of a stream's text are kept at most, as for a complete answer.
const maxKept = 64 << 20

// remember keeps masked text.
func (p *basePrinter) remember(masked []byte) {
	if !p.output.keep || p.tooLong != nil {
		return
	}
	if p.kept.Len()+len(masked) > maxKept {
		p.tooLong = &client.Error{Class: client.TooLarge, Err: &text.LimitError{What: "the text of the stream, which must be saved,", Limit: maxKept}}
		return
	}
	p.kept.Write(masked)
}

func (p *basePrinter) Flush() error {
	if len(p.out) == 0 || p.tooLong != nil {
		return p.tooLong
	}
	p.shown = true
	err := p.output.write(p.out)
	p.out = p.out[:0]
	return err
}

// textPrinter prints the text, and the reasoning on standard error if it is requested.
type textPrinter struct {
	basePrinter
	visible  text.VisibleStream
	markdown term.Markdown
	safe     []byte // text made safe for the terminal
	newlines int    // received line ends that are not printed until text follows them
	open     bool   // the last printed character is not a line end
}

func (p *textPrinter) Delta(d wire.Delta) error {
	if p.output.thinking && len(d.Reasoning) > 0 {
		p.printReasoning(p.reasoning.Append(nil, d.Reasoning))
	}
	p.scratch = p.masked.Append(p.scratch[:0], d.Text)
	p.add(p.scratch)
	return nil
}

// printReasoning prints reasoning, dimmed, on a separate line that stays open.
func (p *textPrinter) printReasoning(masked []byte) {
	if len(masked) == 0 {
		return
	}
	a := p.output.app
	a.hideWait()
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

// endReasoning ends the line of reasoning.
func (p *textPrinter) endReasoning() {
	p.output.writing.Lock()
	defer p.output.writing.Unlock()
	p.output.endLine()
}

// add prints masked text. It holds back line ends at the end: standard output ends in exactly one.
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
	p.endReasoning()
	p.open = true
	if p.output.out.TTY {
		p.safe = p.visible.Append(p.safe[:0], masked)
		p.out = p.markdown.Append(p.out, p.safe)
		return
	}
	p.out = append(p.out, masked...)
}

func (p *textPrinter) finish(complete, stopped bool) error {
	p.printReasoning(p.reasoning.Flush(nil, !complete))
	p.add(p.masked.Flush(nil, !complete))
	if p.output.out.TTY {
		p.out = p.markdown.Append(p.out, p.visible.Flush(nil))
		p.out = p.markdown.Flush(p.out)
	}
	p.endReasoning()
	// A pipe gets exactly the received part of a truncated answer. On a terminal, and after a signal, a line end
	// follows, so that the shell's prompt begins a new line.
	if complete || p.open && (stopped || p.output.out.TTY) {
		p.out = append(p.out, '\n')
	}
	return p.Flush()
}

// rawPrinter prints the bytes of the event stream, in complete lines. It masks a secret that is in one piece. A secret
// split over events cannot be masked: if the masked lines contain one, nothing more is printed.
type rawPrinter struct {
	basePrinter
	bytes   *guard.MaskStream
	pieces  *guard.Pieces
	checked int // how many bytes of out are complete lines that were checked
	split   bool
}

// splitKey returns the error for a secret that the answer contains in pieces.
func splitKey() error {
	return text.Errorf("-o text and -o json mask it", "the answer contains a key that is split into parts, which raw cannot mask")
}

func (p *rawPrinter) Raw(b []byte) error {
	from := len(p.out)
	p.out = p.bytes.Append(p.out, b)
	p.checkLines(from)
	return p.check()
}

// checkLines checks the lines that are complete. There is no line end before from.
func (p *rawPrinter) checkLines(from int) {
	for {
		n := bytes.IndexAny(p.out[from:], "\r\n")
		if n < 0 {
			return
		}
		p.pieces.Line(p.out[p.checked : from+n])
		from += n + 1
		p.checked = from
	}
}

// check drops the bytes that were not printed yet if a secret was found.
func (p *rawPrinter) check() error {
	if p.split = p.split || p.pieces.Found(); !p.split {
		return nil
	}
	p.out, p.checked = nil, 0
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

// maxHeldBack is how many bytes are held back at most until it is certain that they do not end inside a secret.
const maxHeldBack = 16 << 20

// Flush prints nothing while the text may end inside a secret.
func (p *rawPrinter) Flush() error {
	if p.pieces.Holding() {
		if len(p.out) > maxHeldBack {
			return &text.LimitError{What: "the part of the stream that may contain a split key", Limit: maxHeldBack}
		}
		return nil
	}
	rest := bytes.Clone(p.out[p.checked:])
	p.out = p.out[:p.checked]
	err := p.basePrinter.Flush()
	p.out, p.checked = append(p.out, rest...), 0
	return err
}

func (p *rawPrinter) finish(complete, _ bool) error {
	p.remember(p.masked.Flush(nil, !complete))
	from := len(p.out)
	p.out = p.bytes.Flush(p.out, !complete)
	p.checkLines(from)
	p.pieces.Line(p.out[p.checked:])
	if !complete && p.pieces.Holding() {
		p.out = nil // part of a secret is not printed either
	}
	p.pieces.End()
	if p.check() != nil {
		return &client.Error{Class: client.Output, Status: 200, Err: splitKey()}
	}
	return p.basePrinter.Flush()
}

// jsonPrinter prints a line of JSON for each batch of text or reasoning that arrived together.
type jsonPrinter struct {
	basePrinter
	pendingText, pendingReasoning []byte
}

func (p *jsonPrinter) Delta(d wire.Delta) error {
	p.pendingReasoning = p.reasoning.Append(p.pendingReasoning, d.Reasoning)
	p.pendingText = p.masked.Append(p.pendingText, d.Text)
	return nil
}

func (p *jsonPrinter) Flush() error {
	return p.flush(text.WholeRunes(p.pendingReasoning), text.WholeRunes(p.pendingText))
}

// flush prints thoughts and words, the first parts of the pending reasoning and text. An incomplete character waits for
// its other bytes.
func (p *jsonPrinter) flush(thoughts, words []byte) error {
	p.line("reasoning", thoughts)
	p.line("text", words)
	p.remember(words)
	p.pendingReasoning = append(p.pendingReasoning[:0], p.pendingReasoning[len(thoughts):]...)
	p.pendingText = append(p.pendingText[:0], p.pendingText[len(words):]...)
	return p.basePrinter.Flush()
}

func (p *jsonPrinter) line(kind string, masked []byte) {
	if len(masked) > 0 {
		for piece := range text.JSONLine([]byte(`{"text":"","type":"`+kind+`"}`+"\n"), string(masked)) {
			p.out = append(p.out, piece...)
		}
	}
}

func (p *jsonPrinter) finish(complete, _ bool) error {
	p.pendingReasoning = p.reasoning.Flush(p.pendingReasoning, !complete)
	p.pendingText = p.masked.Flush(p.pendingText, !complete)
	return p.flush(p.pendingReasoning, p.pendingText)
}
