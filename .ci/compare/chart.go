package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// chart is what was measured of one thing: a row for each contestant, and what ferry is held to. It is printed when it is
// done, and once more on the README's page.
type chart struct {
	title string
	again string // the command that repeats it
	about string // how it was measured; its lines are broken for a terminal
	heads []string
	rows  []row
	notes string
	goals []goal
	// absent is why there are no rows.
	absent string
}

// row is a contestant. It always has its command: a figure without one cannot be checked.
type row struct {
	name, command string
	cells         []string
	absent        string // why it has no figures
}

// goal is what a figure of ferry's is held to. A missed one is a finding and no failure.
type goal struct {
	what, format string
	got          float64
	paired       []float64 // the same figure, within each round
	low, high    float64   // low is NaN where less is always better
}

// ratio is a goal for one thing over another: no more than limit. Its figure is that of the medians.
func ratio(what string, mine, other map[int]float64, limit float64) goal {
	return goal{what: what, format: "%.3f", got: median(values(mine)) / median(values(other)), paired: pairs(mine, other),
		low: math.NaN(), high: limit}
}

// most is a goal for one figure that has no rounds.
func most(what, format string, got, limit float64) goal {
	return goal{what: what, format: format, got: got, low: math.NaN(), high: limit}
}

const (
	met         = "met"
	missed      = "missed"
	notMeasured = "not measured"
)

func (g goal) verdict() string {
	switch {
	case math.IsNaN(g.got) || math.IsInf(g.got, 0):
		return notMeasured
	case g.got <= g.high && !(g.got < g.low):
		return met
	}
	return missed
}

func (g goal) limit() string {
	switch {
	case math.IsNaN(g.low):
		return fmt.Sprintf("at most %g", g.high)
	case math.IsInf(g.high, 1):
		return fmt.Sprintf("at least %g", g.low)
	}
	return figure(g.format, g.low) + " to " + figure(g.format, g.high)
}

// print writes it for a terminal, without the commands: those are long.
func (c chart) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", c.title)
	if c.absent != "" {
		fmt.Fprintf(w, "not measured: %s\n", c.absent)
		return
	}
	fmt.Fprintf(w, "%s\n\n", c.about)
	table := [][]string{append([]string{""}, c.heads...)}
	for _, r := range c.rows {
		table = append(table, append([]string{r.name}, r.cells...))
		if r.absent != "" {
			table[len(table)-1] = []string{r.name, r.absent}
		}
	}
	align(w, table)
	if c.notes != "" {
		fmt.Fprintln(w, c.notes)
	}
	if len(c.goals) == 0 {
		return
	}
	fmt.Fprintln(w)
	table = [][]string{{"goal", "measured", "round by round", "", ""}}
	for _, g := range c.goals {
		table = append(table, []string{g.what, figure(g.format, g.got), spread(g.format, g.paired), g.limit(), g.verdict()})
	}
	align(w, table)
}

// align writes columns, the first to the left and the others to the right. A row of two cells in a wider table is a
// remark, and takes the place that it needs.
func align(w io.Writer, table [][]string) {
	wide := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			if len(line) == len(wide) || i == 0 {
				wide[i] = max(wide[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for _, line := range table {
		text := line[0] + strings.Repeat(" ", wide[0]-utf8.RuneCountInString(line[0]))
		for i, cell := range line[1:] {
			text += "  "
			if len(line) == len(wide) {
				text += strings.Repeat(" ", wide[i+1]-utf8.RuneCountInString(cell))
			}
			text += cell
		}
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
}

func figure(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// spread is the median of a sample with its middle half; one value has none.
func spread(format string, sample []float64) string {
	switch {
	case len(sample) == 0:
		return "–"
	case len(sample) == 1:
		return fmt.Sprintf(format, sample[0])
	}
	to := "–"
	if strings.Contains(format, "+") { // beside a sign it would be one more
		to = " to "
	}
	return fmt.Sprintf(format+" ("+format+to+format+")", median(sample), quantile(sample, 0.25), quantile(sample, 0.75))
}

// counted is a number of things, in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// only repeats one part.
func only(part string) string { return "make compare COMPARE='-only " + part + "'" }

// against are two cells: the ratio of two medians, and that of each round with its middle half. They are empty where
// something would be held against itself.
func against(itself bool, mine, other map[int]float64) []string {
	if itself {
		return []string{"–", "–"}
	}
	return []string{figure("%.3f", median(values(mine))/median(values(other))), spread("%.3f", pairs(mine, other))}
}

// unfit is why a contestant has no figures, "" where it has.
func (c *contestant) unfit(measured int) string {
	switch {
	case c.skipped != "":
		return "not measured: " + c.skipped
	case c.broken != nil:
		return "failed: " + c.broken.Error()
	case measured == 0:
		return "not measured: the time was over"
	}
	return ""
}

func find(all []*contestant, name string) *contestant {
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	return &contestant{}
}
