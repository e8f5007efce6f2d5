package wire

import (
	"encoding/json"
	"slices"
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
	var due []byte // the closing brackets, the innermost last
	members, escape, inString := 0, len(body), false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			n := len(`\n`)
			if i+1 < len(body) && body[i+1] == 'u' {
				n = len(`\u0000`)
			}
			if i+n > len(body) {
				escape = i // half of one, at the end
			}
			i += n - 1
		case inString:
		case c == '{' || c == '[':
			if due = append(due, c+2); len(due) > maxDepth { // '{'+2 is '}', '['+2 is ']'
				return nil
			}
			members = i + 1
		case (c == '}' || c == ']') && len(due) > 0:
			due = due[:len(due)-1]
			members = i + 1
		case c == ',':
			members = i
		}
	}
	slices.Reverse(due)
	closed := make([]byte, 0, len(body)+1+len(due))
	for _, end := range []int{escape, len(body), members} { // the last is up to where the text is whole members
		closed = append(closed[:0], body[:end]...)
		if end == escape && inString {
			closed = append(closed, '"')
		}
		if closed = append(closed, due...); json.Valid(closed) {
			return closed
		}
	}
	return nil
}
