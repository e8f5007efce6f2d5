package guard

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestFilterLinks holds the links that a scanner makes as it goes to those of the whole trie: on words over few letters,
// which fall back all the time, in short texts.
func TestFilterLinks(t *testing.T) {
	if testing.Short() {
		t.Skip("long: thousands of words over three letters")
	}
	chance := rand.New(rand.NewPCG(1, 2))
	letters := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("abc"[chance.IntN(3)])
		}
		return b.String()
	}
	var words []string
	for range 4000 {
		words = append(words, letters(14+chance.IntN(12)))
	}
	f := mustFilter(t, words...)
	if len(f.trie.symbol) <= fewNodes {
		t.Fatalf("only %d nodes: all are linked at once", len(f.trie.symbol))
	}
	found := 0
	for range 3000 {
		text := letters(200)
		if chance.IntN(2) == 0 { // a word in two texts that share much with others
			w := words[chance.IntN(len(words))]
			text = letters(20) + w[:chance.IntN(len(w))] + w + letters(5)
		}
		lazy, eager := newScanner(f.trie), newScanner(f.trie)
		eager.all = f.trie.links()
		lazy.feed([]byte(text), true)
		eager.feed([]byte(text), true)
		if lazy.all != nil || lazy.done != eager.done || lazy.found != eager.found {
			t.Fatalf("%q: %v %+v as it goes, %v %+v of all", text, lazy.done, lazy.found, eager.done, eager.found)
		}
		if lazy.done {
			found++
		}
	}
	if found < 1000 || found == 3000 {
		t.Errorf("%d of 3000 texts have a word", found)
	}
}
