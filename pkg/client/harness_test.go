package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

const canary = "sk-canary-0123456789"

// fakeClock is the real clock, except that its waits take no time and are recorded. After stop, only waits advance it.
type fakeClock struct {
	mu      sync.Mutex
	stopped time.Time
	skipped time.Duration
	waits   []time.Duration
	// during is called in a wait, before it ends.
	during func()
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped.IsZero() {
		return c.stopped.Add(c.skipped)
	}
	return time.Now().Add(c.skipped)
}

func (c *fakeClock) stop() { c.stopped = time.Now() }

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.skipped += d
	c.waits = append(c.waits, d)
	c.mu.Unlock()
	if c.during != nil {
		c.during()
	}
	return ctx.Err()
}

// reply is one reply of a server: an HTTP reply, or another event.
type reply struct {
	status int
	header http.Header
	body   string
	// raw, if not "", is written to the connection instead, which is then closed.
	raw string
	// hangup closes the connection without a reply.
	hangup bool
	// reset ends the connection with a TCP reset; with raw, after writing it.
	reset bool
	// stall leaves the connection open until the client closes it; with raw, after writing it.
	stall bool
}

func status(code int, fields ...string) reply {
	r := reply{status: code, header: http.Header{}, body: fmt.Sprintf(`{"error":{"message":"m%d"}}`, code)}
	for i := 0; i+1 < len(fields); i += 2 {
		r.header.Set(fields[i], fields[i+1])
	}
	return r
}

func body(text string) reply { return reply{status: 200, body: text} }

// answer is a complete answer in the complete dialect.
var answer = body(`{"status":200,"completion":"hello","model":"m","id":"c1"}`)

// server sends its replies, one per request, and then repeats the last one.
type server struct {
	URL     *url.URL
	replies []reply
	// got is closed when the client has read a part of a body; see notifyingTransport.
	got chan struct{}

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	now := s.replies[min(len(s.requests), len(s.replies)-1)]
	s.requests = append(s.requests, r)
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	if now.raw == "" && !now.hangup && !now.reset && !now.stall {
		for name, values := range now.header {
			w.Header()[name] = values
		}
		w.WriteHeader(now.status)
		_, _ = io.WriteString(w, now.body)
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, now.raw)
	if now.stall {
		_, _ = io.Copy(io.Discard, conn)
	}
	if now.reset {
		if now.raw != "" {
			<-s.got // the reset must not overtake the written bytes
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func serve(t *testing.T, replies ...reply) *server {
	t.Helper()
	s := &server{replies: replies, got: make(chan struct{})}
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	s.URL = mustURL(t, hs.URL)
	return s
}

// notifyingTransport closes got when the first bytes of a body were read.
type notifyingTransport struct {
	http.RoundTripper
	got chan struct{}
}

func (r notifyingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if err == nil {
		body := bufio.NewReader(resp.Body)
		_, _ = body.Peek(1)
		close(r.got)
		resp.Body = &struct {
			io.Reader
			io.Closer
		}{body, resp.Body}
	}
	return resp, err
}

// check ends the test if err is not nil.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errorIf reports an error if wrong is true.
func errorIf(t *testing.T, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

// must returns the value of a call whose error must be nil.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return value
	}
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	return must(url.Parse(raw))(t)
}

func secret(t *testing.T, value string) guard.Secret {
	t.Helper()
	return must(guard.NewSecret(value, "env:FERRY_TEST"))(t)
}

// trial is an endpoint for a server, and a request to it.
type trial struct {
	Env
	Endpoint
	clock   *fakeClock
	reach   transport.Options // only set for TLS
	request wire.Request
	// Timeout bounds a call. It starts at Since, or with the call.
	Timeout time.Duration
	Since   time.Time
}

// call returns the trial's request as a call.
func (tr *trial) call(sink Sink, reading Reading) *Call {
	call := &Call{Request: tr.request, Reading: reading, Sink: sink, Timeout: tr.Timeout}
	if tr.Timeout > 0 {
		call.Deadline = cmp.Or(tr.Since, tr.Env.Clock.Now()).Add(tr.Timeout)
	}
	return call.To(&tr.Endpoint)
}

func (tr *trial) do(ctx context.Context, sink Sink, reading Reading) (*Result, error) {
	return Chain(Stages{Env: tr.Env}).Do(ctx, tr.call(sink, reading))
}

func (tr *trial) probe(ctx context.Context) (*Probe, error) {
	return tr.Env.Probe(ctx, tr.call(nil, AsAnswer))
}

// newTrial returns a client under the script policy, with a node of the complete dialect at the address.
func newTrial(t *testing.T, address *url.URL) *trial {
	t.Helper()
	clock := &fakeClock{}
	masker := &guard.Masker{}
	masker.Add(canary)
	return &trial{
		Env: Env{Clock: clock, Random: func() float64 { return .5 }, Masker: masker, UserAgent: "ferry/test"},
		Endpoint: Endpoint{
			Name: "n", URL: address, API: wire.Complete, Auth: "x-api-key", Key: secret(t, canary),
			Transport: carrier(t, transport.Options{Target: address, ConnectTimeout: time.Minute, Now: clock.Now}),
			Rule:      retry.Rule{Policy: retry.Script, Attempts: 3, Delay: 2 * time.Second},
		},
		clock:   clock,
		request: wire.Request{Prompt: "hi", MaxTokens: 100},
	}
}

// newServed returns a trial for a server with the given replies.
func newServed(t *testing.T, replies ...reply) (*trial, *server) {
	t.Helper()
	s := serve(t, replies...)
	return newTrial(t, s.URL), s
}

// newTLSTrial starts a server and returns a trial that trusts it.
func newTLSTrial(t *testing.T, hs *httptest.Server) *trial {
	t.Helper()
	hs.Config.ErrorLog = log.New(io.Discard, "", 0)
	hs.StartTLS()
	t.Cleanup(hs.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hs.Certificate().Raw})
	check(t, os.WriteFile(ca, certificate, 0o600))
	target := mustURL(t, hs.URL)
	tr := newTrial(t, target)
	tr.reach = transport.Options{Target: target, TLS: transport.TLS{CA: ca}, ConnectTimeout: time.Minute, Now: tr.clock.Now}
	tr.Transport = carrier(t, tr.reach)
	return tr
}

func carrier(t *testing.T, o transport.Options) http.RoundTripper {
	t.Helper()
	rt := must(transport.New(o))(t)
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}

// ask makes the call. Its error must be an *Error.
func (tr *trial) ask(t *testing.T) (*Result, *Error) {
	t.Helper()
	return tr.askIn(t, t.Context(), AsAnswer)
}

// answered makes the call, which must succeed.
func (tr *trial) answered(t *testing.T) *Result {
	t.Helper()
	return must(tr.do(t.Context(), nil, AsAnswer))(t)
}

func (tr *trial) askIn(t *testing.T, ctx context.Context, reading Reading) (*Result, *Error) {
	t.Helper()
	result, err := tr.do(ctx, nil, reading)
	if result == nil {
		t.Fatal("a nil result")
	}
	if err == nil {
		return result, nil
	}
	failed, ok := err.(*Error)
	if !ok {
		t.Fatalf("an error of type %T: %v", err, err)
	}
	return result, failed
}

// unused returns an address where nothing listens.
func unused(t *testing.T) *url.URL {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return mustURL(t, "http://"+l.Addr().String())
}

// stringsIn returns all strings in a value, including those in unexported fields.
func stringsIn(v any) []string {
	var found []string
	seen := map[uintptr]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			found = append(found, v.String())
		case reflect.Pointer, reflect.Interface:
			if isSeen := v.Kind() == reflect.Pointer && seen[v.Pointer()]; isSeen || v.IsNil() {
				return
			}
			if v.Kind() == reflect.Pointer {
				seen[v.Pointer()] = true
			}
			walk(v.Elem())
		case reflect.Struct:
			for _, field := range v.Fields() {
				walk(field)
			}
		case reflect.Slice, reflect.Array, reflect.Map:
			if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
				found = append(found, string(v.Bytes()))
				return
			}
			for key, value := range v.Seq2() {
				walk(key)
				walk(value)
			}
		}
	}
	walk(reflect.ValueOf(v))
	return found
}

// leaks returns the strings in the values that contain the canary.
func leaks(values ...any) []string {
	var found []string
	for _, v := range values {
		for _, s := range stringsIn(v) {
			if strings.Contains(s, canary) {
				found = append(found, s)
			}
		}
	}
	return found
}
