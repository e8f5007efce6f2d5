package guard

import (
	"math/bits"
	"unicode/utf8"
)

// FilterStream filters text that arrives in pieces, with the same result as Find on the complete text. It holds back
// only what could still become a match. It is for one goroutine at a time. Positions are byte offsets from the start
// of the text.
type FilterStream struct {
	trie   *trie
	node   int32
	spaced bool  // the previous symbol was a space
	starts []int // ring buffer: where the character of each of the last symbols starts
	count  int   // number of symbols
	at     int   // the position up to which the text was scanned
	folded []rune

	pending int32 // the node of a word that ends at the last symbol, unless the next symbol modifies that one
	found   Match
	done    bool

	held      []byte // the end of the text so far
	heldStart int    // the position of held
	returned  int    // number of bytes of held that have been returned
}

// Stream returns a stream for a new text.
func (f *Filter) Stream() *FilterStream {
	deepest := f.trie.depth[len(f.trie.depth)-1]
	size := 1 << bits.Len32(uint32(deepest)) // a power of two
	return &FilterStream{trie: f.trie, starts: make([]int, size), folded: make([]rune, 0, 18)}
}

// Write adds the next piece and returns the text that may now be shown, valid until the next call. After a match, it
// has returned all text before the match. From then on it returns only the match.
func (s *FilterStream) Write(p []byte) (safe []byte, m *Match) { return s.advance(p, false) }

// Close is Write for the last piece, so it also returns the text that was held back.
func (s *FilterStream) Close(p []byte) (safe []byte, m *Match) { return s.advance(p, true) }

func (s *FilterStream) advance(p []byte, last bool) ([]byte, *Match) {
	if s.done {
		return nil, &s.found
	}
	if s.returned >= len(s.held)-s.returned { // so that the held bytes are moved no more often than they grow
		s.held = append(s.held[:0], s.held[s.returned:]...)
		s.heldStart, s.returned = s.heldStart+s.returned, 0
	}
	s.held = append(s.held, p...)
	s.scan(s.held[s.at-s.heldStart:], last)
	from := s.returned
	switch {
	case s.done:
		s.returned = s.found.Start - s.heldStart
		return s.held[from:s.returned], &s.found
	case last:
		s.returned = len(s.held)
	case s.node != 0: // the symbols of this node could still become a match
		s.returned = s.start(s.node) - s.heldStart
	default:
		s.returned = s.at - s.heldStart
	}
	return s.held[from:s.returned], nil
}

// scan reads more text: all of it if last is set, else up to an incomplete character.
func (s *FilterStream) scan(p []byte, last bool) {
	for len(p) > 0 && !s.done && (last || utf8.FullRune(p)) {
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			r = noSymbol
		}
		s.folded = fold(s.folded[:0], r)
		for _, symbol := range s.folded {
			s.symbol(symbol, size)
		}
		s.at += size
		p = p[size:]
	}
	s.done = s.done || last && s.pending != 0
}

// symbol reads one symbol of the character at s.at, which is size bytes long.
func (s *FilterStream) symbol(symbol rune, size int) {
	if s.done || symbol == ' ' && s.spaced {
		return
	}
	if s.pending != 0 {
		if !isModifier(symbol) {
			s.done = true
			return
		}
		s.pending = 0
	}
	s.spaced = symbol == ' '
	s.starts[s.count&(len(s.starts)-1)] = s.at
	s.count++
	s.node = s.trie.step(s.node, symbol)
	if word := s.trie.found[s.node]; word != 0 {
		s.pending = word
		s.found = Match{Line: int(s.trie.line[word]), Start: s.start(word), End: s.at + size}
	}
}

// start returns where the symbols of a node start.
func (s *FilterStream) start(node int32) int {
	return s.starts[(s.count-int(s.trie.depth[node]))&(len(s.starts)-1)]
}
