package demo

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// quoted bounds how much of the prompt an answer repeats, in characters.
const quoted = 160

// bombSize is what gzip=bomb decompresses to, at least: more than any reader of answers should take.
const bombSize = 68 << 20

// dialect is the part of an API that a normal answer needs.
type dialect interface {
	// reply is the body of an answer that is not streamed.
	reply(a answer) any
	// open, delta and end are the events of a stream, in this order; delta once per piece of text.
	open(a answer) []frame
	delta(a answer, piece string) frame
	end(a answer) []frame
	// ping is what keeps an idle stream alive.
	ping() frame
}

// answer is what every dialect says in its own way.
type answer struct {
	id, model string
	text      string
	fill      int64 // instead of text: this many bytes of filler
	in, out   int64 // tokens
	cut       bool  // max_tokens was reached
	created   time.Time
}

// meet lets the request meet its fault, or answers it.
func (x *exchange) meet(body []byte) {
	h := x.w.Header()
	switch status := x.p.status; {
	case x.p.fault == "success":
		x.fail(&apiError{status: status, message: "Overloaded: the demo node lets only a part of the requests succeed"})
		return
	case status == http.StatusOK:
	case status == http.StatusSwitchingProtocols:
		h.Set("Connection", "close")
		x.w.WriteHeader(status)
		return
	case status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified:
		x.w.WriteHeader(status)
		return
	case status < 200:
		x.w.WriteHeader(status)
		x.p.status = http.StatusOK
	case status >= 300:
		x.fail(statusError(status))
		return
	}
	if x.p.bigHeader > 0 {
		h.Set("X-Demo-Big", strings.Repeat("h", int(x.p.bigHeader)))
	}
	switch x.p.breaks {
	case "spend-cap":
		x.fail(&apiError{
			status:  http.StatusTooManyRequests,
			message: "your organization has reached its monthly spend limit; access returns when the limit is raised or next month begins",
			cap:     true,
		})
	case "stall":
		x.stall()
	case "reset":
		x.reset()
	case "redirect":
		h.Set("Location", x.p.redirectTo)
		x.w.WriteHeader(http.StatusFound)
	case "html":
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(page)))
		x.w.WriteHeader(http.StatusOK)
		_, _ = x.w.Write([]byte(page)) // a client that left needs no page
	case "empty":
		h.Set("Content-Length", "0")
		x.w.WriteHeader(http.StatusOK)
	default:
		x.answer(body)
	}
}

// page is what a captive portal or a gateway's own error page looks like to a client.
const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Welcome</title></head>
<body><h1>Welcome to the demo gateway</h1><p>This page is not an answer of a model.</p></body></html>
`

// answer looks at the key and the body, and gives the normal answer.
func (x *exchange) answer(body []byte) {
	if x.key == "" {
		x.fail(&apiError{status: http.StatusUnauthorized, message: "no key: send one in x-api-key or as a bearer token; any will do here"})
		return
	}
	var d dialect
	var ask prompt
	var failure *apiError
	switch x.api {
	case apiModels:
		x.models()
		return
	case apiMessages:
		d = messages{}
		ask, failure = parseMessages(body, x.r.Header.Values("Anthropic-Version"))
	case apiComplete:
		d = complete{}
		ask, failure = parseComplete(body)
	default:
		ask, failure = parseChat(body)
		d = chat{usage: ask.usage}
	}
	if failure != nil {
		x.fail(failure)
		return
	}
	a := x.compose(ask)
	x.limits(a.in, a.out)
	switch {
	case ask.stream:
		x.stream(d, a)
	case x.p.breaks == "error-event":
		e := overloaded()
		status := http.StatusOK
		if x.p.envelope != bare {
			status = e.status // the envelope's own status tells the truth; the HTTP status is 200 anyway
		}
		x.send(status, x.shape(e))
	default:
		x.deliver(encodeAnswer(d.reply(a), a.fill))
	}
}

// compose makes the answer's text and counts its tokens.
func (x *exchange) compose(ask prompt) answer {
	a := answer{id: x.id, model: ask.model, in: max(ask.in, 1), created: x.n.now()}
	switch {
	case x.p.big != nil:
		a.fill = *x.p.big
	case x.p.gzip == bomb:
		a.fill = bombSize
	}
	if x.p.big != nil || a.fill > 0 {
		a.out = (a.fill + 3) / 4
		return a
	}
	text := friendly(ask.text)
	if x.p.echoKey {
		text = "(key: " + x.key + ") " + text
	}
	a.text, a.cut = cutTokens(text, ask.limit)
	a.out = countTokens(a.text)
	return a
}

// friendly is the demo node's answer, in the prompt's language as far as it knows it.
func friendly(prompt string) string {
	said, n := prompt, 0
	for i := range prompt {
		if n++; n > quoted {
			said = prompt[:i] + "…"
			break
		}
	}
	if strings.ContainsFunc(prompt, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return "你好，这里是演示节点：没有调用任何模型，这段回答就在本机生成。你写的是：「" + said +
			"」。在地址后加 ?status=429,200 或 ?latency=800ms，可以看到节点出错时的样子。"
	}
	return "Hello from the demo node: no model was asked, and this answer was made on your own machine. You wrote: “" + said +
		"”. Add ?status=429,200 or ?latency=800ms to the node's address to see what a bad day looks like."
}

// quarters is a character's share of a token, in quarters: see the package comment.
func quarters(r rune) int64 {
	if r < 0x80 {
		return 1
	}
	return 4
}

// countTokens estimates the tokens of s.
func countTokens(s string) int64 {
	var q int64
	for _, r := range s {
		q += quarters(r)
	}
	return (q + 3) / 4
}

// cutTokens returns the longest beginning of s that has at most limit tokens, and whether that is less than s. No
// limit is 0.
func cutTokens(s string, limit int64) (string, bool) {
	// Also keeps limit*4 from overflowing: no token is shorter than a quarter of a byte.
	if limit <= 0 || limit >= int64(len(s)) {
		return s, false
	}
	var q int64
	for i, r := range s {
		if q += quarters(r); q > limit*4 {
			return s[:i], true
		}
	}
	return s, false
}
