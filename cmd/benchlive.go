package cmd

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

const (
	// liveEvery is how often the lines of a terminal are drawn, plainEvery how often a line is added anywhere else.
	liveEvery  = 150 * time.Millisecond
	plainEvery = 5 * time.Second
	sparkWidth = 16
	barWidth   = 12
)

// showProgress shows a line for each node while a bench runs, until stop is called.
func (a *app) showProgress(b *bench.Bench) (stop func()) {
	started := a.Clock.Now()
	since := func() time.Duration { return a.Clock.Now().Sub(started) }
	return a.showing(
		func() []string { return a.liveLines(b.Progress(), since()) },
		func() { a.plainProgress(b.Progress(), since()) },
	)
}

// showing draws lines on a terminal again and again, and elsewhere says something every few seconds, until stop is called.
func (a *app) showing(lines func() []string, say func()) (stop func()) {
	if a.quiet || a.Every == nil {
		return func() {}
	}
	draw, clear, every := say, func() {}, plainEvery
	if a.err.TTY && !a.err.Plain {
		live := &term.Live{Stream: a.err}
		draw = func() { live.Draw(lines()) }
		clear, every = live.Clear, liveEvery
	}
	ticks, stopTicks := a.Every(every)
	ended := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		for {
			select {
			case <-ticks:
				draw()
			case <-ended:
				return
			}
		}
	})
	return func() {
		stopTicks()
		close(ended)
		drawing.Wait()
		clear()
	}
}

// plainProgress says in one line how far all nodes are.
func (a *app) plainProgress(all []bench.Progress, since time.Duration) {
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = fmt.Sprintf("%s %s, %d ok", seriesName(p.Node), counted(p), p.OK)
		if p.OK > 0 {
			parts[i] += ", mean " + text.Latency(p.Mean)
		}
	}
	a.note("after %s: %s", since.Round(time.Second), strings.Join(parts, "; "))
}

// liveLines has a line for each node: how far, how well, how fast, and the latest latencies.
func (a *app) liveLines(all []bench.Progress, since time.Duration) []string {
	styles := term.NewStyles(a.err.Facts)
	rows := [][]string{{"node", "", "done", "ok", "mean", "latest", "left"}}
	for _, p := range all {
		success, mean := "–", "–"
		if p.Done > 0 {
			success = fmt.Sprintf("%.0f%%", 100*float64(p.OK)/float64(p.Done))
		}
		if p.OK > 0 {
			mean = text.Latency(p.Mean)
		} else if p.Done > 0 {
			success = styles.Bad.Render(success)
		}
		bar := ""
		if p.Total > 0 {
			bar = term.Bar(p.Done, p.Total, barWidth)
		}
		rows = append(rows, []string{
			a.safe(seriesName(p.Node)), bar, counted(p), success, mean, term.Spark(p.Recent, sparkWidth), left(p, since),
		})
	}
	table := strings.TrimRight(term.Table(rows, a.err.Width-1, 0, styles.Dim), "\n")
	return strings.Split(table, "\n")
}

func counted(p bench.Progress) string {
	if p.Total > 0 {
		return fmt.Sprintf("%d/%d", p.Done, p.Total)
	}
	return fmt.Sprint(p.Done)
}

// left guesses the time that a node still needs from the time that it took so far.
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

// series is a node's name, and its kind of connection where that is not the usual one.
func seriesName(n bench.Node) string {
	if n.Connection == bench.Reused {
		return n.Name + " (reused)"
	}
	return n.Name
}
