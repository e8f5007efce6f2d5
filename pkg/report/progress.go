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

// Series returns a node's name, and its kind of connection if it is not the usual one.
func Series(n bench.Node) string {
	if n.Connection == bench.Reused {
		return n.Name + " (reused)"
	}
	return n.Name
}

// ProgressLine returns the progress of all series in one line, for an output that is not a terminal.
func ProgressLine(all []bench.Progress, since time.Duration) string {
	parts := each(all, func(p bench.Progress) string {
		part := fmt.Sprintf("%s %s, %d ok", Series(p.Node), done(p), p.OK)
		if p.OK > 0 {
			part += ", mean " + text.Latency(p.Mean)
		}
		return part
	})
	return fmt.Sprintf("after %s: %s", since.Round(time.Second), strings.Join(parts, "; "))
}

// ProgressTable returns a line for each series: its progress, success rate, mean latency, requests in flight, latest
// latencies and remaining time. lang is the language of the headings, and safe makes a name safe for the terminal.
func ProgressTable(all []bench.Progress, since time.Duration, f term.Facts, lang string, safe func(string) string) []string {
	l, styles := languageOf(lang), term.NewStyles(f)
	columns := []column{
		columnOf(l.translate("node"), names, 0, all, func(p bench.Progress) string { return safe(Series(p.Node)) }),
		columnOf("", numbers, 3, all, func(p bench.Progress) string {
			if p.Total == 0 {
				return ""
			}
			return term.Bar(p.Done, p.Total, barWidth)
		}),
		columnOf(l.translate("done"), numbers, 0, all, done),
		columnOf(l.translate("ok"), numbers, 0, all, func(p bench.Progress) string {
			if p.Done == 0 {
				return text.Missing
			}
			return text.Percent(float64(p.OK)/float64(p.Done), 0) + "%"
		}).styled(func(row int) term.Style {
			if p := all[row]; p.OK == 0 && p.Done > 0 {
				return styles.Bad
			}
			return term.Style{}
		}),
		columnOf(l.translate("mean"), numbers, 0, all, func(p bench.Progress) string {
			if p.OK == 0 {
				return ""
			}
			return text.Latency(p.Mean)
		}),
		columnOf(l.translate("waiting"), numbers, 1, all, l.waiting),
		columnOf(l.translate("latest"), left, 4, all, func(p bench.Progress) string { return term.Spark(p.Recent, sparkWidth) }),
		columnOf(l.translate("left"), numbers, 2, all, func(p bench.Progress) string { return l.remaining(p, since) }),
	}
	lines, _ := render(columns, f.Width-1, styles.Dim)
	return strings.Split(strings.TrimRight(lines, "\n"), "\n")
}

// waiting returns how many requests of a series are in flight, and the age of the oldest if it is at least one second.
func (l language) waiting(p bench.Progress) string {
	switch {
	case p.InFlight == 0:
		return ""
	case p.Oldest < time.Second:
		return fmt.Sprint(p.InFlight)
	}
	return l.translate("%d for %s", p.InFlight, text.Span(p.Oldest.Truncate(time.Second)))
}

// WaitingLine returns which requests a run that has stopped sending still waits for, and the maximum wait.
func WaitingLine(waits []bench.Progress, most time.Duration) string {
	parts := each(waits, func(p bench.Progress) string { return text.Count(p.InFlight, "request") + " to " + Series(p.Node) })
	return fmt.Sprintf("waiting at most %s for %s", text.Brief(most), strings.Join(parts, ", "))
}

func done(p bench.Progress) string {
	if p.Total > 0 {
		return fmt.Sprintf("%d/%d", p.Done, p.Total)
	}
	return fmt.Sprint(p.Done)
}

// remaining estimates the time that a series still needs from the time that it has taken so far.
func (l language) remaining(p bench.Progress, since time.Duration) string {
	switch {
	case p.Ended != "":
		return l.translate("ended")
	case p.Total == 0 || p.Done == 0:
		return ""
	}
	rest := time.Duration(float64(since) / float64(p.Done) * float64(p.Total-p.Done))
	return rest.Round(time.Second).String()
}
