package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

func mustFilter(t testing.TB, words ...string) *Filter {
	t.Helper()
	f, err := NewFilter("words", words)
	must(t, err)
	return f
}

// TestFilterFind checks the text that is found, "" for none, and the line, which is the word's index from 1.
func TestFilterFind(t *testing.T) {
	tests := []struct {
		name, words, text string
		line              int
		found             string
	}{
		{"plain", "secret", "a secret plan", 1, "secret"},
		{"inside a word", "cat", "concatenate", 1, "cat"},
		{"nothing", "secret", "a plain text", 0, ""},
		{"no text", "secret", "", 0, ""},
		{"case of the text", "secret", "A SeCRet", 1, "SeCRet"},
		{"case of the word", "SECRET", "a secret", 1, "secret"},
		{"full width in the text", "secret7", "a ｓＥＣＲＥＴ７ plan", 1, "ｓＥＣＲＥＴ７"},
		{"full width in the word", "ｓｅｃｒｅｔ", "a secret plan", 1, "secret"},
		{"half-width katakana", "ガード", "これはｶﾞｰﾄﾞです", 1, "ｶﾞｰﾄﾞ"},
		{"katakana in the word", "ｶﾞｰﾄﾞ", "これはガードです", 1, "ガード"},
		{"half-width Hangul", "하", "ﾾￂ", 1, "ﾾￂ"},
		{"Hangul letter by letter", "한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8", 1, "\u1112\u1161\u11ab\u1100\u116e\u11a8"},
		{"half a syllable", "가", "각", 0, ""},
		{"Han", "敏感|禁词", "这里有禁词。", 2, "禁词"},
		{"one sign for several", "株式会社", "㍿東京", 1, "㍿"},
		{"inside such a sign", "式会", "㍿東京", 1, "㍿"},
		{"ligature", "office", "the oﬃce", 1, "oﬃce"},
		{"circled", "no1", "NO①", 1, "NO①"},
		{"sharp s", "straße", "STRASSE", 1, "STRASSE"},
		{"final sigma", "ΟΔΟΣ", "οδος", 1, "οδος"},
		{"Kelvin", "kelvin", "\u212aelvin", 1, "\u212aelvin"},
		{"Cyrillic", "ПРИВЕТ", "привет", 1, "привет"},
		{"composed", "é1", "e\u03011", 1, "e\u03011"},
		{"decomposed", "e\u03011", "é1", 1, "é1"},
		{"an accent is another letter", "resume", "résumé", 0, ""},
		{"at the end too", "cafe", "café", 0, ""},
		{"decomposed at the end too", "cafe", "cafe\u0301", 0, ""},
		{"then it comes without", "cafe", "café cafe", 1, "cafe"},
		{"voiced", "ハハ", "ハバ", 0, ""},
		{"zero width", "secret", "s\u200be\u200dc\ufeffr\u00ade\ufe0ft", 1, "s\u200be\u200dc\ufeffr\u00ade\ufe0ft"},
		{"zero width before an accent", "cafe", "cafe\u200b\u0301", 0, ""},
		{"zero width in the word", "se\u200bcret", "secret", 1, "secret"},
		{"bidi", "secret", "s\u202eecret", 1, "s\u202eecret"},
		{"white space", "two words", "two \t\r\n\u3000\u00a0words", 1, "two \t\r\n\u3000\u00a0words"},
		{"white space in the word", "two \t words", "two words", 1, "two words"},
		{"no white space", "two words", "twowords", 0, ""},
		{"spaces are not ignored", "secret", "s e c r e t", 0, ""},
		{"ends first", "abcd|bc", "abcd", 2, "bc"},
		{"longest of one end", "bc|abc", "abc", 2, "abc"},
		{"suffix of a prefix", "she|he|hers", "ushers", 1, "she"},
		{"falls back", "aab|ab", "aaab", 1, "aab"},
		{"falls back far", "abcabd|cabca", "abcabcabd", 2, "cabca"},
		{"twice in the list", "x1|X１|x1", "x1", 1, "x1"},
		{"not UTF-8 between", "secret", "sec\xffret", 0, ""},
		{"not UTF-8 around", "secret", "\xe6secret\xff", 1, "secret"},
		{"replacement character", "a\ufffdb", "a\xffb a\ufffdb", 1, "a\ufffdb"},
		{"beyond the BMP", "😀x", "a😀X", 1, "😀X"},
		{"the last character there is", "\U0010ffff", "\U0010ffff", 1, "\U0010ffff"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := mustFilter(t, strings.Split(test.words, "|")...)
			m, ok := f.Find(test.text)
			found := test.text[m.Start:m.End]
			errorIf(t, ok != (test.line > 0) || m.Line != test.line || found != test.found,
				"%v %+v %q, want line %d %q", ok, m, found, test.line, test.found)
		})
	}
}

func TestLoadFilter(t *testing.T) {
	const list = "\ufeff# comment\r\n\r\n  first \r\n#\n#tag\n\u3000第二\u3000\nlast"
	f, err := LoadFilter("list.txt", strings.NewReader(list))
	must(t, err)
	for text, line := range map[string]int{"FIRST": 3, "a #tag": 5, "第二": 6, "last": 7, "comment": 0, "#": 0} {
		m, ok := f.Find(text)
		errorIf(t, ok != (line > 0) || m.Line != line, "%q: line %d, want %d", text, m.Line, line)
	}
	err = f.Check("it comes LAST of all", "prompt")
	var blocked *BlockedError
	if !errors.As(err, &blocked) || blocked.Hint() == "" {
		t.Fatalf("got %v, want a BlockedError with a hint", err)
	}
	equal(t, "the error", err.Error(), "the content filter blocked the prompt: line 7 of list.txt")
	errorIf(t, strings.Contains(strings.ToLower(err.Error()+blocked.Hint()), "it comes"), "quotes the text: %v", err)
	must(t, f.Check("fine", "prompt"))
}

func TestLoadFilterRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a list without an end")
	}
	broken := errors.New("input/output error")
	tests := []struct {
		name   string
		source io.Reader
		want   string
	}{
		{"unreadable", iotest.ErrReader(broken), "word list w.txt cannot be read: input/output error"},
		{"empty", strings.NewReader(""), "word list w.txt has no words"},
		{"a mark alone", strings.NewReader("\ufeff"), "word list w.txt has no words"},
		{"comments alone", strings.NewReader("# a\n\n \t \n#\n"), "word list w.txt has no words"},
		{"not UTF-8", strings.NewReader("good\nb\xc4\xe3d\n"), "word list w.txt:2 is not UTF-8"},
		{"UTF-16", strings.NewReader("g\x00o\x00\n\x00"), "word list w.txt:1 has a NUL byte"},
		{"invisible", strings.NewReader("good\n\u200b\u200d\n"), "word list w.txt:2 has only invisible characters"},
		{"endless", endless{}, "word list w.txt is longer than 32 MiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := LoadFilter("w.txt", test.source)
			var refused *FilterError
			if f != nil || !errors.As(err, &refused) || err.Error() != test.want || refused.Hint() == "" {
				t.Fatalf("%v, want %s", err, test.want)
			}
			errorIf(t, (refused.Err != nil) != errors.Is(err, broken), "the cause is %v", refused.Err)
		})
	}
	_, err := NewFilter("filter.words", nil)
	errorIf(t, err == nil, "no words are no filter")
	m, ok := mustFilter(t, "# not a comment").Find("it is # not a comment")
	errorIf(t, !ok || m.Line != 1, "a list that is no file has no comments")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// naive is Find written from its definition: it compares every word at every position.
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
		if end < len(symbols) && isModifier(symbols[end].r) {
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
			if slices.EqualFunc(w, symbols[end-len(w):end], func(x, y sym) bool { return x.r == y.r }) {
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

// FuzzFilter compares Find with naive, and the stream with Find however the text is split.
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
		safe, blocked := stream.Close(nil)
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

// TestFilterStreamHoldsBack checks what is held back after each piece.
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
		{"a secret", "secret"}, // until the next character shows that it does not modify the last letter
	} {
		stream := f.Stream()
		safe, m := stream.Write([]byte(test.text))
		held := test.text[len(safe):]
		errorIf(t, held != test.held || m != nil, "%q: holds %q, want %q; %v", test.text, held, test.held, m)
	}
}

// wordList returns n different words of 2 to 12 characters, three quarters of them Chinese.
func wordList(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	var list bytes.Buffer
	for len(seen) < n {
		word := make([]rune, 2+rng.IntN(11))
		for i := range word {
			if n := len(seen); n%4 != 0 {
				word[i] = 0x4e00 + rune(rng.ExpFloat64()*700)%20000
			} else {
				word[i] = 'a' + rune(rng.IntN(26))
			}
		}
		if w := string(word); !seen[w] {
			seen[w] = true
			fmt.Fprintln(&list, w)
		}
	}
	return list.Bytes()
}

// prose returns a text of about n bytes, half of it Chinese, with the characters of wordList.
func prose(n int) string {
	rng := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for b.Len() < n {
		for range 20 {
			b.WriteRune(0x4e00 + rune(rng.ExpFloat64()*700)%20000)
			if rng.IntN(8) == 0 {
				b.WriteString("，")
			}
		}
		b.WriteString("It was the best of times. ")
	}
	return b.String()
}

// TestFilterMemory checks that a list of 100,000 words needs at most 50 MB.
func TestFilterMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a list of 100,000 words")
	}
	list := string(wordList(100_000))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := LoadFilter("list", strings.NewReader(list))
	must(t, err)
	runtime.ReadMemStats(&after)
	all := (after.TotalAlloc - before.TotalAlloc) >> 20
	errorIf(t, all > 50, "building took %d MB, want at most 50", all)
	t.Logf("building took %d MB, %d nodes", all, len(f.trie.symbol))
}

// TestFilterHostile checks text in which every character follows a fail link: the scan must stay linear, and held
// bytes must not be copied for every piece.
func TestFilterHostile(t *testing.T) {
	f := mustFilter(t, strings.Repeat("a", 5000)+"b", "ac")
	m, ok := f.Find(strings.Repeat("a", 1<<20) + "c")
	errorIf(t, !ok || m.Start != 1<<20-1, "%v %+v", ok, m)
	stream := f.Stream()
	stream.Write([]byte("a"))
	piece, n := []byte("\u200b"), 0
	for range 1 << 18 {
		safe, _ := stream.Write(piece)
		n += len(safe)
	}
	safe, _ := stream.Close(nil)
	errorIf(t, n != 0 || len(safe) != 1+3<<18, "let %d bytes pass, then %d", n, len(safe))
}

func BenchmarkFilterLoad(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		list := string(wordList(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := LoadFilter("list", strings.NewReader(list)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFilterFind(b *testing.B) {
	text := prose(1 << 20)
	// Only longer words, so that the text does not contain any.
	for _, n := range []int{1, 100_000} {
		var words []string
		for _, word := range strings.Fields(string(wordList(n))) {
			if len([]rune(word)) > 5 || n == 1 {
				words = append(words, word)
			}
		}
		f := mustFilter(b, words...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if m, ok := f.Find(text); ok {
					b.Fatal(m)
				}
			}
		})
	}
	f := mustFilter(b, strings.Fields(string(wordList(10)))...)
	b.Run("pieces", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			stream := f.Stream()
			for rest := []byte(text); len(rest) > 0; rest = rest[min(len(rest), 16):] {
				stream.Write(rest[:min(len(rest), 16)])
			}
			stream.Close(nil)
		}
	})
}
