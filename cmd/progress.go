package cmd

import (
	"sync"
	"time"

	"ferry/pkg/term"
)

const (
	// liveEvery is how often the lines of a terminal are drawn, plainEvery how often a line is added anywhere else.
	liveEvery  = 150 * time.Millisecond
	plainEvery = 5 * time.Second
	barWidth   = 12
)

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
