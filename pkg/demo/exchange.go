package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRequest is the real API's limit of a request body.
const maxRequest = 32 << 20

// maxDrain is how much of a body over the limit is still read: a client that is cut off while it writes often
// reports the broken connection, and never sees the 413.
const maxDrain = 64 << 20

// exchange is one request on its way through the node.
type exchange struct {
	n   *Node
	ctx context.Context
	w   http.ResponseWriter
	r   *http.Request
	api string
	key string
	id  string

	dialect dialect
	openAI  bool // the client speaks OpenAI's shapes
	plan    plan
	sent    int          // the status that was sent
	gz      *gzip.Writer // takes the answer where the query asks for compression
	begun   bool         // an event was sent
}

// ServeHTTP answers one request as its path, body and query ask. To drop a connection it panics with
// http.ErrAbortHandler where it cannot hijack it, which net/http's server understands.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(n.closing, cancel)()

	// The key comes in either header; the SDKs have used both.
	key := strings.TrimSpace(r.Header.Get("X-Api-Key"))
	if scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); key == "" && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(bearer)
	}
	// The id looks random, and is the same in every run with the same seed and order of requests.
	place := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.opts.Seed), n.serial.Add(1))
	id := sha256.Sum256(place)
	x := &exchange{n: n, ctx: ctx, w: w, r: r, key: key, id: hex.EncodeToString(id[:12])}
	x.api, x.dialect = route(r)
	x.openAI = x.dialect == chat{}
	if n.opts.OnRequest != nil {
		defer x.report(n.opts.Now())
	}
	x.serve()
	if x.gz != nil {
		_ = x.gz.Close() // fails only when the client has left
	}
}

// report tells of the request, also when the connection was dropped by a panic.
func (x *exchange) report(started time.Time) {
	rec := Record{
		Started: started, Took: x.n.opts.Now().Sub(started), Method: x.r.Method, Path: x.r.URL.Path, Query: x.r.URL.RawQuery,
		API: x.api, Status: x.sent, Fault: x.plan.fault, Key: x.key != "",
	}
	// Shorter keys are not secrets, and masking them would garble the path.
	if len(x.key) >= 8 {
		rec.Path = strings.ReplaceAll(rec.Path, x.key, "***")
		rec.Query = strings.ReplaceAll(rec.Query, x.key, "***")
	}
	x.n.opts.OnRequest(rec)
}

// serve takes the steps in the order that the package comment gives.
func (x *exchange) serve() {
	if x.api == "" {
		x.fail(&apiError{status: http.StatusNotFound, message: "the demo node has no such path"})
		return
	}
	allow, allowed := http.MethodPost, x.r.Method == http.MethodPost
	if x.api == apiModels || x.api == apiHealth {
		allow, allowed = "GET, HEAD", x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	}
	if !allowed {
		x.w.Header().Set("Allow", allow)
		x.fail(&apiError{status: http.StatusMethodNotAllowed, message: "this path takes " + allow})
		return
	}
	if x.api == apiHealth {
		x.send(http.StatusOK, `{"status":"ok"}`)
		return
	}
	x.plan.status = http.StatusOK
	query := x.r.URL.RawQuery
	if query != "" {
		f, err := parseFaults(query)
		if err != nil {
			x.fail(badRequest("", "%s", err.Error()))
			return
		}
		if len(f.ignored) > 0 {
			x.w.Header().Set("X-Demo-Ignored", f.ignoredHeader())
		}
		x.plan.faults = f // envelope and echo-key count from here on
	}
	// The whole body is read before any fault: with a part of it unread the server would not notice a client that goes
	// away during a stall, and a cut answer would be lost to a reset.
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(x.r.Body, maxRequest+1))
	switch {
	case n > maxRequest:
		_, _ = io.CopyN(io.Discard, x.r.Body, maxDrain) // best effort: the answer is 413 either way
		x.fail(&apiError{status: http.StatusRequestEntityTooLarge, message: "request body exceeds 32 MB"})
	case err != nil:
		// The client is most likely gone; if it is not, it learns what was wrong.
		x.fail(badRequest("", "the request body could not be read"))
	case query == "" || !x.failed():
		x.answer(body.Bytes())
	}
}

// failed lets the request meet the faults of its query, and reports whether one replaced the answer.
func (x *exchange) failed() bool {
	query := queryID(sha256.Sum256([]byte(x.r.URL.RawQuery)))
	x.plan = x.plan.faults.plan(x.n.count(query), x.n.opts.Seed, query)
	if x.n.opts.Sleep(x.ctx, x.plan.delay) != nil {
		x.drop()
	}
	h := x.w.Header()
	switch status := x.plan.status; {
	case x.plan.fault == "success":
		x.fail(&apiError{status: status, message: "Overloaded: the demo node lets only a part of the requests succeed"})
		return true
	case status == http.StatusSwitchingProtocols:
		h.Set("Connection", "close")
		x.begin(status, "")
		return true
	case status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified:
		x.begin(status, "")
		return true
	case status < 200:
		x.begin(status, "")
		x.plan.status = http.StatusOK
	case status >= 300:
		x.fail(statusError(status))
		return true
	}
	if x.plan.bigHeader > 0 {
		h.Set("X-Demo-Big", strings.Repeat("h", int(x.plan.bigHeader)))
	}
	switch x.plan.breaks {
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
		h.Set("Location", x.plan.redirectTo)
		x.begin(http.StatusFound, "")
	case "html":
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(page)))
		x.begin(http.StatusOK, "")
		_, _ = io.WriteString(x.w, page) // a client that left needs no page
	case "empty":
		h.Set("Content-Length", "0")
		x.begin(http.StatusOK, "")
	default:
		return false
	}
	return true
}

// page is what a captive portal or a gateway's own error page looks like to a client.
const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Welcome</title></head>
<body><h1>Welcome to the demo gateway</h1><p>This page is not an answer of a model.</p></body></html>
`

// drop ends the connection without another byte.
func (x *exchange) drop() { panic(http.ErrAbortHandler) }

// reset ends the connection so that a TCP client sees a reset and not an orderly end.
func (x *exchange) reset() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.drop() // HTTP/2, or no connection at all
	}
	if l, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // without it the close is an orderly end, which is still no answer
	}
	_ = conn.Close() // nothing is left that could fail
}

// stall waits until the client or the node goes away.
func (x *exchange) stall() {
	<-x.ctx.Done()
	x.drop()
}

// begin sends the status and the headers, with the request id and the compression of an answer where it has a type. An
// interim response is not the answer, 101 excepted.
func (x *exchange) begin(status int, contentType string) {
	if contentType != "" {
		h := x.w.Header()
		h.Set("Content-Type", contentType)
		switch { // the APIs have two names for the id
		case x.api == apiHealth:
		case x.openAI:
			h.Set("X-Request-Id", "req_"+x.id)
		default:
			h.Set("Request-Id", "req_"+x.id)
		}
		if x.plan.gzip != "" {
			h.Set("Content-Encoding", "gzip")
			// The fastest level is the smallest cost for a bomb, and still shrinks it by a factor of hundreds.
			x.gz, _ = gzip.NewWriterLevel(x.w, gzip.BestSpeed) // the level is a valid constant
		}
	}
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.sent = status
	}
	x.w.WriteHeader(status)
}

// fail sends an error in the shape of the API.
func (x *exchange) fail(e *apiError) {
	if x.plan.retryAfter != nil && !e.cap && (e.status == http.StatusTooManyRequests || e.status >= 500) {
		x.w.Header().Set("Retry-After", *x.plan.retryAfter)
	}
	x.limits(e.status, 0, 0)
	x.send(e.status, x.failure(e))
}

// failure is an error's body, with the key in it where the query asks for that.
func (x *exchange) failure(e *apiError) string {
	copied := *e
	if x.plan.echoKey && x.key != "" {
		copied.message += " (key: " + x.key + ")"
	}
	return x.dialect.failure(&copied, "req_"+x.id)
}

// send sends a JSON body that no fault of an answer spoils.
func (x *exchange) send(status int, body string) {
	x.plan.breaks, x.plan.gzip = "", ""
	x.deliver(status, body, "", answer{})
}

// Limits that the rate-limit headers tell. They are never enforced: status=429 is how to be limited.
const (
	limitRequests = 1000
	limitInput    = 400_000
	limitOutput   = 80_000
	limitWindow   = time.Minute
)

// limits sets the rate-limit headers after a request that took in and out tokens. The two APIs turn the words of their
// names around.
func (x *exchange) limits(status int, in, out int64) {
	kinds := []struct {
		of          string
		limit, used int64
	}{
		{"Requests", limitRequests, 1}, {"Tokens", limitInput + limitOutput, in + out},
		{"Input-Tokens", limitInput, in}, {"Output-Tokens", limitOutput, out},
	}
	if status == http.StatusTooManyRequests {
		kinds[0].used = limitRequests
	}
	name, reset := "Anthropic-Ratelimit-%s-%s", x.n.opts.Now().Add(limitWindow).UTC().Format(time.RFC3339)
	if x.openAI {
		name, reset = "X-Ratelimit-%[2]s-%[1]s", limitWindow.String()
		kinds = kinds[:2]
	}
	for _, k := range kinds {
		for what, value := range map[string]any{"Limit": k.limit, "Remaining": max(k.limit-k.used, 0), "Reset": reset} {
			x.w.Header().Set(fmt.Sprintf(name, k.of, what), fmt.Sprint(value))
		}
	}
}
