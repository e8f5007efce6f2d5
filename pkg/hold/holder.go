package hold

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ferry/pkg/transport"
)

const (
	maxIdleConns     = 16               // maximum idle connections
	maintainInterval = time.Second      // interval of maintain
	checkInterval    = 10 * time.Second // how often a holder checks whether its files still exist
	tidyAfter        = 500 * time.Millisecond
	// The pauses before an unused connection is replaced.
	firstPause = 5 * time.Second
	maxPause   = time.Minute
	drainBytes = 64 << 10 // limits of reading an answer after the command has stopped reading it
	drainTime  = 100 * time.Millisecond
)

// holder forwards requests to one node.
type holder struct {
	order    order
	target   *url.URL
	upstream *transport.Transport
	// stillCurrent reports whether the socket and the program are unchanged.
	stillCurrent func() bool
	clock        Clock

	started time.Time
	stop    context.CancelFunc // ends the listening
	closed  chan struct{}      // closed when it no longer listens
	reached atomic.Bool        // the node has answered

	mu         sync.Mutex
	active     int // requests in progress
	requests   int // requests since the start
	used       time.Time
	life       time.Duration
	closing    bool
	unused     int       // replacements in a row that no request used
	next       time.Time // earliest time of the next replacement
	releasedAt int       // value of requests when memory was last released
}

func newHolder(o order, target *url.URL, upstream *transport.Transport, clock Clock) *holder {
	now := clock.Now()
	return &holder{
		order: o, target: target, upstream: upstream, clock: clock, started: now, used: now, life: o.Idle,
		closed: make(chan struct{}),
		stop:   func() {}, stillCurrent: func() bool { return true },
	}
}

// serve forwards requests until the holder's time is over. Requests that are in progress then can finish.
func (h *holder) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	ctx, h.stop = context.WithCancel(ctx)
	defer h.stop()
	go func() { _ = server.Serve(l) }() // returns when the listener is closed
	h.run(ctx)
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	l.Close()
	close(h.closed)
	defer h.upstream.CloseIdleConnections()
	return server.Shutdown(context.Background())
}

// run maintains the connections, and returns when the holder should end.
func (h *holder) run(ctx context.Context) {
	looked := h.clock.Now()
	for h.left() > 0 {
		if now := h.clock.Now(); now.Sub(looked) >= checkInterval {
			looked = now
			if !h.stillCurrent() {
				return
			}
		}
		h.maintain(ctx)
		if h.clock.Sleep(ctx, min(maintainInterval, max(h.left(), time.Millisecond))) != nil {
			return
		}
	}
}

// left returns how long the holder lives without another request.
func (h *holder) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active > 0 {
		return h.life
	}
	return h.life - h.clock.Now().Sub(h.used)
}

// maintain opens a new connection when the server has closed the idle one: at once if a request used the old one, else
// after longer and longer pauses. It also releases memory after requests.
func (h *holder) maintain(ctx context.Context) {
	idle := h.upstream.Idle()
	now := h.clock.Now()
	h.mu.Lock()
	quiet := h.active == 0 && h.releasedAt < h.requests && now.Sub(h.used) >= tidyAfter
	if quiet {
		h.releasedAt = h.requests
	}
	wanted := idle == 0 && h.active == 0 && h.requests > 0 && !now.Before(h.next)
	if wanted {
		h.next = now.Add(min(maxPause, firstPause<<min(h.unused, 8)))
		h.unused++
	}
	h.mu.Unlock()
	if wanted {
		_ = h.upstream.Warm(ctx) // the next request reports the error
	}
	if quiet {
		debug.FreeOSMemory()
		debug.FreeOSMemory() // pools are emptied by the second collection
		unmapProgram()
	}
}

// ServeHTTP forwards a request to the node, or handles a command for the holder itself.
func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch want := r.Header.Get(headerName); want {
	case wantStatus:
		_ = json.NewEncoder(w).Encode(h.status()) // the command may have ended
	case wantEnd:
		h.stop()
		<-h.closed
	case wantReady:
		w.WriteHeader(http.StatusProcessing)
		if err := h.upstream.Ready(r.Context()); err != nil {
			w.WriteHeader(http.StatusBadGateway)
		}
	default:
		life, err := time.ParseDuration(want)
		if err != nil {
			http.Error(w, "not a request from ferry", http.StatusBadRequest)
			return
		}
		if !h.begin(life) {
			writeReport(w, http.StatusServiceUnavailable, report{Fault: &fault{Kind: unsent}})
			return
		}
		end := sync.OnceFunc(h.end)
		defer end()
		defer context.AfterFunc(r.Context(), end)() // when the command ends, its request no longer counts as active
		h.forward(w, r, end)
	}
}

// begin counts a request. It returns false if the holder is ending and accepts no more requests.
func (h *holder) begin(life time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.active++
	h.requests++
	h.life, h.unused, h.next = life, 0, time.Time{}
	return true
}

func (h *holder) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active--
	h.used = h.clock.Now()
}

// forward sends a request to the node and copies the answer. If the answer is cut, it cuts the copy too.
func (h *holder) forward(w http.ResponseWriter, r *http.Request, end func()) {
	w.WriteHeader(http.StatusProcessing) // tells the command that this holder is running
	trace := new(transport.Trace)
	ctx, cancel := context.WithCancel(transport.WithTrace(context.WithoutCancel(r.Context()), trace))
	defer cancel()
	detach := context.AfterFunc(r.Context(), cancel)
	if err := h.upstream.Ready(ctx); err != nil {
		h.fail(w, trace, err)
		return
	}
	// The body is read after the connection is ready: until then the command can send the request directly. A small
	// body is read completely, so that it is sent together with the header.
	start := make([]byte, min(max(r.ContentLength, 1), 16<<10))
	n, err := io.ReadFull(r.Body, start)
	var body io.Reader = bytes.NewReader(start[:n])
	switch {
	case err != nil && int64(n) != r.ContentLength && r.ContentLength >= 0:
		panic(http.ErrAbortHandler) // the command has withdrawn the request
	case int64(n) != r.ContentLength:
		body = io.MultiReader(body, r.Body)
	}
	out := r.Clone(ctx)
	out.RequestURI, out.Body = "", io.NopCloser(body)
	out.URL.Scheme, out.URL.Host = h.target.Scheme, h.target.Host
	for _, name := range []string{headerName, "Expect", "Connection"} {
		out.Header.Del(name)
	}
	resp, err := h.upstream.RoundTrip(out)
	if err != nil {
		h.fail(w, trace, err)
		return
	}
	defer resp.Body.Close()
	h.reached.Store(true)
	header := w.Header()
	header["Date"], header["Content-Type"] = nil, nil // net/http would add them
	for name, values := range resp.Header {
		header[name] = values
	}
	writeReport(w, resp.StatusCode, reportOf(trace, nil))
	detach()
	// If the command stops reading, the rest of the answer is read for a moment, and the connection is kept if the
	// answer ends in that time.
	context.AfterFunc(r.Context(), func() { time.AfterFunc(drainTime, cancel) })
	if copyBody(w, resp, end) != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, drainBytes)
		panic(http.ErrAbortHandler)
	}
}

// fail reports to the command that a request got no answer.
func (h *holder) fail(w http.ResponseWriter, trace *transport.Trace, err error) {
	writeReport(w, http.StatusBadGateway, reportOf(trace, err))
	if transport.Unsent(err) && !h.reached.Load() {
		h.stop() // there has never been a connection to hold
	}
}

// writeReport writes the status and the header of an answer, with the report.
func writeReport(w http.ResponseWriter, status int, r report) {
	text, _ := json.Marshal(r) // this type always encodes
	w.Header().Set(headerName, string(text))
	w.WriteHeader(status)
}

// copyBody copies an answer as it arrives. The error is the node's or the command's. If the length is known, the
// command has the complete answer with the last byte, so end is called before that byte is written.
func copyBody(w http.ResponseWriter, resp *http.Response, end func()) error {
	left := resp.ContentLength
	flush := http.NewResponseController(w)
	buffer := make([]byte, 16<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if left -= int64(n); left == 0 && err == nil {
			_, err = resp.Body.Read(buffer[n:]) // reads the end, which frees the connection
		}
		if left == 0 {
			end()
		}
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := flush.Flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// status returns what the holder reports about itself.
func (h *holder) status() Status {
	left := h.left()
	idle := h.upstream.Idle()
	h.mu.Lock()
	defer h.mu.Unlock()
	return Status{
		Node: h.order.Node, Address: h.order.Target, PID: os.Getpid(), Age: h.clock.Now().Sub(h.started), Requests: h.requests,
		Connections: idle + h.active, Lent: h.active, Memory: residentMemory(), Left: max(0, left),
	}
}
