package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"ferry/pkg/text"
)

// A saved run is in JSON lines: the header, then a line for each attempt in the order in which the requests ended, then
// a footer if the run was not killed. Each line is one write, so a killed run leaves everything that it had measured.

const (
	savedKind = "ferry bench"
	// maxLine is the maximum length of a line including its newline. It limits how much of a file a reader holds in
	// memory.
	maxLine = 1 << 20
	// maxNodes is the maximum number of series. Each series with a sample allocates a chunk.
	maxNodes = 1000
	// maxDetail is the maximum length of a failure's text in bytes. The text comes from a node, and a line must not
	// exceed maxLine.
	maxDetail = 1000
	// maxDuration is the longest time that is saved, 104 days. The sum of two such times cannot overflow, and
	// readers that know only floating-point numbers represent it exactly.
	maxDuration = time.Duration(1 << 53)
)

type headerLine struct {
	Kind string `json:"kind"`
	Header
}

// attemptLine is an attempt that was followed by another. The line of its request follows, after the lines of any
// further attempts.
type attemptLine struct {
	More    bool          `json:"more"`
	Node    int           `json:"node"`
	Round   int           `json:"round"`
	Attempt int           `json:"attempt"`
	Class   string        `json:"class"`
	Latency time.Duration `json:"latency_ns"`
}

type footerLine struct {
	End bool `json:"end"`
	Ending
	// Ended and Unsent are keyed by the node's index.
	Ended  map[int]string `json:"ended,omitempty"`
	Unsent map[int]int    `json:"unsent,omitempty"`
}

// Writer saves a run while it is in progress. It is safe for use by several goroutines. After an error it writes no
// more, and end returns that error. An error, such as a full disk, does not end the run.
type Writer struct {
	mu          sync.Mutex
	w           io.Writer
	line        bytes.Buffer
	json        *json.Encoder // writes to line
	err         error
	hasRequests bool // a request was written
	file        *os.File
}

// NewWriter writes the header with the current Schema. It fails if the write fails or if the header could not be read
// back.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Schema = Schema
	if fault := h.invalid(); fault != "" {
		return nil, fmt.Errorf("the run cannot be saved: %s", fault)
	}
	s := &Writer{w: w}
	s.json = json.NewEncoder(&s.line)
	s.json.SetEscapeHTML(false)
	if s.writeLine(headerLine{savedKind, h}); s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// Create creates a new file for a run and writes the header. It never overwrites a file.
func Create(path string, h Header) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		hint := "its folder must exist and belong to you"
		if errors.Is(err, fs.ErrExist) {
			hint = "ferry never overwrites a saved run: use another name"
		}
		return nil, text.WithHint(err, hint)
	}
	s, err := NewWriter(file, h)
	if err != nil {
		file.Close()
		_ = os.Remove(path) // best effort
		return nil, err
	}
	s.file = file
	return s, nil
}

// Close closes the file that Create made. It removes a file without requests, because there is nothing to report.
func (s *Writer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.file.Close()
	if !s.hasRequests {
		_ = os.Remove(s.file.Name()) // best effort
	}
	return err
}

// request writes a finished request, which is rounded, preceded by its earlier attempts.
func (s *Writer) request(o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range o.Earlier {
		s.writeLine(attemptLine{true, o.Node, o.Round, i + 1, e.Class, bounded(e.Latency)})
	}
	s.writeLine(o)
	s.hasRequests = true
}

// end writes the footer.
func (s *Writer) end(run *Run) error {
	f := footerLine{End: true, Ending: run.Ending, Ended: map[int]string{}, Unsent: map[int]int{}}
	f.Elapsed, f.SchedulingDelay = bounded(f.Elapsed), bounded(f.SchedulingDelay)
	for i, series := range run.Series {
		if series.Ended != "" {
			f.Ended[i] = series.Ended
		}
		if series.Unsent > 0 {
			f.Unsent[i] = series.Unsent
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLine(f)
	return s.err
}

// writeLine writes a line in one call, so that only the last line of a file can be incomplete.
func (s *Writer) writeLine(line any) {
	if s.err != nil {
		return
	}
	s.line.Reset()
	if s.err = s.json.Encode(line); s.err != nil {
		return
	}
	if s.line.Len() > maxLine {
		s.err = fmt.Errorf("a line of the saved run has %d bytes, and the limit is %d", s.line.Len(), maxLine)
		return
	}
	n, err := s.w.Write(s.line.Bytes())
	if err == nil && n < s.line.Len() {
		err = io.ErrShortWrite
	}
	s.err = err
}

// rounded returns the outcome with the precision of a sample, so that a run that was saved and read equals the measured
// run.
func (o Outcome) rounded() Outcome {
	s, p := o.sample(), o.Phases
	o.Start, o.TTFT, o.Lag = s.Start(), s.TTFT(), s.Lag()
	o.OutputTokens, o.TextTokens, o.Chunks, o.Attempts = int64(s.Tokens()), int64(s.textTokens()), int64(s.chunks()), s.Attempts()
	o.Latency = bounded(o.Latency)
	o.Phases = Phases{bounded(p.DNS), bounded(p.Connect), bounded(p.TLS), bounded(p.Wait), bounded(p.Transfer)}
	o.Class, o.Detail = validText(o.Class), validText(o.Detail)
	return o
}

func bounded(d time.Duration) time.Duration { return min(max(d, 0), maxDuration) }

// validText returns s as valid UTF-8, which JSON does not change, cut to maxDetail bytes.
func validText(s string) string {
	if len(s) > maxDetail {
		s = strings.Clone(text.WholeRunes(s[:maxDetail]))
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// invalid returns what is invalid in the header, "" if nothing is.
func (h Header) invalid() string {
	switch {
	case h.ID == "":
		return "it has no ID" // without an ID a file could be merged with itself unnoticed
	case len(h.Nodes) == 0:
		return "it has no nodes"
	case len(h.Nodes) > maxNodes:
		return fmt.Sprintf("it has %d nodes, and the maximum is %d", len(h.Nodes), maxNodes)
	case min(h.MaxTokens, h.Requests, h.Concurrency, h.Warmup, h.Attempts) < 0, h.Duration < 0, !(h.Rate >= 0):
		return "one of the plan's numbers is below 0"
	}
	return ""
}
