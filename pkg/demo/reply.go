package demo

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits that the rate-limit headers tell. They are never enforced: status=429 is how to be limited.
const (
	limitRequests = 1000
	limitInput    = 400_000
	limitOutput   = 80_000
	limitWindow   = time.Minute
)

// marker stands for the filler in an encoded body. A control character keeps it apart from a model's name.
const marker = "\x01fill\x01"

// pattern is the filler: ASCII that JSON need not escape, so that a byte of text is a byte on the wire. It is made when
// it is first wanted, since every run of ferry links this package.
var pattern = sync.OnceValue(func() string { return strings.Repeat("abcdefghijklmnopqrstuvwxyz ", 2048) })

// filler returns n bytes of the filler from offset, fewer when the pattern's end is nearer.
func filler(offset, n int64) string {
	rest := pattern()[offset%int64(len(pattern())):]
	return rest[:min(n, int64(len(rest)))]
}

// payload is a JSON body whose long middle is never held in memory.
type payload struct {
	head, tail []byte
	fill       int64
}

func (p payload) size() int64 { return int64(len(p.head)) + p.fill + int64(len(p.tail)) }

// write writes the first limit bytes.
func (p payload) write(w io.Writer, limit int64) error {
	head := p.head[:min(limit, int64(len(p.head)))]
	if _, err := w.Write(head); err != nil {
		return err
	}
	limit -= int64(len(head))
	fill := min(limit, p.fill)
	for done := int64(0); done < fill; {
		n, err := io.WriteString(w, filler(done, fill-done))
		if err != nil {
			return err
		}
		done += int64(n)
	}
	_, err := w.Write(p.tail[:min(limit-fill, int64(len(p.tail)))])
	return err
}

// encode turns one of this package's own shapes into JSON, which cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the real APIs do not escape <, > and & either
	if err := e.Encode(v); err != nil {
		panic("demo: a reply that cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// encodeAnswer encodes a body that holds the marker where fill bytes belong.
func encodeAnswer(v any, fill int64) payload {
	body := encode(v)
	if fill == 0 {
		return payload{head: body}
	}
	mark := bytes.Trim(encode(marker), `"`)
	at := bytes.LastIndex(body, mark) // the last: a model's name, which comes before, could spell it too
	return payload{head: body[:at], fill: fill, tail: body[at+len(mark):]}
}

// content is the answer's text as a body that is not streamed holds it.
func (a answer) content() string {
	if a.fill > 0 {
		return marker
	}
	return a.text
}

// wrap puts the body into an envelope when the query asks for one, and returns the HTTP status to send.
func (x *exchange) wrap(status int, p payload) (int, payload) {
	value := strconv.Itoa(status)
	switch x.p.envelope {
	case bare:
		return status, p
	case stringStatus:
		value = strconv.Quote(value)
	}
	p.head = append([]byte(`{"status":`+value+`,`), p.head[1:]...)
	return http.StatusOK, p
}

// fail sends an error in the shape of the API.
func (x *exchange) fail(e *apiError) {
	if x.p.retryAfter != nil && !e.cap && (e.status == http.StatusTooManyRequests || e.status >= 500) {
		x.w.Header().Set("Retry-After", *x.p.retryAfter)
	}
	x.limits(0, 0)
	if e.status == http.StatusTooManyRequests {
		x.w.Header().Set(x.limitName("requests", "remaining"), "0")
	}
	x.send(e.status, x.shape(e))
}

// send sends a JSON body whole.
func (x *exchange) send(status int, v any) {
	status, p := x.wrap(status, payload{head: encode(v)})
	h := x.w.Header()
	x.identify()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.FormatInt(p.size(), 10))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_ = p.write(x.w, p.size()) // a client that left needs no answer
	}
}

// deliver sends a normal answer, spoiled as the query asks.
func (x *exchange) deliver(p payload) {
	status, p := x.wrap(x.p.status, p)
	limit := p.size()
	stalls, cuts := x.p.breaks == "stall-mid", x.p.breaks == "truncate"
	if cuts || stalls {
		limit /= 2
	}
	h := x.w.Header()
	x.identify()
	h.Set("Content-Type", "application/json")
	switch {
	case x.p.gzip != plain: // the length is not known before
	case cuts && x.p.truncate == cutClean:
		h.Set("Content-Length", strconv.FormatInt(limit, 10))
	default:
		h.Set("Content-Length", strconv.FormatInt(p.size(), 10))
	}
	out := x.writer(status)
	if x.r.Method == http.MethodHead {
		return
	}
	if p.write(out, limit) != nil {
		x.drop()
	}
	if stalls || cuts && x.p.truncate == cut {
		_ = out.flush() // what fails here is cut anyway
		if stalls {
			x.stall()
		}
		x.drop()
	}
	out.end()
}

// output writes an answer's bytes, compressed when the query asks for it.
type output struct {
	io.Writer
	control *http.ResponseController
	gz      *gzip.Writer
}

// writer sends the headers and returns what takes the body.
func (x *exchange) writer(status int) output {
	out := output{Writer: x.w, control: http.NewResponseController(x.w)}
	if x.p.gzip != plain {
		x.w.Header().Set("Content-Encoding", "gzip")
		// The fastest level is the smallest cost for a bomb, and still shrinks it by a factor of hundreds.
		out.gz, _ = gzip.NewWriterLevel(x.w, gzip.BestSpeed) // the level is a valid constant
		out.Writer = out.gz
	}
	x.w.WriteHeader(status)
	return out
}

// flush brings everything written so far to the client.
func (o output) flush() error {
	if o.gz != nil {
		if err := o.gz.Flush(); err != nil {
			return err
		}
	}
	return o.control.Flush()
}

// end completes the body; net/http flushes it.
func (o output) end() {
	if o.gz != nil {
		_ = o.gz.Close() // fails only when the client has left
	}
}

// identify sets the request id under the name that the API gives it.
func (x *exchange) identify() {
	switch {
	case x.api == apiHealth:
	case x.openAI():
		x.w.Header().Set("X-Request-Id", x.requestID())
	default:
		x.w.Header().Set("Request-Id", x.requestID())
	}
}

// limitName is the name of one rate-limit header: the two APIs turn its words around.
func (x *exchange) limitName(of, what string) string {
	if x.openAI() {
		return "X-Ratelimit-" + what + "-" + of
	}
	return "Anthropic-Ratelimit-" + of + "-" + what
}

// limits sets the rate-limit headers after a request that took in and out tokens.
func (x *exchange) limits(in, out int64) {
	h := x.w.Header()
	reset := x.n.now().Add(limitWindow).UTC().Format(time.RFC3339)
	kinds := []struct {
		of          string
		limit, used int64
	}{
		{"requests", limitRequests, 1}, {"tokens", limitInput + limitOutput, in + out},
		{"input-tokens", limitInput, in}, {"output-tokens", limitOutput, out},
	}
	if x.openAI() {
		reset = limitWindow.String()
		kinds = kinds[:2]
	}
	for _, k := range kinds {
		h.Set(x.limitName(k.of, "limit"), strconv.FormatInt(k.limit, 10))
		h.Set(x.limitName(k.of, "remaining"), strconv.FormatInt(max(k.limit-k.used, 0), 10))
		h.Set(x.limitName(k.of, "reset"), reset)
	}
}
