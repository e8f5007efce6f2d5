package wire

import (
	"bufio"
	"bytes"
	"io"

	"ferry/pkg/text"
)

const (
	maxLine   = 8 << 20   // maximum bytes of one line, and of one event's data
	maxStream = 256 << 20 // maximum bytes of a complete stream
	readAhead = 32 << 10  // bytes of the buffer: one read from a socket rarely returns more
)

// event is one event of a stream, valid until the next call of Next.
type event struct {
	// Name is the value of the event field, empty if the event has none (the standard then calls it "message").
	Name []byte
	// Data are the data lines joined by a newline. The bytes are unchanged: code that reads text from them replaces
	// bytes that are not UTF-8.
	Data []byte
}

// eventReader reads an event stream as defined in WHATWG HTML section 9.2.6 "Interpreting an event stream": a BOM at
// the start is dropped; LF, CR and CRLF end a line; a blank line dispatches an event if it has a data line. The id
// and retry fields are parsed and ignored: they are for reconnecting, which would send and bill the request twice.
//
// Three things that servers send are accepted although the standard drops them: a JSON object alone on a line is an
// event, a field named error is an event with that name, and Rest returns the event that the end of the stream cut
// off.
//
// The memory in use grows with the longest line and event, up to the limit of 8 MiB, and not with the stream.
type eventReader struct {
	in    *bufio.Reader
	err   error // why reading ended
	count int   // events returned

	part    []byte // the beginning of a line
	started bool
	skipLF  bool // the last line ended with CR: a LF that follows belongs to it

	next, returned event // the event being read, the last event returned
	hasData        bool
	ready          bool // the event being read is complete

	maxLine int
}

// newEventReader returns a reader of the events in r. It buffers more of r than it returns.
func newEventReader(r io.Reader) *eventReader {
	return &eventReader{in: bufio.NewReaderSize(&boundedReader{r, maxStream, maxStream}, readAhead), maxLine: maxLine}
}

// boundedReader returns an error if a stream continues after its limit.
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

// Next returns the next event. The error is io.EOF at the end of the stream, a *text.LimitError, or the reader's
// error. All events that arrived completely are returned before it.
func (r *eventReader) Next() (event, error) {
	for !r.buffered() {
		if r.err != nil {
			return event{}, r.err
		}
		_, r.err = r.in.Peek(1)
	}
	return r.takeEvent(), nil
}

// Rest returns the event that the end of the stream cut off, false if there is none.
func (r *eventReader) Rest() (event, bool) {
	if line := r.begin(r.part); len(line) > 0 {
		r.part = nil
		r.field(line)
	}
	if !r.hasData {
		return event{}, false
	}
	return r.takeEvent(), true
}

// takeEvent returns the complete event.
func (r *eventReader) takeEvent() event {
	r.next, r.returned = event{r.returned.Name[:0], r.returned.Data[:0]}, r.next
	r.hasData, r.ready = false, false
	r.count++
	return r.returned
}

// buffered reads lines from the buffer until an event is complete, and reports whether one is: then Next returns it
// without another Read, so that a caller can write together what arrived together. The last event stays valid.
func (r *eventReader) buffered() bool {
	for !r.ready {
		line, ok := r.line()
		if !ok {
			return false
		}
		if line = r.begin(line); len(line) > 0 {
			r.field(line)
		} else if r.ready = r.hasData; !r.ready {
			r.next.Name = r.next.Name[:0]
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

// line takes one line from the buffer, valid until the next call. A CR ends the line at once: waiting for a LF after
// it would delay the event until the next one.
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

// field reads one line that is not blank: a comment (which starts with a colon), a field with a value, or a field's
// name without a value.
func (r *eventReader) field(line []byte) {
	e := &r.next
	if line[0] == '{' && !r.hasData {
		e.Data, r.hasData, r.ready = append(e.Data, line...), true, true
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	if string(name) == "error" && len(value) > 0 {
		e.Name, name = append(e.Name[:0], name...), []byte("data")
	}
	switch string(name) {
	case "data":
		if r.hasData {
			e.Data = append(e.Data, '\n')
		}
		if len(e.Data)+len(value) > r.maxLine {
			r.fail("an event of the stream")
			return
		}
		e.Data = append(e.Data, value...)
		r.hasData = true
	case "event":
		e.Name = append(e.Name[:0], value...)
	}
}

// fail ends the stream and discards the buffer.
func (r *eventReader) fail(what string) {
	r.err = &text.LimitError{What: what, Limit: int64(r.maxLine)}
	_, _ = r.in.Discard(r.in.Buffered())
	r.part, r.hasData, r.ready, r.skipLF = nil, false, false, false
}
