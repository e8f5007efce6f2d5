package guard

import (
	"bytes"
	"slices"
)

// MaskStream masks a text that arrives in pieces as Masker.Bytes masks the whole: it holds back only an end that could
// still become a secret. One goroutine at a time.
type MaskStream struct {
	masker *Masker
	held   []byte
	hidden int // so many bytes of held belong to a secret that has been replaced already
	hits   int
}

// Holding reports whether the end that is held back is so long that it would tell something of a secret.
func (s *MaskStream) Holding() bool { return len(s.held)-s.hidden >= shortestMasked }

// Hits is how many secrets have been replaced.
func (s *MaskStream) Hits() int { return s.hits }

// Stream gives a stream of m's secrets as they are known now and later.
func (m *Masker) Stream() *MaskStream { return &MaskStream{masker: m} }

// Append adds what may be shown of the text so far to dst.
func (s *MaskStream) Append(dst, chunk []byte) []byte {
	known := s.masker.known.Load()
	if known == nil {
		return append(dst, chunk...)
	}
	text := chunk
	if len(s.held) > 0 {
		text = append(s.held, chunk...)
	}
	return s.scan(dst, text, known, true)
}

// Flush adds what was held back, when the text has come to its end. Cut says that the end came early: what could have
// become a secret is then hidden, but for an end so short that it tells nothing.
func (s *MaskStream) Flush(dst []byte, cut bool) []byte {
	known := s.masker.known.Load()
	if known == nil || len(s.held) == 0 {
		return dst
	}
	tells := s.Holding()
	held := s.held
	s.held = nil
	if cut && tells {
		return append(dst, masked...)
	}
	return s.scan(dst, held, known, false)
}

func (s *MaskStream) scan(dst, text []byte, known *secrets, more bool) []byte {
	done, end := s.hidden, s.hidden
	s.hidden = 0
	for i := 0; i < len(text); i++ {
		if known.none(text[i]) {
			continue
		}
		if more && known.couldBegin(text[i:]) {
			if i > done {
				dst = append(dst, text[done:i]...)
			}
			s.held, s.hidden = append(s.held[:0:0], text[i:]...), max(0, end-i)
			return dst
		}
		if n := known.match(text[i:]); n > 0 {
			if i >= end {
				dst = append(append(dst, text[done:i]...), masked...)
				s.hits++
			}
			end = max(end, i+n)
			done = end
		}
	}
	s.held = s.held[:0]
	return append(dst, text[done:]...)
}

// couldBegin reports whether text, which may go on, is the beginning of a secret.
func (s *secrets) couldBegin(text []byte) bool {
	c, n, cut := escape(text)
	if cut {
		return true
	}
	could := func(form []byte) bool {
		return len(text) < len(form) && bytes.HasPrefix(form, text) || couldBecome(text, form)
	}
	return slices.ContainsFunc(s.begin[text[0]], could) || n > 0 && slices.ContainsFunc(s.begin[c], could)
}

// couldBecome reports whether text, which may go on, is the beginning of a spelling of the secret with escapes. An
// escape that the end of the text cuts counts as one that fits.
func couldBecome(text, secret []byte) bool {
	at := 0
	for i, want := range secret {
		if i > 0 {
			at += nulls(text[at:])
		}
		rest := text[at:]
		if len(rest) == 0 {
			return true
		}
		if _, _, cut := escape(rest); cut {
			return true
		}
		n := spells(rest, want)
		if n == 0 {
			return false
		}
		at += n
	}
	return false
}
