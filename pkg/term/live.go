package term

import (
	"io"
	"strconv"
	"strings"

	"ferry/pkg/text"
)

// Live is a block of lines at the end of a terminal that is drawn again and again in place, from the start of a row on.
// On a pipe or a plain stream it draws nothing. One goroutine uses it, and another writer to the terminal calls
// Clear first.
type Live struct {
	Stream

	drawn int // lines above the cursor that are the block's
}

// The moves that a block needs. All are relative: nothing has to be asked of the terminal.
const (
	lineStart  = "\r"
	clearRest  = "\x1b[K" // of the line
	clearBelow = "\x1b[J"
)

// Draw shows the lines in place of those that were drawn before, and leaves the cursor below them. Each is cut to what
// fits into one row, so that the rows can be counted; the last column stays free, since some terminals go on to the next
// row when it is filled. A terminal that takes no more is not an error.
func (l *Live) Draw(lines []string) {
	if !l.TTY || l.Plain {
		return
	}
	var b strings.Builder
	if l.drawn > 0 {
		b.WriteString(lineStart + "\x1b[" + strconv.Itoa(l.drawn) + "A") // to the beginning of the block
	}
	for _, line := range lines {
		// Text first and then the rest of the row: cleared before, it would flicker.
		b.WriteString(text.Cut(oneRow(line), max(0, l.Width-1)) + clearRest + "\n")
	}
	if len(lines) < l.drawn {
		b.WriteString(clearBelow)
	}
	l.drawn = len(lines)
	if b.Len() > 0 { // in one call, so that no half of a block is ever seen
		_, _ = io.WriteString(l.Stream, b.String()) // a closed terminal shows nothing, and is no reason to end what goes on
	}
}

// Clear takes the block away and leaves the cursor where it began.
func (l *Live) Clear() { l.Draw(nil) }

// oneRow makes a space of whatever would leave the row or is not as wide as it counts: a line end, a tab, a backspace.
// Escapes stay, since styles are made of them.
func oneRow(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\x1b' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, line)
}
