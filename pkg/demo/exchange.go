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

// maxRequest is the real API's limit for a request body.
const maxRequest = 32 << 20

// maxDrain is how many bytes above the limit are still read: a client that is cut off while it writes often reports the
// broken connection and never reads the 413.
const maxDrain = 64 << 20

// exchange is one request and its answer.
type exchange struct {
	n   *Node
	ctx context.Context
	w   http.ResponseWriter
	r   *http.Request
	api string
	key string
	id  string

	dialect dialect
	openAI  bool // the client uses OpenAI's formats
	plan    plan
	sent    int          // the status that was sent
	gz      *gzip.Writer // compresses the answer if the query asks for it
	begun   bool         // an event was sent
}

// ServeHTTP answers one request according to its path, body and query. If it cannot hijack a connection that it should
// drop, it panics with http.ErrAbortHandler, which net/http handles.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(n.closing, cancel)()

	// The key is in either header: the SDKs have used both.
	key := strings.TrimSpace(r.Header.Get("X-Api-Key"))
	if scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); key == "" && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(bearer)
	}
	// The id looks random, but is the same in every run with the same order of requests.
	place := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, seed), n.serial.Add(1))
	id := sha256.Sum256(place)
	x := &exchange{n: n, ctx: ctx, w: w, r: r, key: key, id: hex.EncodeToString(id[:12])}
	x.api, x.dialect = route(r)
	x.openAI = x.dialect == chat{}
	if n.opts.OnRequest != nil {
		defer x.report()
	}
	x.serve()
	if x.gz != nil {
		_ = x.gz.Close() // fails only if the client has disconnected
	}
}

// report calls OnRequest for the request, also if a panic dropped the connection.
func (x *exchange) report() {
	path := x.r.URL.Path
	// Shorter keys are not secrets, and masking them would garble the path.
	if len(x.key) >= 8 {
		path = strings.ReplaceAll(path, x.key, "***")
	}
	x.n.opts.OnRequest(Record{Method: x.r.Method, Path: path, Status: x.sent, Fault: x.plan.fault})
}

// serve runs the steps in the order of the package comment.
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
		x.plan.faults = f // envelope and echo-key apply from here on
	}
	// The complete body is read before any fault: with unread data the server would not notice a client that
	// disconnects during a stall, and a reset would discard a cut answer.
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(x.r.Body, maxRequest+1))
	switch {
	case n > maxRequest:
		_, _ = io.CopyN(io.Discard, x.r.Body, maxDrain) // best effort: the status is 413 in any case
		x.fail(&apiError{status: http.StatusRequestEntityTooLarge, message: "request body exceeds 32 MB"})
	case err != nil:
		// The client has most likely disconnected; if not, it gets the reason.
		x.fail(badRequest("", "the request body could not be read"))
	case query == "" || !x.applyFaults():
		x.answer(body.Bytes())
	}
}

// applyFaults applies the faults of the query, and reports whether one of them replaced the answer.
func (x *exchange) applyFaults() bool {
	query := queryID(sha256.Sum256([]byte(x.r.URL.RawQuery)))
	x.plan = x.plan.faults.plan(x.n.count(query), query)
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
		h.Set("Content-Length", strconv.Itoa(len(htmlPage)))
		x.begin(http.StatusOK, "")
		_, _ = io.WriteString(x.w, htmlPage) // fails only if the client has disconnected
	case "empty":
		h.Set("Content-Length", "0")
		x.begin(http.StatusOK, "")
	default:
		return false
	}
	return true
}

// htmlPage is an HTML page such as a captive portal or a gateway sends.
const htmlPage = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Welcome</title></head>
<body><h1>Welcome to the demo gateway</h1><p>This page is not an answer of a model.</p></body></html>
`

// drop ends the connection without sending more.
func (x *exchange) drop() { panic(http.ErrAbortHandler) }

// reset ends the connection so that a TCP client sees a reset instead of a regular end.
func (x *exchange) reset() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.drop() // HTTP/2, or no connection at all
	}
	if l, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // without it the client sees a regular end, also without an answer
	}
	_ = conn.Close() // an error changes nothing here
}

// stall waits until the client disconnects or the node is closed.
func (x *exchange) stall() {
	<-x.ctx.Done()
	x.drop()
}

// begin sends the status and the headers. If the answer has a content type, it adds the request id and the compression.
// Interim responses other than 101 are not recorded as the status of the answer.
func (x *exchange) begin(status int, contentType string) {
	if contentType != "" {
		h := x.w.Header()
		h.Set("Content-Type", contentType)
		switch { // the APIs use different names for the id
		case x.api == apiHealth:
		case x.openAI:
			h.Set("X-Request-Id", "req_"+x.id)
		default:
			h.Set("Request-Id", "req_"+x.id)
		}
		if x.plan.gzip != "" {
			h.Set("Content-Encoding", "gzip")
			// The fastest level makes a bomb cheap to send, and still shrinks it by a factor of several hundred.
			x.gz, _ = gzip.NewWriterLevel(x.w, gzip.BestSpeed) // the level is a valid constant
		}
	}
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.sent = status
	}
	x.w.WriteHeader(status)
}

// fail sends an error in the format of the API.
func (x *exchange) fail(e *apiError) {
	if x.plan.retryAfter != nil && !e.cap && (e.status == http.StatusTooManyRequests || e.status >= 500) {
		x.w.Header().Set("Retry-After", *x.plan.retryAfter)
	}
	x.setRateLimits(e.status, 0, 0)
	x.send(e.status, x.failure(e))
}

// failure returns the body of an error, with the key in it if the query asks for that.
func (x *exchange) failure(e *apiError) string {
	copied := *e
	if x.plan.echoKey && x.key != "" {
		copied.message += " (key: " + x.key + ")"
	}
	return x.dialect.failure(&copied, "req_"+x.id)
}

// send sends a JSON body without faults.
func (x *exchange) send(status int, body string) {
	x.plan.breaks, x.plan.gzip = "", ""
	x.deliver(status, body, "", answer{})
}

// Limits in the rate-limit headers. They are never enforced: use status=429 to simulate a rate limit.
const (
	limitRequests = 1000
	limitInput    = 400_000
	limitOutput   = 80_000
	limitWindow   = time.Minute
)

// setRateLimits sets the rate-limit headers after a request with these input and output tokens. The two APIs order the
// words of the header names differently.
func (x *exchange) setRateLimits(status int, in, out int64) {
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
