package text

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// SafeJSON escapes characters that JSON allows but that a terminal acts on or does not show: DEL, C1 and bidi controls,
// line separators, zero-width characters. In JSON they can occur only inside strings. If there is nothing to escape, it
// returns doc itself.
func SafeJSON(doc []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(doc); {
		if c := doc[i]; c < utf8.RuneSelf && c != 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(doc[i:])
		if isUnsafe(r) || isHiddenAfter(r, rune(doc[max(0, i-1)])) {
			out = append(out, doc[done:i]...)
			for _, unit := range utf16.AppendRune(nil, r) {
				out = append(out, escapeRune(rune(unit), 4)...)
			}
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return doc
	}
	return append(out, doc[done:]...)
}

// maxPiece is how many bytes of text are encoded at once. With escapes they can become six times as long.
const maxPiece = 1 << 20

// JSONLine returns an object as a line of JSON, escaped by SafeJSON, in pieces. A piece is valid until the next one.
// object must have an empty member "text" before any list or object in it. text is inserted there, and is never copied
// completely. A line shorter than 1 MiB is one piece.
func JSONLine(object []byte, text string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		const member = `"text":"`
		head, tail, _ := bytes.Cut(object, []byte(member+`"`))
		piece := append(bytes.Clone(SafeJSON(head)), member...)
		for rest := text; len(rest) > 0; {
			n := len(rest)
			if n > maxPiece {
				n = len(WholeRunes(rest[:maxPiece]))
			}
			quoted := EncodeLine(rest[:n])
			piece = append(piece, SafeJSON(quoted[1:len(quoted)-2])...)
			rest = rest[n:]
			if len(piece) < maxPiece {
				continue
			}
			if !yield(piece) {
				return
			}
			piece = piece[:0]
		}
		yield(append(append(piece, '"'), SafeJSON(tail)...))
	}
}

// EncodeLine returns a value that always encodes, such as strings, numbers and lists of them, as a line of JSON without
// HTML escapes.
func EncodeLine(value any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(err)
	}
	return b.Bytes()
}
