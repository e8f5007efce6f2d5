package demo

import (
	"time"
	"unicode/utf8"
)

// Bytes of text in each event when the query does not say: few for an answer that is read, more for one that only
// has to be large.
const (
	chunkText = 12
	chunkFill = 4 << 10
)

// dripEvery is the time between the pings of a drip.
const dripEvery = time.Second

// frame is one event of a stream.
type frame struct {
	event   string // its name, or empty for a stream that only has data
	data    any
	literal string // instead of event and data: the line as it is
}

func (f frame) bytes() []byte {
	if f.literal != "" {
		return []byte(f.literal + "\n\n")
	}
	var b []byte
	if f.event != "" {
		b = append(b, "event: "+f.event+"\n"...)
	}
	b = append(b, "data: "...)
	b = append(b, encode(f.data)...)
	return append(b, "\n\n"...)
}

// emitter sends a stream's events, each at once.
type emitter struct {
	x    *exchange
	out  output
	sent bool
}

// send sends one event; the connection is dropped when that is no longer possible.
func (e *emitter) send(f frame) {
	if e.sent && e.x.p.pace > 0 && e.x.n.sleep(e.x.ctx, e.x.p.pace) != nil {
		e.x.drop()
	}
	e.sent = true
	e.raw(f.bytes())
}

func (e *emitter) raw(b []byte) {
	if _, err := e.out.Write(b); err != nil {
		e.x.drop()
	}
	// A ResponseWriter that cannot flush still delivers at the end; one that can fails at the next write.
	_ = e.out.flush()
}

// stream sends an answer as events, up to the point where the query wants it broken.
func (x *exchange) stream(d dialect, a answer) {
	h := x.w.Header()
	x.identify()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	status := x.p.status
	if x.p.envelope != bare {
		status = 200
	}
	e := &emitter{x: x, out: x.writer(status)}
	for _, f := range d.open(a) {
		e.send(f)
	}
	size := x.chunkSize(a)
	half := int64(len(a.text))/2 + a.fill/2
	breaks := x.p.breaks != ""
	for at := int64(0); at < int64(len(a.text))+a.fill; {
		piece := a.piece(at, size)
		// Something has to be sent before the break, or it would not be one inside the text.
		if breaks && at > 0 && at >= half {
			x.interrupt(e, d, d.delta(a, piece))
			return
		}
		e.send(d.delta(a, piece))
		at += int64(len(piece))
	}
	end := d.end(a)
	if breaks {
		x.interrupt(e, d, end[len(end)-1])
		return
	}
	for _, f := range end {
		e.send(f)
	}
	e.out.end()
}

func (x *exchange) chunkSize(a answer) int64 {
	switch {
	case x.p.chunk > 0:
		return x.p.chunk
	case a.fill > 0:
		return chunkFill
	default:
		return chunkText
	}
}

// piece returns about size bytes of the text from offset at, and never a part of a character.
func (a answer) piece(at, size int64) string {
	if a.fill == 0 {
		end := min(at+size, int64(len(a.text)))
		for end < int64(len(a.text)) && !utf8.RuneStart(a.text[end]) {
			end++
		}
		return a.text[at:end]
	}
	size = min(size, a.fill-at)
	first := filler(at, size)
	if int64(len(first)) == size {
		return first
	}
	long := make([]byte, 0, size)
	for int64(len(long)) < size {
		long = append(long, filler(at+int64(len(long)), size-int64(len(long)))...)
	}
	return string(long)
}

// interrupt breaks a stream where the event next would have come.
func (x *exchange) interrupt(e *emitter, d dialect, next frame) {
	switch {
	case x.p.breaks == "truncate" && x.p.truncate == cut:
		b := next.bytes()
		e.raw(b[:len(b)/2])
		x.drop()
	case x.p.breaks == "truncate":
		e.out.end()
	case x.p.breaks == "error-event":
		event := "error"
		if x.openAI() {
			event = ""
		}
		e.send(frame{event: event, data: x.shape(overloaded())})
		e.out.end()
	case x.p.breaks == "stall-mid":
		x.stall()
	case x.p.breaks == "drip":
		for x.n.sleep(x.ctx, dripEvery) == nil {
			e.send(d.ping())
		}
		x.drop()
	}
}
