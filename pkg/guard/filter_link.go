package guard

// link is what depends on shorter nodes: the node of the longest proper suffix of a node's symbols, and the node of the
// longest word that ends here, 0 without one.
type link struct{ fail, found int32 }

// links has the link of every node. To make them takes a third of the time of making a trie, and a prompt comes to few of
// its nodes, so that a scanner makes its own as it goes until the text is long.
type links []link

const (
	// fewNodes is how many nodes are linked at once, since it takes no time.
	fewNodes = 1 << 14
	// longText is from how many bytes of a text on all links are made.
	longText = 16 << 10
)

// links makes the links of all nodes, once. The shorter nodes come first.
func (t *trie) links() links {
	t.linking.Do(func() {
		all := make(links, len(t.symbol))
		for node := int32(1); node < int32(len(all)); node++ {
			if up := t.parent[node]; up != 0 {
				all[node].fail = t.step(all[up].fail, t.symbol[node], func(n int32) int32 { return all[n].fail })
			}
			if all[node].found = node; t.line[node] == 0 {
				all[node].found = all[all[node].fail].found
			}
		}
		t.all = all
	})
	return t.all
}

// step is the automaton's move.
func (t *trie) step(node int32, symbol rune, fail func(int32) int32) int32 {
	for node != 0 {
		if n := t.next(node, symbol); n != 0 {
			return n
		}
		node = fail(node)
	}
	return t.root(symbol)
}

// step moves the scanner.
func (s *scanner) step(node int32, symbol rune) int32 {
	for node != 0 {
		if n := s.trie.next(node, symbol); n != 0 {
			return n
		}
		node = s.link(node).fail
	}
	return s.trie.root(symbol)
}

// link gives the link of one node.
func (s *scanner) link(node int32) link {
	if s.all != nil {
		return s.all[node]
	}
	if node == 0 {
		return link{}
	}
	l, known := s.made[node]
	if known {
		return l
	}
	if up := s.trie.parent[node]; up != 0 {
		l.fail = s.step(s.link(up).fail, s.trie.symbol[node])
	}
	if l.found = node; s.trie.line[node] == 0 {
		l.found = s.link(l.fail).found
	}
	s.made[node] = l
	return l
}
