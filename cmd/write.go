package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// timedWriter gives up on a reader that takes nothing until the call's time is over. What it gave up on is lost, and
// nothing more is written: the write may still go through.
type timedWriter struct {
	io.Writer
	pipe    int // its descriptor, -1 where the writer is no pipe
	timeout time.Duration
	until   time.Time
	stuck   error
}

// lastWords is how long a write may take when the time is over: the result of the call is still to be reported.
const lastWords = 2 * time.Second

// timeWrites bounds all that is written from now on by the call's time.
func (a *app) timeWrites(timeout time.Duration) {
	until := time.Now().Add(timeout)
	a.out.Writer, a.err.Writer = timed(a.out.Writer, timeout, until), timed(a.err.Writer, timeout, until)
}

// timed bounds what is written to a pipe, a socket or a terminal: nothing else makes a writer wait.
func timed(w io.Writer, timeout time.Duration, until time.Time) io.Writer {
	file, ok := w.(*os.File)
	if !ok {
		return w
	}
	info, err := file.Stat()
	if err != nil || info.Mode().IsRegular() {
		return w
	}
	pipe := -1
	if info.Mode()&os.ModeNamedPipe != 0 {
		pipe = int(file.Fd())
	}
	return &timedWriter{Writer: w, pipe: pipe, timeout: timeout, until: until}
}

func (w *timedWriter) Write(p []byte) (int, error) {
	switch {
	case w.stuck != nil:
		return 0, w.stuck
	case w.pipe >= 0 && takes(w.pipe, len(p)): // nearly always, and a goroutine costs more than the write
		return w.Writer.Write(p)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	text := bytes.Clone(p) // p is the caller's again when this returns
	go func() {
		n, err := w.Writer.Write(text)
		done <- result{n, err}
	}()
	late := time.NewTimer(max(time.Until(w.until), lastWords))
	defer late.Stop()
	select {
	case got := <-done:
		return got.n, got.err
	case <-late.C:
		w.stuck = fmt.Errorf("its reader took nothing more within the timeout of %s", w.timeout)
		return 0, w.stuck
	}
}
