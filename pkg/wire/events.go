package wire

import (
	"bytes"
	"io"

	"ferry/pkg/text"
)

const (
	maxLine   = 8 << 20   // bytes of one line, and of one event's data
	maxStream = 256 << 20 // bytes of a whole stream
	firstRoom = 32 << 10  // bytes of the first buffer: a read of a socket rarely brings more
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

// eventReader reads an event stream exactly as WHATWG HTML section 9.2.6 "Interpreting an event stream" says: a BOM at
// the start is dropped; LF, CR and CRLF end a line; a blank line dispatches an event if it has a data line; what the end
// of the stream cuts off is dropped. The id and retry fields are about reconnecting, which would ask, and bill, twice:
// they are parsed and have no effect.
//
// With tolerant, three things are read that the standard drops and that servers send: a JSON object alone in its line is
// an event, a field of the name error is an event of that name, and Rest gives what the end of the stream cut off.
//
// Its buffers grow with the longest line and event up to the limit of 8 MiB, and not with the stream.
type eventReader struct {
	in    io.Reader
	err   error // what ended the reading, once the buffer has been used up
	total int   // bytes read
	count int   // events given

	buf      []byte
	pos, end int // what of buf is not yet parsed
	lf, cr   int // there is no LF, no CR in buf from pos to here
	started  bool
	skipLF   bool // the last line ended in CR: a LF that comes next belongs to it

	name        string
	data, given []byte // of the event being read, of the one given last
	hasData     bool
	ready       bool // the event being read is whole
	names       map[string]string

	maxLine, maxStream int
	tolerant           bool
}

// newEventReader reads events from r. It reads ahead of what it gives.
func newEventReader(r io.Reader) *eventReader {
	return &eventReader{in: r, maxLine: maxLine, maxStream: maxStream}
}

// Count is how many events Next has given.
func (r *eventReader) Count() int { return r.count }

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
		r.fill()
	}
	return r.give(), nil
}

// Rest gives the event that the end of the stream cut off, false where there is none.
func (r *eventReader) Rest() (event, bool) {
	if r.pos < r.end {
		line := r.buf[r.pos:r.end]
		r.pos = r.end
		if !r.started {
			line = bytes.TrimPrefix(line, bom)
		}
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
		if r.skipLF && r.pos < r.end {
			r.skipLF = false
			if r.buf[r.pos] == '\n' {
				r.pos++
			}
		}
		line, ok := r.line()
		if !ok {
			return false
		}
		if !r.started {
			r.started = true
			line = bytes.TrimPrefix(line, bom)
		}
		if len(line) > 0 {
			r.field(line)
			continue
		}
		r.ready = r.hasData
		if !r.ready {
			r.name = ""
		}
	}
	return true
}

// line takes one line from the buffer. A CR ends it at once: waiting for a LF behind it would hold back the event until
// the next one. Where both line ends were last found is kept, so that every byte is looked at once.
func (r *eventReader) line() ([]byte, bool) {
	r.lf = r.seek('\n', r.lf)
	r.cr = r.seek('\r', r.cr)
	stop := min(r.lf, r.cr)
	if stop-r.pos > r.maxLine {
		r.fail("a line of the stream", r.maxLine)
		return nil, false
	}
	if stop == r.end {
		return nil, false
	}
	line := r.buf[r.pos:stop]
	r.pos = stop + 1
	r.skipLF = r.buf[stop] == '\r'
	return line, true
}

func (r *eventReader) seek(c byte, from int) int {
	from = max(from, r.pos)
	if i := bytes.IndexByte(r.buf[from:r.end], c); i >= 0 {
		return from + i
	}
	return r.end
}

// field reads one line that is not blank: a comment (a colon first), a field with a value, or a field's bare name.
func (r *eventReader) field(line []byte) {
	if r.tolerant && line[0] == '{' && !r.hasData {
		r.data, r.hasData, r.ready = append(r.data, line...), true, true
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	if r.tolerant && string(name) == "error" && len(value) > 0 {
		r.name, name = "error", []byte("data")
	}
	switch string(name) {
	case "data":
		if r.hasData {
			r.data = append(r.data, '\n')
		}
		if len(r.data)+len(value) > r.maxLine {
			r.fail("an event of the stream", r.maxLine)
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
func (r *eventReader) fail(what string, limit int) {
	r.err = &text.LimitError{What: what, Limit: int64(limit)}
	r.pos, r.end = 0, 0
	r.lf, r.cr = 0, 0
	r.hasData, r.ready, r.skipLF = false, false, false
}

// fill reads once more. It asks for at most one byte over the limit of the stream, which tells a stream that ends there
// from one that goes on.
func (r *eventReader) fill() {
	r.makeRoom()
	room := r.buf[r.end:]
	room = room[:min(len(room), r.maxStream+1-r.total)]
	for range 100 { // as bufio does: a reader may give nothing now and then, not forever
		n, err := r.in.Read(room)
		r.total += n
		r.end += n
		r.err = err
		if r.total > r.maxStream {
			r.end--
			r.err = &text.LimitError{What: "the stream", Limit: int64(r.maxStream)}
		}
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// makeRoom moves what is not yet parsed to the front of the buffer, and doubles the buffer where that is most of it.
func (r *eventReader) makeRoom() {
	if r.pos == r.end {
		r.pos, r.end, r.lf, r.cr = 0, 0, 0, 0
	}
	if r.end < len(r.buf) {
		return
	}
	rest := r.buf[r.pos:r.end]
	room := r.buf
	if len(rest) >= len(room)/2 {
		room = make([]byte, max(2*len(room), firstRoom))
	}
	copy(room, rest)
	r.buf, r.pos, r.end = room, 0, len(rest)
	r.lf, r.cr = r.end, r.end // neither is in the rest: more is read only then
}
