package guard

import "unicode/utf8"

// scanner takes a text through a trie. Positions count the bytes of the text from its beginning.
type scanner struct {
	trie   *trie
	node   int32
	spaced bool  // the symbol before was a space
	starts []int // where the character of each of the last symbols starts, in a ring
	count  int   // of symbols
	at     int   // the position up to which the text was scanned

	maybe int32 // the node of a word that ends at the last symbol, unless what follows joins that
	found Match
	done  bool

	folded []rune
}

func newScanner(t *trie) *scanner {
	size := 1
	for size < len(t.levels)+1 {
		size *= 2
	}
	return &scanner{trie: t, starts: make([]int, size), folded: make([]rune, 0, 18)}
}

// feed scans more text and returns how many bytes it took: all, or up to a character that has not come whole, unless
// this is the last of the text.
func (s *scanner) feed(p []byte, last bool) int {
	i := 0
	for i < len(p) && !s.done {
		if !last && !utf8.FullRune(p[i:]) {
			return i
		}
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			r = noSymbol
		}
		s.folded = fold(s.folded[:0], r)
		for _, symbol := range s.folded {
			s.symbol(symbol, size)
		}
		s.at += size
		i += size
	}
	if last {
		s.settle()
	}
	return i
}

// symbol takes one symbol of the character at s.at, which is size bytes long.
func (s *scanner) symbol(symbol rune, size int) {
	if s.done || symbol == ' ' && s.spaced {
		return
	}
	if s.maybe != 0 {
		if !joins(symbol) {
			s.settle()
			return
		}
		s.maybe = 0
	}
	s.spaced = symbol == ' '
	s.starts[s.count&(len(s.starts)-1)] = s.at
	s.count++
	s.node = s.trie.step(s.node, symbol)
	if word := s.trie.found[s.node]; word != 0 {
		s.maybe = word
		s.found = Match{Line: int(s.trie.line[word]), Start: s.start(word), End: s.at + size}
	}
}

// settle makes a match of the word that the last symbol ended, if one did.
func (s *scanner) settle() { s.done = s.maybe != 0 || s.done }

// start is where the last symbols that led to a node start.
func (s *scanner) start(node int32) int {
	return s.starts[(s.count-s.trie.depth(node))&(len(s.starts)-1)]
}

// keep is the position from which the text could still become a match.
func (s *scanner) keep() int {
	if s.node == 0 {
		return s.at
	}
	return s.start(s.node)
}

// FilterStream filters a text that arrives in pieces as Find does the whole: it holds back only what could still become
// a match. One goroutine at a time.
type FilterStream struct {
	scan  *scanner
	held  []byte // what came and was not compacted away; what was released of it, what was scanned
	gone  int
	read  int
	match *Match
}

// Stream begins a text.
func (f *Filter) Stream() *FilterStream { return &FilterStream{scan: newScanner(f.trie)} }

// Write takes the next piece and returns what may be shown of the text so far, which is good until the next call. Once
// there is a match, the text before it has been returned and nothing more ever is; the match is.
func (s *FilterStream) Write(p []byte) (safe []byte, m *Match) { return s.take(p, false) }

// Close returns what was held back, up to a match if that is what it was.
func (s *FilterStream) Close() (safe []byte, m *Match) { return s.take(nil, true) }

func (s *FilterStream) take(p []byte, last bool) ([]byte, *Match) {
	if s.match != nil {
		return nil, s.match
	}
	if s.gone >= len(s.held)-s.gone { // so that what is held is moved no more often than it grows
		s.held = append(s.held[:0], s.held[s.gone:]...)
		s.read -= s.gone
		s.gone = 0
	}
	s.held = append(s.held, p...)
	base := s.scan.at - s.read // the position of held[0]
	s.read += s.scan.feed(s.held[s.read:], last)
	from, to := s.gone, s.scan.keep()-base
	switch {
	case s.scan.done:
		s.match = &s.scan.found
		to = s.match.Start - base
	case last:
		to = len(s.held)
	}
	s.gone = to
	return s.held[from:to], s.match
}
