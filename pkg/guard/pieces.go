package guard

import (
	"bytes"
	"encoding/json"
)

// Pieces finds secrets that are split over several strings or lines of a body or an event stream. A reader joins them
// again, and masking the bytes cannot hide them. Its input lines must be masked already, so every secret that it
// finds is one that would be shown.
//
// The strings of all members with the same name are one text, in order, whatever objects they are in. So are the
// values of one field of an event stream. It is for one goroutine at a time.
type Pieces struct {
	masker  *Masker
	texts   map[string]*MaskStream
	name    []byte // name of the member whose value comes next
	found   bool
	field   []byte
	scratch []byte
}

const (
	maxNames = 256 // maximum number of separate texts; all other names share one more
	maxName  = 64  // bytes of a name that are compared
)

// Pieces returns a detector for m's secrets, including those added later.
func (m *Masker) Pieces() *Pieces {
	return &Pieces{masker: m, texts: map[string]*MaskStream{}}
}

// InPieces reports whether a masked body contains a secret in pieces.
func (m *Masker) InPieces(body []byte) bool {
	p := m.piecesOf(body)
	p.End()
	return p.found
}

// CutInPieces reports whether a masked body contains a secret in pieces, or the pieces of a text end with part of a
// secret long enough to reveal something.
func (m *Masker) CutInPieces(body []byte) bool {
	p := m.piecesOf(body)
	return p.found || p.Holding()
}

func (m *Masker) piecesOf(body []byte) *Pieces {
	p := m.Pieces()
	if m.known.Load() == nil {
		return p
	}
	for line := range bytes.FieldsFuncSeq(body, func(r rune) bool { return r == '\n' || r == '\r' }) {
		p.Line(line)
	}
	return p
}

// Found reports whether a secret was found in pieces.
func (p *Pieces) Found() bool { return p.found }

// Holding reports whether a text ends with part of a secret long enough to reveal something.
func (p *Pieces) Holding() bool {
	for _, text := range p.texts {
		if text.Holding() {
			return true
		}
	}
	return false
}

// Line adds the next line, of JSON or of an event stream.
func (p *Pieces) Line(line []byte) {
	if len(line) == 0 || p.masker.known.Load() == nil {
		return
	}
	if bytes.IndexByte(line, '"') >= 0 {
		p.members(line)
		return
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	p.field = append(append(p.field[:0], field[:min(len(field), maxName)]...), ':') // no member has such a name
	p.add(p.field, bytes.TrimPrefix(value, []byte(" ")))
}

// Text adds the next part of a text that the dialect joins from members with different names. It need not be masked.
func (p *Pieces) Text(kind string, part []byte) {
	if len(part) > 0 {
		p.add([]byte("="+kind), p.masker.Bytes(part))
	}
}

// End must be called after the last line.
func (p *Pieces) End() {
	for _, text := range p.texts {
		text.Flush(nil, false)
		p.found = p.found || text.replaced > 0
	}
}

// members reads the strings of a line of JSON. A string followed by a colon is the name for the strings after it.
func (p *Pieces) members(line []byte) {
	for {
		start := bytes.IndexByte(line, '"')
		if start < 0 {
			return
		}
		end := start + 1
		for end < len(line) && line[end] != '"' {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(line)) // if the line was cut
		text := line[start+1 : end]
		var plain string
		if bytes.IndexByte(text, '\\') >= 0 && json.Unmarshal(line[start:min(end+1, len(line))], &plain) == nil {
			text = []byte(plain)
		}
		line = line[min(end+1, len(line)):]
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte(":")) {
			p.name = append(p.name[:0], text[:min(len(text), maxName)]...)
			continue
		}
		p.add(p.name, text)
	}
}

func (p *Pieces) add(name, part []byte) {
	text := p.texts[string(name)]
	if text == nil {
		if len(p.texts) >= maxNames {
			name = nil
		}
		if text = p.texts[string(name)]; text == nil {
			text = p.masker.Stream()
			p.texts[string(name)] = text
		}
	}
	p.scratch = text.Append(p.scratch[:0], part)
	p.found = p.found || text.replaced > 0
}
