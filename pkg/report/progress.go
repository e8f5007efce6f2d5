package report

import (
	"fmt"
	"strings"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

const (
	sparkWidth = 16
	barWidth   = 12
)

// Series is a node's name, and its kind of connection where that is not the usual one.
func Series(n bench.Node) string {
	if n.Connection == bench.Reused {
		return n.Name + " (reused)"
	}
	return n.Name
}

// ProgressLine says in one line how far all series are, for an output that is no terminal.
func ProgressLine(all []bench.Progress, since time.Duration) string {
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = fmt.Sprintf("%s %s, %d ok", Series(p.Node), done(p), p.OK)
		if p.OK > 0 {
			parts[i] += ", mean " + text.Latency(p.Mean)
		}
	}
	return fmt.Sprintf("after %s: %s", since.Round(time.Second), strings.Join(parts, "; "))
}

// ProgressTable has a line for each series: how far, how well, how fast, and the latest latencies. Safe makes a name fit
// for the terminal.
func ProgressTable(all []bench.Progress, since time.Duration, f term.Facts, safe func(string) string) []string {
	styles := term.NewStyles(f)
	rows := [][]string{{"node", "", "done", "ok", "mean", "latest", "left"}}
	for _, p := range all {
		success, mean, bar := text.Missing, text.Missing, ""
		if p.Done > 0 {
			success = text.Percent(float64(p.OK)/float64(p.Done), 0) + "%"
		}
		if p.OK > 0 {
			mean = text.Latency(p.Mean)
		} else if p.Done > 0 {
			success = styles.Bad.Render(success)
		}
		if p.Total > 0 {
			bar = term.Bar(p.Done, p.Total, barWidth)
		}
		rows = append(rows, []string{
			safe(Series(p.Node)), bar, done(p), success, mean, term.Spark(p.Recent, sparkWidth), left(p, since),
		})
	}
	table := term.Table(rows, f.Width-1, 0, styles.Dim)
	return strings.Split(strings.TrimRight(table, "\n"), "\n")
}

// WaitingLine says which requests a run that has stopped sending still waits for, and how long at most.
func WaitingLine(waits []bench.Progress, most time.Duration) string {
	parts := make([]string, len(waits))
	for i, p := range waits {
		parts[i] = text.Count(p.InFlight, "request") + " to " + Series(p.Node)
	}
	return fmt.Sprintf("waiting at most %s for %s", text.Brief(most), strings.Join(parts, ", "))
}

func done(p bench.Progress) string {
	if p.Total > 0 {
		return fmt.Sprintf("%d/%d", p.Done, p.Total)
	}
	return fmt.Sprint(p.Done)
}

// left guesses the time that a series still needs from the time that it took so far.
func left(p bench.Progress, since time.Duration) string {
	switch {
	case p.Ended != "":
		return "ended"
	case p.Total == 0 || p.Done == 0:
		return ""
	}
	rest := time.Duration(float64(since) / float64(p.Done) * float64(p.Total-p.Done))
	return rest.Round(time.Second).String()
}
