package term

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// shown replaces escape sequences with tags, so that the table can be read.
var shown = strings.NewReplacer("\x1b[0m", "</>", "\x1b[1m", "<b>", "\x1b[3m", "<i>", "\x1b[2m", "<dim>", "\x1b[36m", "<code>")

func styled(pieces ...string) string {
	var m Markdown
	var out []byte
	for _, piece := range pieces {
		out = m.Append(out, []byte(piece))
	}
	return string(m.Flush(out))
}

var markdownTests = []struct{ name, in, want string }{
	{"nothing", "", ""},
	{"prose", "plain words, 你好\n\nmore", "plain words, 你好\n\nmore"},
	{"a heading", "# Title\ntext", "<b># Title</>\ntext"},
	{"headings of six levels and no seventh", "###### a\n####### b", "<b>###### a</>\n####### b"},
	{"a heading with code", "## a `b`", "<b>## a </><b><code>`b`</>"},
	{"no heading without a space", "#!/bin/sh\n#tag", "#!/bin/sh\n#tag"},
	{"an empty heading", "#\ntext", "<b>#</>\ntext"},
	{"bold and italic", "a **b** *c* ***d*** e", "a <dim>**</><b>b</><dim>**</> <dim>*</><i>c</><dim>*</> <dim>***</><b><i>d</><dim>***</> e"},
	{"underscores", "__a__ _b_ snake_case_name __init__.py", "<dim>__</><b>a</><dim>__</> <dim>_</><i>b</><dim>_</> snake_case_name <dim>__</><b>init</><dim>__</>.py"},
	{"bold inside Chinese", "这是**重点**内容", "这是<dim>**</><b>重点</><dim>**</>内容"},
	{"products are no emphasis", "2*3*4 and 2 * 3 * 4 and a ** b", "2*3*4 and 2 * 3 * 4 and a ** b"},
	{"emphasis ends with its line", "a **b\nc", "a <dim>**</><b>b</>\nc"},
	{"a longer run is text", "a ****b****", "a ****b****"},
	{"escaped markers", "\\*a\\* \\`b\\` \\\\*c* d\\e", "\\*a\\* \\`b\\` \\\\<dim>*</><i>c</><dim>*</> d\\e"},
	{"a backslash at the end of a line", "a\\\n**b**", "a\\\n<dim>**</><b>b</><dim>**</>"},
	{"inline code", "run `ls *.go` now", "run <code>`ls *.go`</> now"},
	{"code with a backtick in it", "``a ` b`` c", "<code>``a ` b``</> c"},
	{"code that is not closed ends with its line", "a `b\nc", "a <code>`b</>\nc"},
	{"a backslash in code is one", "`a\\` b", "<code>`a\\`</> b"},
	{"a link", "see [the *page*](https://a.b/c_d_(e)?f=*g*) now",
		"see [the <dim>*</><i>page</><dim>*](https://a.b/c_d_(e)?f=*g*)</> now"},
	{"brackets that are no link", "a[0] [1] (b)", "a[0] [1] (b)"},
	{"a link that is not closed ends with its line", "[a](b\nc", "[a<dim>](b</>\nc"},
	{"lists", "- a\n* b\n+ c\n  - d\n10. e\n2) f", "<b>-</> a\n<b>*</> b\n<b>+</> c\n  <b>-</> d\n<b>10.</> e\n<b>2)</> f"},
	{"no list", "-a\n1.5 b\n-\n2020\n1234567890. c", "-a\n1.5 b\n-\n2020\n1234567890. c"},
	{"a list item with bold", "* **a**: b", "<b>*</> <dim>**</><b>a</><dim>**</>: b"},
	{"bold at the beginning of a line", "**a** b\n*c* d\n_e_", "<dim>**</><b>a</><dim>**</> b\n<dim>*</><i>c</><dim>*</> d\n<dim>_</><i>e</><dim>_</>"},
	{"a heading in a list", "- # a", "<b>-</> <b># a</>"},
	{"quotes", "> a\n> > **b**\nc", "<dim>></> a\n<dim>></> <dim>></> <dim>**</><b>b</><dim>**</>\nc"},
	{"rules", "---\n***\n___\n-----x", "<dim>---</>\n<dim>***</>\n<dim>___</>\n-----x"},
	{"a fence", "```go\na := *b // **c**\n\n# d\n```\n**e**",
		"<dim>```go</>\n<code>a := *b // **c**</>\n\n<code># d</>\n<dim>```</>\n<dim>**</><b>e</><dim>**</>"},
	{"a fence of tildes", "~~~\n```\n~~~~", "<dim>~~~</>\n<code>```</>\n<dim>~~~~</>"},
	{"a longer fence holds a shorter one", "````\n```\n````", "<dim>````</>\n<code>```</>\n<dim>````</>"},
	{"a fence with a word behind it does not close", "```\n``` a\n```", "<dim>```</>\n<code>``` a</>\n<dim>```</>"},
	{"a fence in a list", "1. a\n   ```sh\n     b\n   ```\n   c", "<b>1.</> a\n   <dim>```sh</>\n<code>     b</>\n<dim>   ```</>\n   c"},
	{"a fence in a quote", "> ```\n> a\n> ```\nb", "<dim>></> <dim>```</>\n<code>> a</>\n<dim>> ```</>\nb"},
	{"a fence that is not closed", "```\na", "<dim>```</>\n<code>a</>"},
	{"three backticks of inline code", "```a``` b", "<code>```a```</> b"},
	{"a table stays as it is", "| a | b |\n|---|---|", "| a | b |\n|---|---|"},
	{"CR LF", "# a\r\nb\r\n", "<b># a\r</>\nb\r\n"},
	{"a marker longer than any that means something", "x" + strings.Repeat("`", 300) + "a", "x<code>" + strings.Repeat("`", 300) + "a</>"},
}

func TestMarkdown(t *testing.T) {
	for _, test := range markdownTests {
		if got := shown.Replace(styled(test.in)); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

// TestMarkdownInPieces checks that a marker split over two pieces, or one character at a time, gives the same output
// as in one piece.
func TestMarkdownInPieces(t *testing.T) {
	for _, test := range markdownTests {
		want := styled(test.in)
		if got := styled(strings.Split(test.in, "")...); got != want {
			t.Errorf("%s, by characters: %q, want %q", test.name, got, want)
		}
		for cut := range test.in {
			if got := styled(test.in[:cut], test.in[cut:]); got != want {
				t.Errorf("%s, cut at %d: %q, want %q", test.name, cut, got, want)
			}
		}
	}
}

// TestMarkdownHoldsLittle checks that never more than the longest marker is held back.
func TestMarkdownHoldsLittle(t *testing.T) {
	for _, text := range []string{strings.Repeat(" ", 1e5), strings.Repeat("`", 1e5), strings.Repeat("-", 1e5), strings.Repeat("*a", 1e5), "```" + strings.Repeat("a", 1e5)} {
		var m Markdown
		var out []byte
		for _, r := range text {
			out = m.Append(out, []byte(string(r)))
			if len(m.held) > maxMarker {
				t.Fatalf("%.5q…: %d bytes are held back, want at most %d", text, len(m.held), maxMarker)
			}
		}
	}
}

func TestMarkdownPlain(t *testing.T) {
	m := Markdown{Plain: true}
	const text = "# a\n**b** `c`"
	if got := string(m.Flush(m.Append(nil, []byte(text)))); got != text {
		t.Errorf("on a plain stream: %q, want %q", got, text)
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, test := range markdownTests {
		f.Add(test.in, len(test.in)/2)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if strings.Contains(text, "\x1b") || strings.Contains(text, "\u009b") || !utf8.ValidString(text) {
			t.Skip("the text is made safe for a terminal first")
		}
		whole := styled(text)
		if got := ansi.Strip(whole); got != ansi.Strip(text) {
			t.Errorf("without styles %q, want %q", got, text)
		}
		if cut > 0 && cut < len(text) && utf8.RuneStart(text[cut]) {
			if got := styled(text[:cut], text[cut:]); got != whole {
				t.Errorf("cut at %d: %q, want %q", cut, got, whole)
			}
		}
		if last := strings.LastIndex(whole, "\x1b["); last >= 0 && !strings.HasPrefix(whole[last:], "\x1b[0m") {
			t.Errorf("%q leaves a style on", whole)
		}
	})
}

func BenchmarkMarkdown(b *testing.B) {
	text := []byte(strings.Repeat("Some **bold** words, `code` and a [link](https://a.b).\n", 1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var m Markdown
		m.Append(nil, text)
	}
}
