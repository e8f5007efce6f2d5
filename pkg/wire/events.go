package wire

import (
	"bufio"
	"bytes"
	"io"

	"ferry/pkg/text"
)

const (
	maxLine   = 8 << 20   // bytes of one line, and of one event's data
	maxStream = 256 << 20 // bytes of a whole stream
	readAhead = 32 << 10  // bytes of the buffer: a read of a socket rarely brings more
	maxNames  = 32        // event names that are kept
	maxName   = 64        // bytes of a name that is kept
)

// event is one event of a stream.
type event struct {
	// Name is the value of the event field, "" where the event has none (the standard then calls it "message").
	Name string
	// Data are the data lines joined by a newline, valid until the next call of Next. They are bytes as they came: who
	// reads text from them replaces what is not UTF-8.
	Data []byte
}

// eventReader reads an event stream as WHATWG HTML section 9.2.6 "Interpreting an event stream" says: a BOM at the start
// is dropped; LF, CR and CRLF end a line; a blank line dispatches an event if it has a data line. The id and retry fields
// are about reconnecting, which would ask, and bill, twice: they are parsed and have no effect.
//
// Three things are read that the standard drops and that servers send: a JSON object alone in its line is an event, a
// field of the name error is an event of that name, and Rest gives what the end of the stream cut off.
//
// What it keeps grows with the longest line and event up to the limit of 8 MiB, and not with the stream.
type eventReader struct {
	in    *bufio.Reader
	err   error // what ended the reading
	count int   // events given

	part    []byte // the beginning of a line
	started bool
	skipLF  bool // the last line ended in CR: a LF that comes next belongs to it

	name        string
	data, given []byte // of the event being read, of the one given last
	hasData     bool
	ready       bool // the event being read is whole
	names       map[string]string

	maxLine int
}

// newEventReader reads events from r. It reads ahead of what it gives.
func newEventReader(r io.Reader) *eventReader {
	return &eventReader{in: bufio.NewReaderSize(&boundedReader{r, maxStream, maxStream}, readAhead), maxLine: maxLine}
}

// boundedReader fails where a stream goes on behind its limit.
type boundedReader struct {
	in          io.Reader
	left, limit int
}

func (r *boundedReader) Read(p []byte) (int, error) {
	if r.left > 0 {
		n, err := r.in.Read(p[:min(len(p), r.left)])
		r.left -= n
		return n, err
	}
	n, err := r.in.Read(p[:1])
	if n > 0 {
		err = &text.LimitError{What: "the stream", Limit: int64(r.limit)}
	}
	return 0, err
}

// Buffered reports whether Next can give one more event without another Read, so that a writer can put out together
// what arrived together. The last event's Data stay valid.
func (r *eventReader) Buffered() bool { return r.parse() }

// Next gives the next event. The error is io.EOF at the end of the stream, a *text.LimitError, or the reader's; events
// that arrived whole before it have been given then.
func (r *eventReader) Next() (event, error) {
	for !r.parse() {
		if r.err != nil {
			return event{}, r.err
		}
		_, r.err = r.in.Peek(1)
	}
	return r.give(), nil
}

// Rest gives the event that the end of the stream cut off, false where there is none.
func (r *eventReader) Rest() (event, bool) {
	if line := r.begin(r.part); len(line) > 0 {
		r.part = nil
		r.field(line)
	}
	if !r.hasData {
		return event{}, false
	}
	return r.give(), true
}

// give hands out the event that is whole.
func (r *eventReader) give() event {
	e := event{Name: r.name, Data: r.data}
	r.data, r.given = r.given[:0], r.data
	r.name, r.hasData, r.ready = "", false, false
	r.count++
	return e
}

// parse takes lines from the buffer until an event is whole, and reports whether one is.
func (r *eventReader) parse() bool {
	for !r.ready {
		line, ok := r.line()
		if !ok {
			return false
		}
		if line = r.begin(line); len(line) > 0 {
			r.field(line)
		} else if r.ready = r.hasData; !r.ready {
			r.name = ""
		}
	}
	return true
}

// begin drops the BOM from the first line.
func (r *eventReader) begin(line []byte) []byte {
	if r.started {
		return line
	}
	r.started = true
	return bytes.TrimPrefix(line, bom)
}

// line takes one line from the buffer, valid until the next call. A CR ends it at once: waiting for a LF behind it would
// hold back the event until the next one.
func (r *eventReader) line() ([]byte, bool) {
	ahead, _ := r.in.Peek(r.in.Buffered())
	if len(ahead) == 0 {
		return nil, false
	}
	if r.skipLF && ahead[0] == '\n' {
		_, _ = r.in.Discard(1)
		ahead = ahead[1:]
	}
	r.skipLF = false
	end := bytes.IndexByte(ahead, '\n')
	if end < 0 {
		end = len(ahead)
	}
	if cr := bytes.IndexByte(ahead[:end], '\r'); cr >= 0 {
		end, r.skipLF = cr, true
	}
	line, whole := ahead[:end], end < len(ahead)
	if len(r.part)+end > r.maxLine {
		r.fail("a line of the stream")
		return nil, false
	}
	_, _ = r.in.Discard(min(end+1, len(ahead)))
	if !whole || len(r.part) > 0 {
		r.part = append(r.part, line...)
		line = r.part
	}
	if whole {
		r.part = r.part[:0]
	}
	return line, whole
}

// field reads one line that is not blank: a comment (a colon first), a field with a value, or a field's bare name.
func (r *eventReader) field(line []byte) {
	if line[0] == '{' && !r.hasData {
		r.data, r.hasData, r.ready = append(r.data, line...), true, true
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	if string(name) == "error" && len(value) > 0 {
		r.name, name = "error", []byte("data")
	}
	switch string(name) {
	case "data":
		if r.hasData {
			r.data = append(r.data, '\n')
		}
		if len(r.data)+len(value) > r.maxLine {
			r.fail("an event of the stream")
			return
		}
		r.data = append(r.data, value...)
		r.hasData = true
	case "event":
		r.name = r.intern(value)
	}
}

// intern gives name as a string without a new one for each event: a stream has few names.
func (r *eventReader) intern(name []byte) string {
	if known, ok := r.names[string(name)]; ok {
		return known
	}
	made := string(name)
	if len(made) <= maxName && len(r.names) < maxNames {
		if r.names == nil {
			r.names = make(map[string]string)
		}
		r.names[made] = made
	}
	return made
}

// fail ends the stream here: what is in the buffer is not read any more.
func (r *eventReader) fail(what string) {
	r.err = &text.LimitError{What: what, Limit: int64(r.maxLine)}
	_, _ = r.in.Discard(r.in.Buffered())
	r.part, r.hasData, r.ready, r.skipLF = nil, false, false, false
}
