package guard

import (
	"strings"
	"testing"
	"unicode"
)

// naive finds what Find should, straight from its definition: by comparing every word at every place.
func naive(words []string, text string) (want Match, ok bool) {
	type sym struct {
		r        rune
		from, to int
	}
	symbolsOf := func(text string) (all []sym) {
		for i, r := range text {
			size := len(string(r))
			if r == unicode.ReplacementChar && !strings.HasPrefix(text[i:], "\ufffd") {
				r, size = noSymbol, 1
			}
			for _, s := range fold(nil, r) {
				if s != ' ' || len(all) == 0 || all[len(all)-1].r != ' ' {
					all = append(all, sym{s, i, i + size})
				}
			}
		}
		return all
	}
	symbols := symbolsOf(text)
	for end := 1; end <= len(symbols); end++ {
		if end < len(symbols) && joins(symbols[end].r) {
			continue
		}
		longest := 0
		for line, word := range words {
			w := symbolsOf(word)
			for len(w) > 0 && w[0].r == ' ' {
				w = w[1:]
			}
			for len(w) > 0 && w[len(w)-1].r == ' ' {
				w = w[:len(w)-1]
			}
			if len(w) <= longest || len(w) > end {
				continue
			}
			same := true
			for i := range w {
				same = same && w[i].r == symbols[end-len(w)+i].r
			}
			if same {
				longest = len(w)
				want, ok = Match{line + 1, symbols[end-len(w)].from, symbols[end-1].to}, true
			}
		}
		if ok {
			return want, true
		}
	}
	return Match{}, false
}

// FuzzFilter holds Find to its definition, the stream to Find however the text is cut, and what the stream holds back
// to what could still become a match.
func FuzzFilter(f *testing.F) {
	f.Add("abcd|bc", "xabcabcd", []byte{0})
	f.Add("ab\u0301|a", "aba\u0301b", []byte{1})
	f.Add("敏感词|感", "敏\u200b感词和ＡＢ", []byte{0, 1, 5})
	f.Add("two words|wo", "two \t  w", []byte{2})
	f.Add("株式|a", "x㍿\xe3\x8d", []byte{0})
	f.Add("aaaa|aab", "aaaaab", []byte{0, 3})
	f.Add("각|가나", "\u1100\u1161각가", []byte{0, 3})
	f.Add("0\n\u200d|\u200d a", "x0\xb3 a", []byte{0})
	f.Fuzz(func(t *testing.T, list, text string, cuts []byte) {
		words := strings.Split(list, "|")
		filter, err := NewFilter("words", words)
		if err != nil || len(text) > 2000 || len(list) > 200 {
			return
		}
		m, ok := filter.Find(text)
		if want, wantOK := naive(words, text); m != want || ok != wantOK {
			t.Fatalf("%v %+v, by the definition %v %+v", ok, m, wantOK, want)
		}
		stream := filter.Stream()
		var shown []byte
		var blocked *Match
		inPieces([]byte(text), cuts, func(piece []byte) {
			safe, got := stream.Write(piece)
			if blocked != nil && (len(safe) > 0 || got == nil || *got != *blocked) {
				t.Fatalf("after a match %q, %v", safe, got)
			}
			shown, blocked = append(shown, safe...), got
		})
		safe, blocked := stream.Close()
		shown = append(shown, safe...)
		switch {
		case ok != (blocked != nil):
			t.Fatalf("in pieces %v, whole %v", blocked, ok)
		case ok && *blocked != m:
			t.Fatalf("in pieces %+v, whole %+v", *blocked, m)
		case ok && string(shown) != text[:m.Start], !ok && string(shown) != text:
			t.Fatalf("shown %q of %q, match %+v", shown, text, m)
		}
	})
}

// TestFilterStreamHoldsBack gives what is held after each piece.
func TestFilterStreamHoldsBack(t *testing.T) {
	f := mustFilter(t, "secret", "敏感词", "two words")
	for _, test := range []struct{ text, held string }{
		{"plain", ""},
		{"a sec", "sec"},
		{"a sex", ""},
		{"a seces", "s"},
		{"这是敏感", "敏感"},
		{"这是敏\xe6\x84", "敏\xe6\x84"},
		{"这是\xe6\x84", "\xe6\x84"},
		{"x\u200b\u200b", ""},
		{"xs\u200b\u200b", "s\u200b\u200b"},
		{"two   ", "two   "},
		{"a secret", "secret"}, // until what follows shows that it is not another letter
	} {
		stream := f.Stream()
		safe, m := stream.Write([]byte(test.text))
		if held := test.text[len(safe):]; held != test.held || m != nil {
			t.Errorf("%q: holds %q, want %q; %v", test.text, held, test.held, m)
		}
	}
}
