package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"path"
	"strings"
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
	w   *statusWriter
	r   *http.Request
	api api
	key string
	id  string
	p   plan
	rec Record
}

// statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	// An interim response is not the answer, 101 excepted.
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (n *Node) begin(ctx context.Context, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{n: n, ctx: ctx, w: &statusWriter{ResponseWriter: w}, r: r, key: keyOf(r.Header), id: n.newID()}
	x.api = route(r.URL.Path)
	x.rec = Record{Started: n.now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, API: string(x.api), Key: x.key != ""}
	return x
}

// finish reports the request, also when the connection was dropped by a panic.
func (x *exchange) finish() {
	if x.n.onRequest == nil {
		return
	}
	rec := x.rec
	rec.Took = x.n.now().Sub(rec.Started)
	rec.Status = x.w.status
	// Shorter keys are not secrets, and masking them would garble the path.
	if len(x.key) >= 8 {
		rec.Path = strings.ReplaceAll(rec.Path, x.key, "***")
		rec.Query = strings.ReplaceAll(rec.Query, x.key, "***")
	}
	x.n.onRequest(rec)
}

// route finds the API by the end of the path: gateways put what they like before it.
func route(p string) api {
	p = path.Clean("/" + p)
	for _, known := range []struct {
		suffix string
		api    api
	}{
		{"/v1/messages", apiMessages}, {"/v1/complete", apiComplete}, {"/chat/completions", apiChat},
		{"/models", apiModels}, {"/healthz", apiHealth},
	} {
		if strings.HasSuffix(p, known.suffix) {
			return known.api
		}
	}
	return apiNone
}

// keyOf takes the key from either header; the SDKs have used both.
func keyOf(h http.Header) string {
	if key := strings.TrimSpace(h.Get("X-Api-Key")); key != "" {
		return key
	}
	scheme, key, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// openAI reports whether the client speaks OpenAI's shapes.
func (x *exchange) openAI() bool {
	anthropic := x.r.Header.Get("Anthropic-Version") != ""
	switch x.api {
	case apiChat:
		return true
	case apiModels:
		return !anthropic
	case apiNone:
		return !anthropic && x.r.Header.Get("Authorization") != ""
	default:
		return false
	}
}

func (x *exchange) requestID() string { return "req_" + x.id }

// serve takes the steps in the order that the package comment gives.
func (x *exchange) serve() {
	switch x.api {
	case apiNone:
		x.fail(&apiError{status: http.StatusNotFound, message: "the demo node has no such path"})
		return
	case apiHealth:
		x.health()
		return
	}
	if !x.allowed(http.MethodPost) {
		return
	}
	f, err := parseFaults(x.r.URL.RawQuery)
	if len(f.ignored) > 0 {
		x.w.Header().Set("X-Demo-Ignored", f.ignoredHeader())
	}
	if err != nil {
		x.fail(badRequest("", "%s", err.Error()))
		return
	}
	x.p.faults = f // envelope and echo-key count from here on
	body, failure := x.read()
	if failure != nil {
		x.fail(failure)
		return
	}
	id := queryID(sha256.Sum256([]byte(x.r.URL.RawQuery)))
	x.p = f.plan(x.n.count(id), x.n.seed, id)
	x.rec.Fault = x.p.fault
	if x.n.sleep(x.ctx, x.p.delay) != nil {
		x.drop()
	}
	x.meet(body)
}

// allowed refuses a wrong method.
func (x *exchange) allowed(method string) bool {
	allow := method
	if x.api == apiModels || x.api == apiHealth {
		allow = "GET, HEAD"
		method = http.MethodGet
	}
	if x.r.Method == method || (method == http.MethodGet && x.r.Method == http.MethodHead) {
		return true
	}
	x.w.Header().Set("Allow", allow)
	x.fail(&apiError{status: http.StatusMethodNotAllowed, message: "this path takes " + allow})
	return false
}

func (x *exchange) health() {
	if x.allowed(http.MethodGet) {
		x.send(http.StatusOK, map[string]string{"status": "ok"})
	}
}

// read takes the whole body, before any fault: with a part of it unread the server would not notice a client that
// goes away during a stall, and a cut answer would be lost to a reset.
func (x *exchange) read() ([]byte, *apiError) {
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(x.r.Body, maxRequest+1))
	if n > maxRequest {
		_, _ = io.CopyN(io.Discard, x.r.Body, maxDrain) // best effort: the answer is 413 either way
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, message: "request body exceeds 32 MB"}
	}
	if err != nil {
		// The client is most likely gone; if it is not, it learns what was wrong.
		return nil, badRequest("", "the request body could not be read")
	}
	return buf.Bytes(), nil
}

// drop ends the connection without another byte.
func (x *exchange) drop() {
	panic(http.ErrAbortHandler)
}

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
