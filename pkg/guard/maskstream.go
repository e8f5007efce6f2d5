package guard

import "bytes"

// MaskStream masks text that arrives in pieces, with the same result as Masker.Bytes on the complete text. It holds
// back only an end that could still become a secret. It is for one goroutine at a time.
type MaskStream struct {
	masker   *Masker
	held     []byte
	hidden   int // number of bytes of held that belong to a secret that was already replaced
	replaced int // number of secrets replaced
}

// Holding reports whether the held-back end is long enough to reveal something of a secret.
func (s *MaskStream) Holding() bool { return len(s.held)-s.hidden >= minMasked }

// Stream returns a stream that masks m's secrets, including those added later.
func (m *Masker) Stream() *MaskStream { return &MaskStream{masker: m} }

// Append appends to dst the part of the text that may now be shown.
func (s *MaskStream) Append(dst, chunk []byte) []byte {
	text := chunk
	if len(s.held) > 0 {
		text = append(s.held, chunk...)
	}
	dst, rest, held := s.scan(dst, text, true)
	s.held = bytes.Clone(held)
	return append(dst, rest...)
}

// Flush appends what was held back at the end of the text. cut reports that the text ended early: an end that could
// have become a secret is then hidden, unless it is too short to reveal anything.
func (s *MaskStream) Flush(dst []byte, cut bool) []byte {
	if cut && s.Holding() {
		s.held = nil
		return append(dst, masked...)
	}
	dst, rest, _ := s.scan(dst, s.held, false)
	s.held = nil
	return append(dst, rest...)
}

// scan masks text, whose first hidden bytes have already been replaced. It appends the result to dst, except rest,
// which contains no secret. If more is set, it holds back text from where a secret could begin.
func (s *MaskStream) scan(dst, text []byte, more bool) (out, rest, held []byte) {
	known := s.masker.known.Load()
	if known == nil {
		return dst, text, nil
	}
	done := s.hidden // text up to here has been copied or replaced
	s.hidden = 0
	for i, c := range text {
		if !known.canBegin[c] {
			continue
		}
		n, open := known.match(text[i:])
		if more && open {
			s.hidden = max(0, done-i)
			return dst, text[min(done, i):i], text[i:]
		}
		if n == 0 {
			continue
		}
		if i >= done {
			dst = append(append(dst, text[done:i]...), masked...)
			s.replaced++
		}
		// Two secrets may overlap: the rest of the second would be half a secret.
		done = max(done, i+n)
	}
	return dst, text[done:], nil
}
