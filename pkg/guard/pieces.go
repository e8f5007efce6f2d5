package guard

import (
	"bytes"
	"encoding/json"
)

// Pieces finds secrets that a body or an event stream holds in pieces, in several strings or lines: a reader puts them
// together again, and no mask of the bytes can hide them. It is given lines that have been masked, so every secret that it
// finds is one that would be shown.
//
// The strings of one member name are one text, in the order in which they come, whatever object they stand in. So are the
// values of one field of an event stream. One goroutine at a time.
type Pieces struct {
	masker  *Masker
	texts   map[string]*MaskStream
	name    []byte // of the member whose value comes next
	found   bool
	field   []byte
	scratch []byte
}

const (
	mostNames = 256 // texts that are kept apart; what has another name is one text more
	mostName  = 64  // bytes of a name that count
)

// Pieces makes one for m's secrets as they are known now and later.
func (m *Masker) Pieces() *Pieces {
	return &Pieces{masker: m, texts: map[string]*MaskStream{}}
}

// InPieces reports whether a masked body holds a secret in pieces.
func (m *Masker) InPieces(body []byte) bool {
	p := m.piecesOf(body)
	p.End()
	return p.found
}

// CutInPieces reports whether a masked body holds a secret, or so much of one at the end of a text that it tells something of
// it, in pieces.
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

// Found reports whether a secret came in pieces.
func (p *Pieces) Found() bool { return p.found }

// Holding reports whether a text ends in so much of a secret that it tells something of it.
func (p *Pieces) Holding() bool {
	for _, text := range p.texts {
		if text.Holding() {
			return true
		}
	}
	return false
}

// Line takes the next line, of JSON or of an event stream.
func (p *Pieces) Line(line []byte) {
	if len(line) == 0 || p.masker.known.Load() == nil {
		return
	}
	if bytes.IndexByte(line, '"') >= 0 {
		p.members(line)
		return
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	p.field = append(append(p.field[:0], field[:min(len(field), mostName)]...), ':') // no member has that name
	p.add(p.field, bytes.TrimPrefix(value, []byte(" ")))
}

// Text takes the next part of a text that the dialect puts together, from members of whatever names. It need not be masked.
func (p *Pieces) Text(kind string, part []byte) {
	if len(part) > 0 {
		p.add([]byte("="+kind), p.masker.Bytes(part))
	}
}

// End says that nothing more comes.
func (p *Pieces) End() {
	for _, text := range p.texts {
		text.Flush(nil, false)
		p.found = p.found || text.hits > 0
	}
}

// members takes the strings of a line of JSON. One with a colon behind it is the name of those that follow.
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
		end = min(end, len(line)) // of a line that was cut
		text := line[start+1 : end]
		var plain string
		if bytes.IndexByte(text, '\\') >= 0 && json.Unmarshal(line[start:min(end+1, len(line))], &plain) == nil {
			text = []byte(plain)
		}
		line = line[min(end+1, len(line)):]
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte(":")) {
			p.name = append(p.name[:0], text[:min(len(text), mostName)]...)
			continue
		}
		p.add(p.name, text)
	}
}

func (p *Pieces) add(name, part []byte) {
	text := p.texts[string(name)]
	if text == nil {
		if len(p.texts) >= mostNames {
			name = nil
		}
		if text = p.texts[string(name)]; text == nil {
			text = p.masker.Stream()
			p.texts[string(name)] = text
		}
	}
	p.scratch = text.Append(p.scratch[:0], part)
	p.found = p.found || text.hits > 0
}
