package cmd

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"ferry/pkg/term"
)

// timedWriter gives up on a reader that takes nothing until the call's time is over. What it gave up on is lost, and
// nothing more is written: the write may still go through.
type timedWriter struct {
	io.Writer
	timeout time.Duration
	until   time.Time
	stuck   error
}

// lastWords is how long a write may take when the time is over: the result of the call is still to be reported.
const lastWords = 2 * time.Second

// timeWrites bounds all that is written from now on by the call's time.
func (a *app) timeWrites(timeout time.Duration) {
	until := time.Now().Add(timeout)
	a.out.Writer = &timedWriter{Writer: a.out.Writer, timeout: timeout, until: until}
	a.err.Writer = &timedWriter{Writer: a.err.Writer, timeout: timeout, until: until}
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if w.stuck != nil {
		return 0, w.stuck
	}
	if term.TakesAtOnce(w.Writer, len(p)) {
		return w.Writer.Write(p)
	}
	type result struct {
		n     int
		err   error
		crash any
	}
	done := make(chan result, 1)
	text := bytes.Clone(p) // p is the caller's again when this returns
	go func() {
		var got result
		defer func() {
			got.crash = recover() // it is the caller's
			done <- got
		}()
		got.n, got.err = w.Writer.Write(text)
	}()
	late := time.NewTimer(max(time.Until(w.until), lastWords))
	defer late.Stop()
	select {
	case got := <-done:
		if got.crash != nil {
			panic(got.crash)
		}
		return got.n, got.err
	case <-late.C:
		w.stuck = fmt.Errorf("its reader took nothing more within the timeout of %s", w.timeout)
		return 0, w.stuck
	}
}
