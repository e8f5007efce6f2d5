package term

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// calls records the data of each call of Write.
type calls []string

func (c *calls) Write(p []byte) (int, error) {
	*c = append(*c, string(p))
	return len(p), nil
}

// TestLive checks what is written; TestLiveOnAScreen checks the resulting screen at every height.
func TestLive(t *testing.T) {
	const k = "\x1b[K\n"
	for name, test := range map[string]struct {
		width int
		draws [][]string
		want  []string
	}{
		"fewer lines": {
			20,
			[][]string{{"one", "two", "three"}, {"four"}, {"five"}},
			[]string{"one" + k + "two" + k + "three" + k, "\r\x1b[3Afour" + k + "\x1b[J", "\r\x1b[1Afive" + k},
		},
		"cleared": {
			20,
			[][]string{nil, {"one", "two"}, nil, nil, {"three"}},
			[]string{"one" + k + "two" + k, "\r\x1b[2A\x1b[J", "three" + k},
		},
		"too wide": {
			9,
			[][]string{{"12345678", "123456789", "香港代理", "香港代理x", "a香港代理", "👩‍💻👩‍💻👩‍💻👩‍💻👩‍💻", "é́́1234567"}},
			[]string{"12345678" + k + "1234567…" + k + "香港代理" + k + "香港代…" + k + "a香港代…" + k + "👩‍💻👩‍💻👩‍💻…" + k + "é́́1234567" + k},
		},
		"styles": {
			6,
			[][]string{{"\x1b[32m香港代理\x1b[0m", "\x1b[1m12345\x1b[0m", "a\x1b[31mbcdef\x1b[0mgh\x1b[2m\x1b[0m"}},
			[]string{"\x1b[32m香港…\x1b[0m" + k + "\x1b[1m12345\x1b[0m" + k + "a\x1b[31mbcd…\x1b[0m\x1b[2m\x1b[0m" + k},
		},
		"controls": {
			20,
			[][]string{{"a\nb\tc\rd\be\u009bf\x00g\x7f\xff"}},
			[]string{"a b c d e f g �" + k},
		},
		"width 2": {2, [][]string{{"香", "ab", "a"}}, []string{"…" + k + "…" + k + "a" + k}},
		"width 1": {1, [][]string{{"香", "a", ""}, {"b"}}, []string{k + k + k, "\r\x1b[3A" + k + "\x1b[J"}},
		"width 0": {0, [][]string{{"a"}}, []string{k}},
	} {
		var out calls
		live := Live{Stream: Stream{&out, Facts{TTY: true, Width: test.width}}}
		for _, lines := range test.draws {
			live.Draw(lines)
		}
		if !slices.Equal(out, test.want) {
			t.Errorf("%s: written\n%q, want\n%q", name, []string(out), test.want)
		}
	}
}

// TestLiveElsewhere checks that nothing is written if cursor moves are not supported, and that a closed terminal
// causes no failure.
func TestLiveElsewhere(t *testing.T) {
	for _, facts := range []Facts{{Plain: true, Width: 80}, {TTY: true, Plain: true, Width: 80}, {Width: 80}} {
		var out bytes.Buffer
		live := Live{Stream: Stream{&out, facts}}
		live.Draw([]string{"a"})
		live.Clear()
		if out.Len() > 0 {
			t.Errorf("%+v: %q", facts, out.String())
		}
	}
	live := Live{Stream: Stream{closed{}, Facts{TTY: true, Width: 80}}}
	live.Draw([]string{"a"})
	live.Clear()
}

// screen is a terminal that supports only what Live writes. It fails on anything else.
type screen struct {
	t           *testing.T
	rows        []string
	row, column int
}

func (s *screen) Write(p []byte) (int, error) {
	rest := string(p)
	for rest != "" {
		sequence, width, size, _ := ansi.DecodeSequence(rest, ansi.NormalState, nil)
		rest = rest[size:]
		if s.row == len(s.rows) && (sequence == ansi.EraseLineRight || width > 0) {
			s.rows = append(s.rows, "")
		}
		var up int
		switch {
		case sequence == "\r":
			s.column = 0
		case sequence == "\n":
			s.row, s.column = s.row+1, 0
		case sequence == ansi.EraseLineRight:
			s.rows[s.row] = ansi.Truncate(s.rows[s.row], s.column, "")
		case sequence == ansi.EraseScreenBelow && s.column == 0:
			s.rows = s.rows[:min(s.row, len(s.rows))]
		case width > 0: // overwrites: the row keeps the text to the right
			s.rows[s.row] = ansi.Truncate(s.rows[s.row], s.column, "") + sequence + ansi.TruncateLeft(s.rows[s.row], s.column+width, "")
			s.column += width
		default:
			if n, err := fmt.Sscanf(sequence, "\x1b[%dA", &up); n != 1 || err != nil || up > s.row {
				s.t.Errorf("in row %d: %q", s.row, sequence)
			}
			s.row -= up
		}
	}
	return len(p), nil
}

// TestLiveOnAScreen draws blocks of every height after blocks of every height, below a line that belongs to another
// program.
func TestLiveOnAScreen(t *testing.T) {
	s := &screen{t: t, rows: []string{"$ ferry bench"}, row: 1}
	live := Live{Stream: Stream{s, Facts{TTY: true, Width: 11}}}
	for from := range 8 {
		for to := range 8 {
			for _, height := range []int{from, to} {
				var lines, want []string
				for i := range height {
					lines = append(lines, fmt.Sprintf("%s%d/%d", strings.Repeat("香", i), from, to))
				}
				for _, line := range lines {
					want = append(want, ansi.Truncate(line, 10, "…"))
				}
				live.Draw(lines)
				if !slices.Equal(s.rows, append([]string{"$ ferry bench"}, want...)) || s.row != 1+len(want) || s.column != 0 {
					t.Fatalf("%d rows after %d: row %d, column %d of %q", to, from, s.row, s.column, s.rows)
				}
			}
		}
	}
	live.Clear()
	if len(s.rows) != 1 || s.row != 1 || s.column != 0 {
		t.Errorf("cleared: row %d of %q", s.row, s.rows)
	}
}
