package guard

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"ferry/pkg/text"
)

// trie is an Aho-Corasick automaton over folded symbols. Its nodes are numbered by depth, and in word order within a
// depth, so that the children of a node are adjacent and a node is a few numbers in flat arrays. Node 0 is the root.
type trie struct {
	roots  []int32 // the root's children, by symbol
	symbol []rune  // of each node, on the edge from its parent
	child  []int32 // of each node, its first child; the next node's first child ends the range
	line   []int32 // if a word ends at the node, the first line with that word, else 0
	depth  []int32 // of each node, the number of its symbols
	fail   []int32 // of each node, the node of the longest proper suffix of its symbols
	found  []int32 // of each node, the node of the longest word that ends there, 0 if none
}

// step returns the next node.
func (t *trie) step(node int32, symbol rune) int32 {
	for node != 0 {
		children := t.symbol[t.child[node]:t.child[node+1]]
		if at, ok := slices.BinarySearch(children, symbol); ok {
			return t.child[node] + int32(at)
		}
		node = t.fail[node]
	}
	if uint(symbol) < uint(len(t.roots)) {
		return t.roots[symbol]
	}
	return 0
}

// wordSet holds the folded words of a list, unsorted.
type wordSet struct {
	symbols []rune // of all words, concatenated
	all     []folded
}

type folded struct {
	from, to int32 // indexes in symbols
	line     int32
}

// add adds a word. It returns false if the word folds to nothing.
func (w *wordSet) add(word []byte, line int) bool {
	from := len(w.symbols)
	for _, r := range string(word) {
		at := len(w.symbols)
		w.symbols = fold(w.symbols, r)
		// A run of white space becomes one space, and is dropped at the beginning.
		if n := len(w.symbols); n > at && w.symbols[at] == ' ' && (at == from || w.symbols[at-1] == ' ') {
			w.symbols = slices.Delete(w.symbols, at, at+1)
		}
	}
	if n := len(w.symbols); n > from && w.symbols[n-1] == ' ' {
		w.symbols = w.symbols[:n-1]
	}
	w.all = append(w.all, folded{int32(from), int32(len(w.symbols)), int32(line)})
	return len(w.symbols) > from
}

// trie sorts the words, equal words by line, and builds the trie level by level. A node is a range of words with the
// same prefix. The ranges of one level give the ranges of the next.
func (w *wordSet) trie() *trie {
	slices.SortFunc(w.all, func(x, y folded) int {
		return cmp.Or(slices.Compare(w.symbols[x.from:x.to], w.symbols[y.from:y.to]), cmp.Compare(x.line, y.line))
	})
	size := len(w.symbols) + 1
	t := &trie{symbol: make([]rune, 1, size), child: make([]int32, 0, size+1), line: make([]int32, 1, size), depth: make([]int32, 1, size)}
	level, next := [][]folded{w.all}, [][]folded(nil)
	for depth := int32(0); len(level) > 0; depth++ {
		first := len(t.symbol) - len(level)
		next = next[:0]
		for i, alike := range level {
			t.child = append(t.child, int32(len(t.symbol)))
			for ; len(alike) > 0 && alike[0].to-alike[0].from == depth; alike = alike[1:] {
				t.line[first+i] = cmp.Or(t.line[first+i], alike[0].line)
			}
			for len(alike) > 0 {
				symbol, n := w.symbols[alike[0].from+depth], 1
				for n < len(alike) && w.symbols[alike[n].from+depth] == symbol {
					n++
				}
				t.symbol, t.line, t.depth = append(t.symbol, symbol), append(t.line, 0), append(t.depth, depth+1)
				next, alike = append(next, alike[:n]), alike[n:]
			}
		}
		level, next = next, level
	}
	t.child = append(t.child, int32(len(t.symbol)))
	t.link()
	return t
}

// link sets fail and found, for nodes with fewer symbols first.
func (t *trie) link() {
	t.roots = make([]int32, t.symbol[t.child[1]-1]+1) // the last child has the largest symbol
	t.fail, t.found = make([]int32, len(t.symbol)), make([]int32, len(t.symbol))
	for node := range int32(len(t.symbol)) {
		for c := t.child[node]; c < t.child[node+1]; c++ {
			if node == 0 {
				t.roots[t.symbol[c]] = c
			} else {
				t.fail[c] = t.step(t.fail[node], t.symbol[c])
			}
			if t.found[c] = c; t.line[c] == 0 {
				t.found[c] = t.found[t.fail[c]]
			}
		}
	}
}

// noSymbol stands for a byte that is not UTF-8, and folds to itself. No word contains it.
const noSymbol rune = -1

// fold appends to dst the symbols with which r is compared: none for an invisible character, several for a character
// that stands for several. It looks only at r, so the same text folds the same however it is split. Combining marks
// in an unusual order are not reordered.
func fold(dst []rune, r rune) []rune {
	switch {
	case r < utf8.RuneSelf:
		return append(dst, foldASCII(r))
	case r >= 0x4e00 && r <= 0x9fff: // the common Han characters fold to themselves
		return append(dst, r)
	case r >= 0xac00 && r <= 0xd7a3:
		return foldHangul(dst, r-0xac00)
	case text.Invisible(r):
		return dst
	case unicode.IsSpace(r):
		return append(dst, ' ')
	}
	var b [utf8.UTFMax]byte
	parts := norm.NFKD.Properties(b[:utf8.EncodeRune(b[:], r)]).Decomposition()
	if parts == nil {
		return foldCase(dst, r)
	}
	for _, part := range string(parts) {
		dst = foldCase(dst, part)
	}
	return dst
}

func foldASCII(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r >= '\t' && r <= '\r':
		return ' '
	}
	return r
}

// foldCase folds through upper case, because several lower-case letters can have the same capital: ς and σ.
func foldCase(dst []rune, r rune) []rune {
	switch {
	case r < utf8.RuneSelf:
		return append(dst, foldASCII(r))
	case r == 'ß' || r == 'ẞ':
		return append(dst, 's', 's')
	}
	return append(dst, unicode.ToLower(unicode.ToUpper(r)))
}

// foldHangul decomposes a syllable as in chapter 3.12 of the Unicode standard, so that it equals the same syllable
// typed as separate letters, of full or half width.
func foldHangul(dst []rune, index rune) []rune {
	const vowels, finals = 21, 28
	dst = append(dst, 0x1100+index/(vowels*finals), 0x1161+index%(vowels*finals)/finals)
	if final := index % finals; final > 0 {
		dst = append(dst, 0x11a7+final)
	}
	return dst
}

// isModifier reports whether a symbol modifies the letter before it: an accent, a vowel sign, the rest of a Hangul
// syllable.
func isModifier(symbol rune) bool {
	return symbol >= 0x300 && (symbol >= 0x1160 && symbol <= 0x11ff || unicode.Is(unicode.Mn, symbol))
}
