package demo

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxQuoted is how many characters of the prompt an answer repeats at most.
const maxQuoted = 160

// bombSize is the minimum size of the decompressed data of gzip=bomb: more than any reader of answers should accept.
const bombSize = 68 << 20

// Bytes of text in each event if the query does not set them: few for readable text, more for filler.
const (
	chunkText = 12
	chunkFill = 4 << 10
)

// fillerChunk is how many bytes of filler are written at once: half of the filler, so that no write copies it.
const fillerChunk = 27 << 10

// dripInterval is the time between the pings of a drip.
const dripInterval = time.Second

// answer is an answer, independent of the dialect.
type answer struct {
	id, model string
	text      string
	fill      int64 // instead of text: this many bytes of filler
	in, out   int64 // tokens
	cut       bool  // max_tokens was reached
	usage     bool  // chat: add a last chunk with the usage
	created   time.Time
}

// reason returns the reason why the answer ended: ended, or cut if max_tokens was reached.
func (a answer) reason(ended, cut string) string {
	if a.cut {
		return cut
	}
	return ended
}

// answer checks the key and the body, and sends the normal answer.
func (x *exchange) answer(body []byte) {
	if x.key == "" {
		x.fail(&apiError{status: http.StatusUnauthorized, message: "no key: send one in x-api-key or as a bearer token; any will do here"})
		return
	}
	r := &requestBody{header: x.r.Header, body: body}
	var p prompt
	switch {
	case x.api != apiModels:
		p = x.dialect.parse(r)
	case !x.openAI:
		r.checkVersion()
	}
	if r.failure != nil {
		x.fail(r.failure)
		return
	}
	if x.api == apiModels {
		x.deliver(x.plan.status, x.dialect.models(), "", answer{})
		return
	}
	a := answer{id: x.id, model: p.model, in: max(p.in, 1), usage: p.usage, created: x.n.opts.Now()}
	switch {
	case x.plan.big != nil:
		a.fill = *x.plan.big
	case x.plan.gzip == "bomb":
		a.fill = bombSize
	default:
		text := answerText(p.text)
		if x.plan.echoKey {
			text = "(key: " + x.key + ") " + text
		}
		a.text, a.out = cutTokens(text, p.limit)
		a.cut = len(a.text) < len(text)
	}
	if a.fill > 0 {
		a.out = (a.fill + 3) / 4
	}
	x.setRateLimits(x.plan.status, a.in, a.out)
	switch {
	case p.stream:
		x.stream(a)
	case x.plan.breaks == "error-event":
		e := overloaded()
		status := http.StatusOK
		if x.plan.envelope != "" {
			status = e.status // the body has the real status; the HTTP status becomes 200 anyway
		}
		x.send(status, x.failure(e))
	default:
		head, tail := x.dialect.reply(a)
		text := quote(a.text)
		x.deliver(x.plan.status, head+text[1:len(text)-1], tail, a)
	}
}

// answerText returns the answer text, in Chinese if the prompt contains Chinese characters, else in English.
func answerText(prompt string) string {
	quote, n := prompt, 0
	for i := range prompt {
		if n++; n > maxQuoted {
			quote = prompt[:i] + "…"
			break
		}
	}
	if strings.ContainsFunc(prompt, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return "你好，这里是演示节点：没有调用任何模型，这段回答就在本机生成。你写的是：「" + quote +
			"」。在地址后加 ?status=429,200 或 ?latency=800ms，可以看到节点出错时的样子。"
	}
	return "Hello from the demo node: no model was asked, and this answer was made on your own machine. You wrote: “" + quote +
		"”. Add ?status=429,200 or ?latency=800ms to the node's address to see what a bad day looks like."
}

// cutTokens returns the longest prefix of text with at most limit tokens (0: no limit) and its number of tokens. The
// package comment says how tokens are counted.
func cutTokens(text string, limit int64) (string, int64) {
	var quarters int64
	for i, r := range text {
		own := int64(4)
		if r < 0x80 {
			own = 1
		}
		if limit > 0 && (quarters+own+3)/4 > limit {
			return text[:i], (quarters + 3) / 4
		}
		quarters += own
	}
	return text, (quarters + 3) / 4
}

// filler is ASCII text that needs no JSON escapes, so that a byte of text is a byte on the wire. It is built on first
// use, because every run of ferry links this package.
var filler = sync.OnceValue(func() string { return strings.Repeat("abcdefghijklmnopqrstuvwxyz ", 2048) })

// piece returns about size bytes of the text from offset at, and never cuts a character.
func (a answer) piece(at, size int64) string {
	if a.fill == 0 {
		end := min(at+size, int64(len(a.text)))
		for end < int64(len(a.text)) && !utf8.RuneStart(a.text[end]) {
			end++
		}
		return a.text[at:end]
	}
	period := int64(len(filler()))
	from, size := at%period, min(size, a.fill-at)
	return strings.Repeat(filler(), int((from+size-1)/period)+1)[from : from+size]
}

// deliver sends a JSON body with the faults that the query asks for. head and tail are the JSON before and after the
// filler of a. The filler may be large, and is never completely in memory.
func (x *exchange) deliver(status int, head, tail string, a answer) {
	if x.plan.envelope != "" {
		value := strconv.Itoa(status)
		if x.plan.envelope == "string" {
			value = strconv.Quote(value)
		}
		status, head = http.StatusOK, `{"status":`+value+","+head[1:]
	}
	size := int64(len(head)+len(tail)) + a.fill
	limit := size
	stalls, cuts := x.plan.breaks == "stall-mid", x.plan.breaks == "truncate"
	if cuts || stalls {
		limit /= 2
	}
	h := x.w.Header()
	switch {
	case x.plan.gzip != "": // the length is not known yet
	case cuts && x.plan.truncate == "clean":
		h.Set("Content-Length", strconv.FormatInt(limit, 10))
	default:
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	x.begin(status, "application/json")
	if x.r.Method == http.MethodHead {
		x.gz = nil // closing it would write a body
		return
	}
	x.write(head[:min(limit, int64(len(head)))])
	limit -= int64(len(head))
	for at := int64(0); at < min(limit, a.fill); at += fillerChunk {
		x.write(a.piece(at, min(fillerChunk, limit-at)))
	}
	x.write(tail[:max(0, min(limit-a.fill, int64(len(tail))))])
	if stalls || cuts && x.plan.truncate == "cut" {
		x.flush()
		if stalls {
			x.stall()
		}
		x.drop()
	}
}

// stream sends an answer as events, up to the point where the query breaks the stream.
func (x *exchange) stream(a answer) {
	x.w.Header().Set("Cache-Control", "no-cache")
	status := x.plan.status
	if x.plan.envelope != "" {
		status = 200
	}
	x.begin(status, "text/event-stream; charset=utf-8")
	for _, event := range x.dialect.open(a) {
		x.event(event)
	}
	size := int64(chunkText)
	if a.fill > 0 {
		size = chunkFill
	}
	size = cmp.Or(x.plan.chunk, size)
	half := int64(len(a.text))/2 + a.fill/2
	for at := int64(0); at < int64(len(a.text))+a.fill; {
		piece := a.piece(at, size)
		event := x.dialect.delta(a, piece)
		// At least one event is sent before the break, so that the break is inside the text.
		if x.plan.breaks != "" && at > 0 && at >= half {
			x.interrupt(event)
			return
		}
		x.event(event)
		at += int64(len(piece))
	}
	end := x.dialect.end(a)
	if x.plan.breaks != "" {
		x.interrupt(end[len(end)-1])
		return
	}
	for _, event := range end {
		x.event(event)
	}
}

// interrupt breaks a stream in place of the event next. With truncate=clean the stream just ends there.
func (x *exchange) interrupt(next string) {
	switch {
	case x.plan.breaks == "truncate" && x.plan.truncate == "cut":
		x.write(next[:len(next)/2])
		x.flush()
		x.drop()
	case x.plan.breaks == "error-event":
		name := "error"
		if x.openAI {
			name = ""
		}
		x.event(event(name, x.failure(overloaded())))
	case x.plan.breaks == "stall-mid":
		x.stall()
	case x.plan.breaks == "drip":
		for x.n.opts.Sleep(x.ctx, dripInterval) == nil {
			x.event(x.dialect.ping())
		}
		x.drop()
	}
}

// write sends a part of the body. If that fails, it drops the connection.
func (x *exchange) write(text string) {
	var to io.Writer = x.w
	if x.gz != nil {
		to = x.gz
	}
	if _, err := io.WriteString(to, text); err != nil {
		x.drop()
	}
}

// event sends an event at once. Every event except the first waits for the pace of the stream before it is sent.
func (x *exchange) event(event string) {
	if x.begun && x.plan.pace > 0 && x.n.opts.Sleep(x.ctx, x.plan.pace) != nil {
		x.drop()
	}
	x.begun = true
	x.write(event)
	x.flush()
}

// flush sends the written data to the client. It ignores errors: if the connection failed, the next write fails too,
// and a writer that cannot flush sends the data at the end.
func (x *exchange) flush() {
	if x.gz != nil {
		_ = x.gz.Flush()
	}
	_ = http.NewResponseController(x.w).Flush()
}
