// Package term owns what ferry knows of the terminal it writes to: which streams are one, how wide it is, whether it
// takes colour and cursor moves; and what follows from that: styles, tables, small charts, Markdown, the countdown and the
// block that is drawn in place. It refuses to ask the terminal anything (a mute one would hold the program up) and to read
// the environment, which cmd hands it.
package term

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
	xterm "golang.org/x/term"
)

// Facts are what there is to know of one stream.
type Facts struct {
	// TTY says that it is a terminal.
	TTY bool
	// Plain says that it takes neither colour nor cursor moves: it is no terminal, or NO_COLOR or TERM=dumb ask for that.
	Plain bool
	// Width is its columns, at least 1; 80 where it is unknown.
	Width int
}

const defaultWidth = 80

// Look finds the facts of a stream, where the environment can ask for a plain one. Anything but an open file is a pipe.
func Look(stream any, plain bool) Facts {
	f := Facts{Plain: true, Width: defaultWidth}
	file, ok := stream.(*os.File)
	if !ok || file == nil || !(isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd())) {
		return f
	}
	f.TTY = true
	f.Plain = plain || !takesEscapes(file)
	if columns, _, err := xterm.GetSize(int(file.Fd())); err == nil && columns > 0 {
		f.Width = columns
	}
	return f
}

// Wrap breaks a text at words for a terminal and leaves it as it is for a pipe, where a reader may search it.
func (s Stream) Wrap(text string, indent int) string {
	if !s.TTY {
		return text
	}
	return Wrap(text, s.Width, indent)
}

// Stream is where text goes, with its facts.
type Stream struct {
	io.Writer
	Facts
}
