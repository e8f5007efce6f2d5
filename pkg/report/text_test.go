package report

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// TestTextWidths checks that no line is wider than the terminal, whatever it contains, and that the essential columns
// stay at every width that has room for them.
func TestTextWidths(t *testing.T) {
	for name, s := range fixtures() {
		for _, width := range []int{1, 8, 20, 40, 60, 61, 72, 80, 100, 120, 200} {
			for _, plain := range []bool{true, false} {
				got := write(t, Text, s, Options{Facts: term.Facts{TTY: true, Plain: plain, Width: width}})
				fits(t, name, width, got)
				if width < 60 || name == "nothing" {
					continue
				}
				heading := tableHeading(t, got)
				for _, want := range []string{"node", "p50", "p95", "success"} {
					if !slices.Contains(heading, want) {
						t.Errorf("%s at %d lacks %s: %s", name, width, want, heading)
					}
				}
			}
		}
	}
}

// fits checks that no line is wider than the terminal, if the terminal has room for the columns that always stay.
func fits(t *testing.T, name string, width int, got string) {
	t.Helper()
	for line := range strings.SplitSeq(got, "\n") {
		if w := text.Width(line); width >= 60 && w > width {
			t.Errorf("%s at %d has a line of %d: %q", name, width, w, line)
		}
	}
}

// tableHeading returns the words of the heading of the first table.
func tableHeading(t *testing.T, text string) []string {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if words := strings.Fields(ansi.Strip(line)); len(words) > 2 && words[0] == "node" {
			return words
		}
	}
	t.Fatalf("no table in:\n%s", text)
	return nil
}

// TestTextNames: at 60 columns no name is cut, even if it is wider than the terminal.
func TestTextNames(t *testing.T) {
	s := three()
	s.Rows[1].Node.Name = "https://gateway.example.com/region/ap-east-1/providers/first?tier=standard&cache=off"
	s.Header.Nodes[1].Name = s.Rows[1].Node.Name
	got := write(t, Text, s, terminal(60))
	lines := strings.Split(got, "\n")
	for _, want := range []string{s.Rows[1].Node.Name[:60], s.Rows[1].Node.Name[60:]} {
		if n := len(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return line != want })); n < 3 {
			t.Errorf("%q is a line of its own %d times, want it over figures, plot and phases:\n%s", want, n, got)
		}
	}
}

// TestTextNumbers: a narrow table cuts no number.
func TestTextNumbers(t *testing.T) {
	s := three()
	s.Rows[1].Node.Name = strings.Repeat("香港", 10000) // must not take long
	got := write(t, Text, s, terminal(60))
	for _, want := range []string{"788 ms", "1.23 s", "98 %", "…"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing from\n%s", want, got)
		}
	}
}

// TestNoEmptyTable checks that a table without any value is not written.
func TestNoEmptyTable(t *testing.T) {
	s := three()
	for _, r := range s.Rows {
		r.Lag = &bench.Stats{N: 1, P50: math.NaN(), P99: math.NaN()}
		r.Latency.P50, r.Latency.P99, r.Uncorrected = math.NaN(), math.NaN(), nil
	}
	var b strings.Builder
	if err := Write(&b, Text, s, Options{Facts: term.Facts{Plain: true}}); err != nil || strings.Contains(b.String(), "fixed rate") {
		t.Errorf("%v, %s", err, b.String())
	}
}

// TestLowSuccessIsRed checks that a success rate proven to be below another one is red, also beside a node without any
// request.
func TestLowSuccessIsRed(t *testing.T) {
	s := three()
	idle := row(node("idle", ""), 0, 0, 1)
	s.Rows, s.Header.Nodes = append(s.Rows, idle), append(s.Header.Nodes, idle.Node)
	got := write(t, Text, s, Options{Facts: term.Facts{TTY: true, Width: 120}})
	if red := "\x1b[31m   82 %\x1b[0m"; !strings.Contains(got, red) {
		t.Errorf("want %q in\n%q", red, got)
	}
}

// TestTextPipe: in a pipe nothing is wrapped or styled, whatever the given width.
func TestTextPipe(t *testing.T) {
	got := write(t, Text, three(), Options{Facts: term.Facts{Width: 20}})
	if want := write(t, Text, three(), Options{Facts: term.Facts{Plain: true, Width: 80}}); got != want {
		t.Errorf("with a width of 20:\n%s\nwant\n%s", got, want)
	}
}

func FuzzText(f *testing.F) {
	f.Add(evil, "label", 60)
	f.Add("香港", "🇨🇳👨‍👩‍👧☺️", 1)
	f.Fuzz(func(t *testing.T, name, label string, width int) {
		s := three()
		s.Rows[1].Node.Name, s.Rows[1].Node.Label = name, label
		s.Rows[1].Failures[0].Class, s.Rows[1].Failures[0].Detail = label, name
		s.Warnings = []bench.Warning{{Text: name + " " + label}}
		width = 1 + width&0xff
		got := write(t, Text, s, terminal(width))
		fits(t, "it", width, got)
		if strings.ContainsFunc(strings.ReplaceAll(got, "\n", ""), unicode.IsControl) {
			t.Errorf("a control character: %q", got)
		}
	})
}

// TestHead: the lines above the table describe the run.
func TestHead(t *testing.T) {
	s := three()
	for _, r := range s.Rows {
		r.Node.Connection = bench.Reused
	}
	for why, want := range map[string]string{
		"interrupted": ", interrupted\n", "max tokens": ", stopped at the token limit\n",
		"precision": ", stopped at the requested precision\n", "the sky fell": ", stopped early: the sky fell\n",
	} {
		s.Stopped = why
		if got := write(t, Text, s, Options{}); !strings.Contains(got, want) || !strings.Contains(got, ", reused connections,") {
			t.Errorf("%s: got\n%s\nwant %q and reused connections", why, got, want)
		}
	}
}
