package term

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/text"
)

// Live is a block of lines at the end of a terminal that is redrawn in place. It begins at the start of a row. On a
// pipe or a plain stream it draws nothing. Only one goroutine may use it. Clear must be called before something else is
// written to the terminal.
type Live struct {
	Stream

	drawn int // lines of the block above the cursor
}

// Draw replaces the drawn lines by these, and leaves the cursor below them. Each line is cut to one row, so that the
// number of rows is known. The last column stays free, because some terminals move to the next row when it is filled.
// All moves are relative, so the cursor's position need not be read. Errors are ignored.
func (l *Live) Draw(lines []string) {
	if !l.TTY || l.Plain {
		return
	}
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", l.drawn) // to the first row of the block
	}
	for _, line := range lines {
		// Clear the rest of the row after the text: clearing it before would flicker.
		b.WriteString(text.Cut(oneRow(line), max(0, l.Width-1)) + ansi.EraseLineRight + "\n")
	}
	if len(lines) < l.drawn {
		b.WriteString(ansi.EraseScreenBelow)
	}
	l.drawn = len(lines)
	if b.Len() > 0 { // in one call, so that a partial block is never visible
		_, _ = io.WriteString(l.Stream, b.String()) // an error must not end the program's work
	}
}

// Clear removes the block and leaves the cursor where the block began.
func (l *Live) Clear() { l.Draw(nil) }

// oneRow replaces characters that move the cursor by a space: a line end, a tab, a backspace. It keeps escapes, because
// styles use them.
func oneRow(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\x1b' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, line)
}
