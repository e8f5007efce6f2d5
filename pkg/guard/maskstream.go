package guard

import "bytes"

// MaskStream masks a text that arrives in pieces as Masker.Bytes masks the whole: it holds back only an end that could
// still become a secret. One goroutine at a time.
type MaskStream struct {
	masker *Masker
	held   []byte
	hidden int // so many bytes of held belong to a secret that has been replaced already
	hits   int // how many secrets have been replaced
}

// Holding reports whether the end that is held back is so long that it would tell something of a secret.
func (s *MaskStream) Holding() bool { return len(s.held)-s.hidden >= shortestMasked }

// Stream gives a stream of m's secrets as they are known now and later.
func (m *Masker) Stream() *MaskStream { return &MaskStream{masker: m} }

// Append adds what may be shown of the text so far to dst.
func (s *MaskStream) Append(dst, chunk []byte) []byte {
	text := chunk
	if len(s.held) > 0 {
		text = append(s.held, chunk...)
	}
	dst, rest, held := s.scan(dst, text, true)
	s.held = bytes.Clone(held)
	return append(dst, rest...)
}

// Flush adds what was held back, when the text has come to its end. Cut says that the end came early: what could have
// become a secret is then hidden, but for an end so short that it tells nothing.
func (s *MaskStream) Flush(dst []byte, cut bool) []byte {
	if cut && s.Holding() {
		s.held = nil
		return append(dst, masked...)
	}
	dst, rest, _ := s.scan(dst, s.held, false)
	s.held = nil
	return append(dst, rest...)
}

// scan masks text, whose first hidden bytes have been replaced already, and returns dst with all of it but the rest, which
// has no secret. With more to come it holds back from where text could become a secret.
func (s *MaskStream) scan(dst, text []byte, more bool) (out, rest, held []byte) {
	known := s.masker.known.Load()
	if known == nil {
		return dst, text, nil
	}
	done := s.hidden // up to here text has been copied or replaced
	s.hidden = 0
	for i, c := range text {
		if !known.may[c] {
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
			s.hits++
		}
		// Two secrets may overlap: what is left of the second would be half a secret.
		done = max(done, i+n)
	}
	return dst, text[done:], nil
}
