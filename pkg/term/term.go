// Package term owns what ferry knows about the terminal it writes to: which streams are a terminal, its width, and
// whether it supports colour and cursor moves. It also owns the output that depends on this: styles, tables, small
// charts, Markdown, the countdown and the block that is redrawn in place. It refuses to query the terminal (one that
// does not answer would block the program) and to read the environment, which cmd passes in.
package term

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
	xterm "golang.org/x/term"
)

// Facts are the properties of one stream.
type Facts struct {
	// TTY says that the stream is a terminal.
	TTY bool
	// Plain says that it supports neither colour nor cursor moves: it is not a terminal, or NO_COLOR or TERM=dumb is
	// set.
	Plain bool
	// Width is the number of columns, at least 1; 80 if it is unknown.
	Width int
}

const defaultWidth = 80

// FactsOf returns the facts of a stream. plain says that the environment asks for plain output. Anything except an open
// file is treated as a pipe.
func FactsOf(stream any, plain bool) Facts {
	f := Facts{Plain: true, Width: defaultWidth}
	file, ok := stream.(*os.File)
	if !ok || file == nil || !(isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd())) {
		return f
	}
	f.TTY = true
	f.Plain = plain || !supportsEscapes(file)
	if columns, _, err := xterm.GetSize(int(file.Fd())); err == nil && columns > 0 {
		f.Width = columns
	}
	return f
}

// Wrap breaks text at words for a terminal, and returns it unchanged for a pipe, because a program may search it.
func (s Stream) Wrap(text string, indent int) string {
	if !s.TTY {
		return text
	}
	return Wrap(text, s.Width, indent)
}

// Stream is a writer and its facts.
type Stream struct {
	io.Writer
	Facts
}
