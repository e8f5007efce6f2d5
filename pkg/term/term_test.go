package term

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ferry/pkg/text"
)

func TestLookAtAPipe(t *testing.T) {
	for name, stream := range map[string]any{"a buffer": &bytes.Buffer{}, "nothing": nil} {
		if f := FactsOf(stream, false); f.TTY || !f.Plain || f.Width != 80 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestStyles(t *testing.T) {
	for _, test := range []struct {
		facts Facts
		want  string
	}{
		{Facts{TTY: true}, "\x1b[32m✓\x1b[0m"},
		{Facts{TTY: true, Plain: true}, "✓"},
		{Facts{Plain: true}, "✓"},
	} {
		if got := NewStyles(test.facts).Good.Render("✓"); got != test.want {
			t.Errorf("%+v: %q, want %q", test.facts, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	rows := [][]string{{"node", "label"}, {"hk", "香港代理节点"}, {"a-long-name", "👩‍💻 x"}, {"e", "é"}}
	want := "node         label\nhk           香港代理节点\na-long-name  👩‍💻 x\ne            é\n"
	if got := Table(rows, 80, 0, Style{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for width := -1; width < 40; width++ {
		for _, line := range strings.Split(Table(rows, width, 0, Style{}), "\n") {
			// Two columns are never cut below narrowest each.
			if got, most := text.Width(line), max(width, 2*narrowest+len(gap)); got > most {
				t.Errorf("width %d: %d columns: %q", width, got, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("width %d: trailing spaces: %q", width, line)
			}
		}
	}
	if got := Table(nil, 80, 0, Style{}); got != "" {
		t.Errorf("no rows: %q", got)
	}
}

// TestTableKeeps checks that the first columns stay complete and that an empty column is left out.
func TestTableKeeps(t *testing.T) {
	rows := [][]string{{"", "node", "label", "address"}, {"*", "singapore-2", "", "https://sg.example.com/api"}, {"", "hk", "", "x"}}
	want := "   node         address\n*  singapore-2  https:/…\n   hk           x\n"
	if got := Table(rows, 20, 2, Style{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTableOrCards checks that rows become cards if the table would have to be cut, and that no text is lost.
func TestTableOrCards(t *testing.T) {
	rows := [][]string{
		{"", "node", "label", "address", "pins"},
		{"*", "sg", "新加坡", "https://singapore.example.com/api", ""}, {"", "hk", "", "x", ""},
	}
	table := "   node  label   address\n*  sg    新加坡  https://singapore.example.com/api\n   hk            x\n"
	cards := "* sg\n  label    新加坡\n  address  https://singapore.example.com/api\nhk\n  address  x\n"
	for _, test := range []struct {
		width int
		want  string
	}{{80, table}, {50, table}, {49, cards}, {20, cards}} {
		if got := TableOrCards(rows, test.width, 2, Style{}); got != test.want {
			t.Errorf("width %d: got\n%s\nwant\n%s", test.width, got, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text          string
		width, indent int
		want          string
	}{
		{"one two three four", 9, 0, "one two\nthree\nfour"},
		{"one two three four", 14, 4, "one two three\n    four"},
		{"hint: a\nsecond line here", 12, 2, "hint: a\nsecond line\n  here"},
		{"香港代理节点香港代理节点", 12, 0, "香港代理节点\n香港代理节点"},
		{"one two three four", 5, 2, "one two three four"},
		{"", 20, 2, ""},
		{"a node in us-east-1 took 98 % of it", 14, 2, "a node in\n  us-east-1\n  took 98 % of\n  it"},
		{"one two", 80, 2, "one two"},
		{"https://hongkong.example.com", 12, 2, "https://ho\n  ngkong.exa\n  mple.com"},
		{"two words", 3, 2, "two words"},
		{"a" + strings.Repeat(" ", 9) + "b", 10, 2, "a" + strings.Repeat(" ", 8) + "\n  b"},
		{"a\t\tb c", 10, 2, "a" + strings.Repeat(" ", 8) + "b\n  c"},
		{"a\t\t\tb", 10, 2, "a" + strings.Repeat(" ", 9) + "\n    b"},
	} {
		if got := Wrap(test.text, test.width, test.indent); got != test.want {
			t.Errorf("Wrap(%q, %d, %d) = %q, want %q", test.text, test.width, test.indent, got, test.want)
		}
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errors.New("closed") }
