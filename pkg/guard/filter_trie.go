package guard

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"unicode/utf8"
)

// trie is an Aho-Corasick automaton over folded symbols. Its nodes are numbered by depth, and by word order within one,
// so that the children of a node are neighbours: a node is a few numbers in flat arrays, and nothing is hashed. Node 0
// is the root.
type trie struct {
	roots  [][]int32 // the root's children, by symbol: a page of 256 for every page that has one
	symbol []rune    // of each node, on the edge from its parent
	child  []int32   // of each node, its first child; the next node's first child ends them
	parent []int32
	line   []int32 // where a word ends, the first line that has it
	levels []int32 // the first node of each depth

	linking sync.Once
	all     links
}

// depth is how many symbols lead to a node.
func (t *trie) depth(node int32) int {
	return sort.Search(len(t.levels), func(i int) bool { return t.levels[i] > node }) - 1
}

// root returns the root's child for a symbol, 0 without one.
func (t *trie) root(symbol rune) int32 {
	page := int(uint32(symbol) >> 8)
	if page >= len(t.roots) || t.roots[page] == nil {
		return 0
	}
	return t.roots[page][symbol&0xff]
}

// next returns the child of a node other than the root, 0 without one.
func (t *trie) next(node int32, symbol rune) int32 {
	low, high := t.child[node], t.child[node+1]
	for high-low > 8 {
		middle := (low + high) / 2
		if t.symbol[middle] <= symbol {
			low = middle
		} else {
			high = middle
		}
	}
	for ; low < high; low++ {
		if t.symbol[low] == symbol {
			return low
		}
	}
	return 0
}

// trieBuilder collects folded words. They are sorted once; the trie is then read off level by level.
type trieBuilder struct {
	symbols []rune // of all words, one after the other
	words   []trieWord
}

type trieWord struct {
	key      uint64 // the first three symbols, which decide most comparisons
	from, to int32  // in symbols
	line     int32
}

// newTrieBuilder makes room for a list of so many bytes.
func newTrieBuilder(size int) *trieBuilder {
	return &trieBuilder{symbols: make([]rune, 0, size/2), words: make([]trieWord, 0, size/16)}
}

// add adds a word; false says that it folds to nothing.
func (b *trieBuilder) add(word []byte, line int) bool {
	from := len(b.symbols)
	for len(word) > 0 {
		r, size := utf8.DecodeRune(word)
		word = word[size:]
		at := len(b.symbols)
		b.symbols = fold(b.symbols, r)
		// A run of white space is one space, at the beginning none.
		if n := len(b.symbols); n > at && b.symbols[at] == ' ' && (at == from || b.symbols[at-1] == ' ') {
			b.symbols = slices.Delete(b.symbols, at, at+1)
		}
	}
	if n := len(b.symbols); n > from && b.symbols[n-1] == ' ' {
		b.symbols = b.symbols[:n-1]
	}
	symbols := b.symbols[from:]
	if len(symbols) == 0 {
		return false
	}
	var key uint64
	for i := range 3 {
		key <<= 21
		if i < len(symbols) {
			key |= uint64(symbols[i]) + 1 // the end of a word goes before any symbol
		}
	}
	b.words = append(b.words, trieWord{key, int32(from), int32(len(b.symbols)), int32(line)})
	return true
}

// sort puts the words in the order of their symbols, and their symbols one after the other in that order, so that
// building reads memory from its beginning to its end.
func (b *trieBuilder) sort() {
	slices.SortFunc(b.words, func(x, y trieWord) int {
		if x.key != y.key {
			return cmp.Compare(x.key, y.key)
		}
		if n := slices.Compare(b.symbols[x.from:x.to], b.symbols[y.from:y.to]); n != 0 {
			return n
		}
		return cmp.Compare(x.line, y.line)
	})
	sorted := make([]rune, 0, len(b.symbols))
	for i, w := range b.words {
		from := len(sorted)
		sorted = append(sorted, b.symbols[w.from:w.to]...)
		b.words[i].from, b.words[i].to = int32(from), int32(len(sorted))
	}
	b.symbols = sorted
}

// build reads the trie off the sorted words. A node is a range of words that begin alike; one level's ranges give the
// next one's.
func (b *trieBuilder) build() *trie {
	b.sort()
	most := len(b.symbols) + 1
	t := &trie{
		symbol: make([]rune, 1, most), child: make([]int32, 0, most+1), line: make([]int32, 1, most), parent: make([]int32, 1, most),
	}
	type words struct{ low, high int32 }
	level, next := []words{{0, int32(len(b.words))}}, []words(nil)
	for depth := int32(0); len(level) > 0; depth++ {
		first := int32(len(t.symbol) - len(level))
		t.levels = append(t.levels, first)
		next = next[:0]
		for i, w := range level {
			t.child = append(t.child, int32(len(t.symbol)))
			for w.low < w.high && b.words[w.low].to-b.words[w.low].from == depth {
				if node := first + int32(i); t.line[node] == 0 {
					t.line[node] = b.words[w.low].line
				}
				w.low++
			}
			for w.low < w.high {
				low, symbol := w.low, b.symbols[b.words[w.low].from+depth]
				for w.low < w.high && b.symbols[b.words[w.low].from+depth] == symbol {
					w.low++
				}
				t.symbol, t.line, t.parent = append(t.symbol, symbol), append(t.line, 0), append(t.parent, first+int32(i))
				next = append(next, words{low, w.low})
			}
		}
		level, next = next, level
	}
	t.child = append(t.child, int32(len(t.symbol)))
	t.index()
	return t
}

// index makes the root's children found by their symbols.
func (t *trie) index() {
	for node := t.child[0]; node < t.child[1]; node++ {
		page := int(t.symbol[node] >> 8)
		if page >= len(t.roots) {
			t.roots = append(t.roots, make([][]int32, page+1-len(t.roots))...)
		}
		if t.roots[page] == nil {
			t.roots[page] = make([]int32, 256)
		}
		t.roots[page][t.symbol[node]&0xff] = node
	}
}
