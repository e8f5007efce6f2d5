package wire

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Partial is the text in the beginning of a body that did not come whole, "" where none can be told.
func (a API) Partial(body []byte) string {
	if !isEvents(body) {
		body = closeJSON(body)
	}
	answer, _ := a.Decode(200, body)
	return strings.TrimRight(answer.Text, string(utf8.RuneError)) // of a character that was cut
}

// closeJSON completes the beginning of a JSON value to a whole one: it ends an open string where the text ends, drops a
// member that has no value yet, and closes what is open. It returns nil where that makes no JSON.
func closeJSON(body []byte) []byte {
	scan := scanJSON(body)
	if len(scan.open) > maxDepth {
		return nil
	}
	closed := make([]byte, 0, len(body)+1+len(scan.open))
	if scan.inString {
		closed = append(append(append(closed, body[:scan.whole]...), '"'), scan.closers()...)
		if json.Valid(closed) {
			return closed
		}
	}
	for _, end := range []int{len(body), scan.keep} {
		closed = append(append(closed[:0], body[:end]...), scan.closers()...)
		if json.Valid(closed) {
			return closed
		}
	}
	return nil
}

// jsonScan is where a reader of JSON stands at the end of a text.
type jsonScan struct {
	open     []byte // the closing brackets that are due, the outermost first
	keep     int    // up to where the text is whole members
	inString bool
	whole    int // up to where the text has no half escape
}

// closers are the brackets that are due, the innermost first.
func (s jsonScan) closers() []byte {
	out := make([]byte, 0, len(s.open))
	for i := len(s.open) - 1; i >= 0; i-- {
		out = append(out, s.open[i])
	}
	return out
}

func scanJSON(body []byte) jsonScan {
	var s jsonScan
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '"':
			s.inString = !s.inString
		case s.inString && c == '\\':
			length := 2
			if i+1 < len(body) && body[i+1] == 'u' {
				length = 6
			}
			if i+length > len(body) {
				s.whole = i
				return s
			}
			i += length - 1
		case s.inString:
		case c == '{' || c == '[':
			if s.open = append(s.open, c+2); len(s.open) > maxDepth { // '{'+2 is '}', '['+2 is ']'
				return s
			}
			s.keep = i + 1
		case (c == '}' || c == ']') && len(s.open) > 0:
			s.open = s.open[:len(s.open)-1]
			s.keep = i + 1
		case c == ',':
			s.keep = i
		}
	}
	s.whole = len(body)
	return s
}
