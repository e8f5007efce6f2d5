package guard

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// listOf opens a list that is in memory.
func listOf(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func mustFilter(t testing.TB, words ...string) *Filter {
	t.Helper()
	f, err := NewFilter("words", words)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFilterFind gives the text that is found, "" where nothing is. In want, one word's index from 1 is the line.
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
			if ok != (test.line > 0) || m.Line != test.line || test.text[m.Start:m.End] != test.found {
				t.Errorf("%v %+v %q, want line %d %q", ok, m, test.text[m.Start:m.End], test.line, test.found)
			}
		})
	}
}

func TestLoadFilter(t *testing.T) {
	const list = "\ufeff# comment\r\n\r\n  first \r\n#\n#tag\n\u3000第二\u3000\nlast"
	f, err := LoadFilter("list.txt", listOf(list))
	if err != nil {
		t.Fatal(err)
	}
	for text, line := range map[string]int{"FIRST": 3, "a #tag": 5, "第二": 6, "last": 7, "comment": 0, "#": 0} {
		if m, ok := f.Find(text); ok != (line > 0) || m.Line != line {
			t.Errorf("%q: line %d, want %d", text, m.Line, line)
		}
	}
	err = f.Check("it comes LAST of all", "prompt")
	var blocked *BlockedError
	if !errors.As(err, &blocked) || err.Error() != "the content filter blocked the prompt: line 7 of list.txt" || blocked.Hint() == "" {
		t.Errorf("%v", err)
	}
	if strings.Contains(strings.ToLower(err.Error()+blocked.Hint()), "it comes") {
		t.Errorf("quotes the text: %v", err)
	}
	if err := f.Check("fine", "prompt"); err != nil {
		t.Error(err)
	}
}

func TestLoadFilterRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a list without an end")
	}
	broken := errors.New("input/output error")
	tests := []struct {
		name string
		open func() (io.ReadCloser, error)
		want string
	}{
		{"missing", func() (io.ReadCloser, error) { return nil, broken }, "word list w.txt cannot be opened: input/output error"},
		{"unreadable", func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(broken)), nil }, "word list w.txt cannot be read: input/output error"},
		{"empty", listOf(""), "word list w.txt has no words"},
		{"a mark alone", listOf("\ufeff"), "word list w.txt has no words"},
		{"comments alone", listOf("# a\n\n \t \n#\n"), "word list w.txt has no words"},
		{"not UTF-8", listOf("good\nb\xc4\xe3d\n"), "word list w.txt:2 is not UTF-8"},
		{"UTF-16", listOf("g\x00o\x00\n\x00"), "word list w.txt:1 has a NUL byte"},
		{"invisible", listOf("good\n\u200b\u200d\n"), "word list w.txt:2 has invisible characters alone"},
		{"endless", func() (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }, "word list w.txt is longer than 32 MiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := LoadFilter("w.txt", test.open)
			var refused *FilterError
			if f != nil || !errors.As(err, &refused) || err.Error() != test.want || refused.Hint() == "" {
				t.Fatalf("%v, want %s", err, test.want)
			}
			if (refused.Err != nil) != errors.Is(err, broken) {
				t.Errorf("the cause is %v", refused.Err)
			}
		})
	}
	if _, err := NewFilter("filter.words", nil); err == nil {
		t.Error("no words are no filter")
	}
	if m, ok := mustFilter(t, "# not a comment").Find("it is # not a comment"); !ok || m.Line != 1 {
		t.Error("a list that is no file has no comments")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
