package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// runReader is the state of reading a saved run.
type runReader struct {
	name string
	in   *bufio.Reader
	line int // the number of the line that was read last
	used int // lines that are used
	run  *Run
	// footerRead reports whether the footer was read.
	footerRead bool
	// earlier counts the attempts whose request was not read yet.
	earlier     int
	node, round int
	// l is the current line. Allocating one for each line would make half of all garbage.
	l anyLine
}

// anyLine is a line of any kind except the header.
type anyLine struct {
	Kind    string `json:"kind"`
	More    bool   `json:"more"`
	Attempt int    `json:"attempt"`
	Outcome
	footerLine
}

// Read reads a saved run. Errors and notes call the file name. A run that was killed has no footer, and its last line
// may be cut: the complete lines are used, and a note says so. The samples are in the order of the file. Nothing else
// of the file is kept.
func Read(r io.Reader, name string) (*Run, error) {
	f := &runReader{name: name, in: bufio.NewReaderSize(r, maxLine)}
	if err := f.header(); err != nil {
		return nil, err
	}
	for {
		line, err := f.next()
		if err == nil && len(bytes.TrimSpace(line)) > 0 {
			err = f.processLine(line)
		}
		switch {
		case err == io.EOF:
			f.finish()
			return f.run, nil
		case err == errCut:
			f.note("line %d is incomplete; the other %d lines are used", f.line, f.used-f.earlier)
			f.earlier = 0
		case err != nil:
			return nil, err
		}
	}
}

// errCut reports that the last line is incomplete.
var errCut = errors.New("the last line is cut")

// next reads a line, which is valid until the next call.
func (f *runReader) next() ([]byte, error) {
	line, err := f.in.ReadSlice('\n')
	if len(line) > 0 {
		f.line++
	}
	switch {
	case err == io.EOF && len(line) > 0:
		return line, errCut
	case err == bufio.ErrBufferFull:
		return nil, f.lineError("it is longer than %d bytes", maxLine)
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("%s: it cannot be read: %w", f.name, err)
	}
	return line, err
}

// lineError returns an error about the line that was read last. An empty file has no line.
func (f *runReader) lineError(format string, values ...any) error {
	where := f.name
	if f.line > 0 {
		where += fmt.Sprintf(": line %d", f.line)
	}
	return fmt.Errorf("%s: %w", where, fmt.Errorf(format, values...))
}

func (f *runReader) note(format string, values ...any) {
	f.run.Notes = append(f.run.Notes, Message{"%s: " + format, append([]any{f.name}, values...)})
}

// header reads the first line. It checks the version first, because all other fields may have another meaning in
// another version.
func (f *runReader) header() error {
	line, err := f.next()
	if err != nil && err != io.EOF && err != errCut {
		return err
	}
	var first struct {
		Kind   string `json:"kind"`
		Schema int    `json:"schema"`
	}
	if err != nil || json.Unmarshal(line, &first) != nil || first.Kind != savedKind {
		return text.WithHint(f.lineError("it does not begin with the header of a saved run"),
			"use the file that ferry bench --save wrote, not a report")
	}
	if first.Schema < 1 || first.Schema > Schema {
		err := f.lineError("it is a saved run of version %d, and this ferry reads versions 1 to %d", first.Schema, Schema)
		if first.Schema > Schema {
			return text.WithHint(err, "a newer ferry wrote it: use that version to read it")
		}
		return err
	}
	var h headerLine
	if err := json.Unmarshal(line, &h); err != nil {
		return f.lineError("the header cannot be parsed: %w", err)
	}
	if fault := h.invalid(); fault != "" {
		return f.lineError("the header is invalid: %s", fault)
	}
	f.used++
	h.Schema = Schema
	f.run = &Run{Header: h.Header}
	for _, n := range h.Nodes {
		f.run.Series = append(f.run.Series, newSeries(n))
	}
	return nil
}

// processLine processes a line after the header.
func (f *runReader) processLine(line []byte) error {
	f.l = anyLine{}
	l := &f.l
	if err := json.Unmarshal(line, l); err != nil {
		var syntax *json.SyntaxError
		if _, more := f.in.Peek(1); errors.As(err, &syntax) && more == io.EOF {
			return errCut
		}
		return f.lineError("it cannot be parsed: %w", err)
	}
	f.used++
	switch {
	case l.Kind != "":
		return text.WithHint(f.lineError("a second header: several files were joined"),
			"give the files as separate arguments instead")
	case f.footerRead:
		return f.lineError("it comes after the end of the run")
	case f.earlier > 0 && (l.End || l.Node != f.node || l.Round != f.round):
		return f.lineError("the request before this line has no last attempt")
	case l.End:
		return f.footer(&l.footerLine)
	}
	return f.attempt(l)
}

// attempt adds a request. It only counts an attempt that was followed by another, until the line of its request.
func (f *runReader) attempt(l *anyLine) error {
	r, p := &l.Outcome, l.Phases
	wrong := f.checkTimes(r.Start, r.Latency, r.TTFT, r.Lag, p.DNS, p.Connect, p.TLS, p.Wait, p.Transfer)
	switch {
	case r.Node < 0 || r.Node >= len(f.run.Series):
		return f.lineError("there is no node %d in the header", r.Node)
	case r.Round < 0 || int64(r.Round) > math.MaxUint32 || f.run.Header.Requests > 0 && r.Round >= f.run.Header.Requests:
		return f.lineError("there is no round %d in the plan", r.Round)
	case wrong != nil:
		return wrong
	case l.More:
		if l.Attempt != f.earlier+1 {
			return f.lineError("attempt %d is here, but attempt %d is expected", l.Attempt, f.earlier+1)
		}
		f.node, f.round = r.Node, r.Round
		f.earlier++
		return nil
	case r.Attempts < 1 || min(r.OutputTokens, r.TextTokens, r.Chunks) < 0:
		return f.lineError("a request needs at least 1 attempt, and its tokens cannot be below 0")
	}
	f.run.Series[r.Node].add(*r)
	f.run.Elapsed = max(f.run.Elapsed, r.Start+r.Latency) // unless there is a footer
	f.earlier = 0
	return nil
}

// checkTimes refuses times that no run can have.
func (f *runReader) checkTimes(all ...time.Duration) error {
	if slices.Min(all) < 0 || slices.Max(all) > maxDuration {
		return f.lineError("a time is below 0, or longer than %v", maxDuration)
	}
	return nil
}

func (f *runReader) footer(l *footerLine) error {
	if err := f.checkTimes(l.Elapsed, l.SchedulingDelay); err != nil {
		return err
	}
	for i, why := range l.Ended {
		if i < 0 || i >= len(f.run.Series) {
			return f.lineError("there is no node %d in the header", i)
		}
		f.run.Series[i].Ended = why
	}
	for i, n := range l.Unsent {
		if i < 0 || i >= len(f.run.Series) || n < 0 {
			return f.lineError("%d unsent requests for node %d are invalid", n, i)
		}
		f.run.Series[i].Unsent = n
	}
	f.footerRead = true
	f.run.Ending = l.Ending
	return nil
}

// finish notes what a killed run could not write.
func (f *runReader) finish() {
	if f.earlier > 0 {
		f.note("the request of line %d is incomplete; the other %d lines are used", f.line, f.used-f.earlier)
	}
	if !f.footerRead {
		f.note("the run did not finish; the requests saved so far are used")
	}
}

// ReadFiles reads saved runs that can be merged: all, or only the runs from the given vantages.
func ReadFiles(names, vantages []string) ([]*Run, error) {
	var runs []*Run
	var taken []string
	for _, name := range names {
		run, err := readFile(name)
		if err != nil {
			return nil, err
		}
		if len(vantages) == 0 || slices.Contains(vantages, run.Header.Vantage) {
			runs, taken = append(runs, run), append(taken, name)
		}
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("none of the runs is from %s", strings.Join(vantages, " or "))
	}
	return runs, checkMergeable(runs, taken)
}

func readFile(name string) (*Run, error) {
	file, err := state.Open(name)
	if cause := errors.Unwrap(err); cause != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, cause)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return Read(file, name)
}

// SavedSamples estimates how many samples are in the files of saved runs.
func SavedSamples(names []string) int {
	const line = 120 // the length of the shortest line in bytes
	var size int64
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	return int(size / line)
}
