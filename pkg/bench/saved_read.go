package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// FileError says where a saved run cannot be used.
type FileError struct {
	Name     string
	Line     int // from 1, 0 where it is no line's fault
	Text     string
	HintText string
	Err      error // the cause, nil where there is none
}

func (e *FileError) Error() string {
	text := e.Name + ": "
	if e.Line > 0 {
		text += fmt.Sprintf("line %d: ", e.Line)
	}
	text += e.Text
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Hint tells what to do about it; it may be empty.
func (e *FileError) Hint() string { return e.HintText }

// reading is a saved run on its way in.
type reading struct {
	name string
	in   *bufio.Reader
	line int // the number of the line that was read last
	used int // lines that count
	run  *Run
	// over says that the footer was read.
	over bool
	// earlier are attempts whose request is still to come.
	earlier     []Attempt
	node, round int
	// last is when the last request ended.
	last time.Duration
	// l is the line in hand: one of its size for each line would be half of all garbage.
	l anyLine
}

// anyLine is a line of any kind but the header.
type anyLine struct {
	Kind    string `json:"kind"`
	More    bool   `json:"more"`
	Attempt int    `json:"attempt"`
	record
	footerLine
}

// Read reads a saved run; name is what its errors and notes call the file. A run that was killed has no footer, and its
// last line may be cut: what is whole counts, and a note says so. The samples stand in the order of the file, and nothing
// else of it is kept.
func Read(r io.Reader, name string) (*Run, error) {
	f := &reading{name: name, in: bufio.NewReaderSize(r, maxLine)}
	if err := f.header(); err != nil {
		return nil, err
	}
	for {
		text, err := f.next()
		if err == io.EOF {
			f.finish()
			return f.run, nil
		}
		if err == nil && len(bytes.TrimSpace(text)) > 0 {
			err = f.take(text)
		}
		if errors.Is(err, errCut) {
			f.note("line %d is cut; the other %d are used", f.line, f.used-len(f.earlier))
			f.earlier = nil
			continue
		}
		if err != nil {
			return nil, err
		}
	}
}

// errCut is that the last line is not whole.
var errCut = errors.New("the last line is cut")

// next reads a line, which holds until the next call.
func (f *reading) next() ([]byte, error) {
	text, err := f.in.ReadSlice('\n')
	switch {
	case err == nil:
		f.line++
		return text, nil
	case err == io.EOF && len(text) == 0:
		return nil, io.EOF
	case err == io.EOF:
		f.line++
		return text, errCut
	case errors.Is(err, bufio.ErrBufferFull):
		f.line++
		return nil, f.bad("it is longer than %d bytes", maxLine)
	}
	return nil, &FileError{Name: f.name, Text: "it cannot be read", Err: err}
}

func (f *reading) bad(format string, values ...any) *FileError {
	return &FileError{Name: f.name, Line: f.line, Text: fmt.Sprintf(format, values...)}
}

func (f *reading) note(format string, values ...any) {
	f.run.Notes = append(f.run.Notes, f.name+": "+fmt.Sprintf(format, values...))
}

// header reads the first line. The version is looked at before anything else, since another one may mean something else
// by every other word.
func (f *reading) header() error {
	text, err := f.next()
	if err != nil && err != io.EOF && !errors.Is(err, errCut) {
		return err
	}
	var first struct {
		Kind   string `json:"kind"`
		Schema int    `json:"schema"`
	}
	if err != nil || json.Unmarshal(text, &first) != nil || first.Kind != savedKind {
		return &FileError{
			Name: f.name, Line: f.line, Text: "it does not begin with the header of a saved run",
			HintText: "a saved run is the lines that ferry bench keeps of every attempt, not its report",
		}
	}
	if first.Schema != Schema {
		bad := f.bad("it is a saved run of version %d, and this ferry reads version %d", first.Schema, Schema)
		if first.Schema > Schema {
			bad.HintText = "a newer ferry wrote it, and reads it"
		}
		return bad
	}
	var h headerLine
	if err := json.Unmarshal(text, &h); err != nil {
		return &FileError{Name: f.name, Line: f.line, Text: "the header cannot be understood", Err: err}
	}
	if fault := h.fault(); fault != "" {
		return f.bad("the header cannot be right: %s", fault)
	}
	f.used++
	f.run = &Run{Header: h.Header}
	for _, n := range h.Nodes {
		f.run.Series = append(f.run.Series, newSeries(n, h.Vantage))
	}
	return nil
}

// take counts a line in.
func (f *reading) take(text []byte) error {
	f.l = anyLine{}
	l := &f.l
	if err := json.Unmarshal(text, l); err != nil {
		var syntax *json.SyntaxError
		if _, more := f.in.Peek(1); errors.As(err, &syntax) && more == io.EOF {
			return errCut
		}
		return &FileError{Name: f.name, Line: f.line, Text: "it cannot be understood", Err: err}
	}
	f.used++
	switch {
	case l.Kind != "":
		bad := f.bad("a second header: files have been joined here")
		bad.HintText = "name the files one after the other instead"
		return bad
	case f.over:
		return f.bad("it stands behind the end of the run")
	case len(f.earlier) > 0 && (l.End || l.Node != f.node || l.Round != f.round):
		return f.bad("the request of the line before has no last attempt")
	case l.End:
		return f.footer(&l.footerLine)
	}
	return f.attempt(l)
}

// attempt counts in a request, or keeps an attempt that was followed by another until its request comes.
func (f *reading) attempt(l *anyLine) error {
	r := &l.record
	switch {
	case r.Node < 0 || r.Node >= len(f.run.Series):
		return f.bad("there is no node %d in the header", r.Node)
	case r.Round < 0 || int64(r.Round) > math.MaxUint32 || f.run.Header.Requests > 0 && r.Round >= f.run.Header.Requests:
		return f.bad("there is no round %d in the plan", r.Round)
	case !possible(r.Start, r.Latency, r.TTFT, r.Lag, r.Phases.DNS, r.Phases.Connect, r.Phases.TLS, r.Phases.Wait, r.Phases.Transfer):
		return f.bad("a time is below 0, or longer than %v", longest)
	case l.More:
		if l.Attempt != len(f.earlier)+1 {
			return f.bad("attempt %d comes where attempt %d is due", l.Attempt, len(f.earlier)+1)
		}
		f.node, f.round = r.Node, r.Round
		f.earlier = append(f.earlier, Attempt{r.Class, r.Latency})
		return nil
	case r.Attempts < 1 || r.Tokens < 0:
		return f.bad("a request has at least 1 attempt, and no fewer tokens than 0")
	}
	r.Earlier = f.earlier
	f.run.Series[r.Node].add(*r)
	f.last = max(f.last, r.Start+r.Latency)
	f.earlier = f.earlier[:0]
	return nil
}

// possible reports whether times are such as a run can have.
func possible(times ...time.Duration) bool {
	for _, d := range times {
		if d < 0 || d > longest {
			return false
		}
	}
	return true
}

func (f *reading) footer(l *footerLine) error {
	if !possible(l.Elapsed, l.SchedulingDelay) {
		return f.bad("a time is below 0, or longer than %v", longest)
	}
	for i, why := range l.Ended {
		if i < 0 || i >= len(f.run.Series) {
			return f.bad("there is no node %d in the header", i)
		}
		f.run.Series[i].Ended = why
	}
	for i, n := range l.Unsent {
		if i < 0 || i >= len(f.run.Series) || n < 0 {
			return f.bad("%d requests unsent to node %d cannot be right", n, i)
		}
		f.run.Series[i].Unsent = n
	}
	f.over = true
	f.run.Elapsed, f.run.Stopped = l.Elapsed, l.Stopped
	f.run.SchedulingDelay, f.run.ClockJump = l.SchedulingDelay, l.ClockJump
	return nil
}

// finish makes up for what a run that was killed could not write.
func (f *reading) finish() {
	if len(f.earlier) > 0 {
		f.note("the request of line %d is cut; the other %d lines are used", f.line, f.used-len(f.earlier))
	}
	if !f.over {
		f.run.Elapsed = f.last
		f.note("the run did not come to its end by itself; what it had measured is used")
	}
}
