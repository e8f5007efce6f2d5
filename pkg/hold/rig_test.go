package hold

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/pkg/transport"
)

// testTimeout is how long a test waits for another goroutine or process; even a busy machine is faster.
const testTimeout = time.Minute

func TestMain(m *testing.M) {
	MinTimeout.Store(int64(testTimeout))
	os.Exit(m.Run())
}

// usualWaits makes a test wait no longer than a command does, for something that never happens.
func usualWaits(t *testing.T) {
	MinTimeout.Store(0)
	t.Cleanup(func() { MinTimeout.Store(int64(testTimeout)) })
}

// rig is a node with TLS that counts connections and requests, and a holder of connections to it in this process.
type rig struct {
	t        *testing.T
	server   *httptest.Server
	settings Settings
	holder   *holder
	clock    *clock
	ended    chan struct{} // closed when the holder has ended

	connections, handshakes, requests atomic.Int64
	replaced                          atomic.Bool // whether the holder's program was replaced
}

// newRig starts the node. Without a handler it answers with the body of the request.
func newRig(t *testing.T, handler http.HandlerFunc) *rig {
	t.Helper()
	if !Supported {
		t.Skip("this system has no holders")
	}
	r := &rig{t: t, clock: newClock()}
	if handler == nil {
		handler = func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			_, _ = w.Write(body)
		}
	}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.requests.Add(1)
		handler(w, req)
	}))
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			r.connections.Add(1)
		}
	}
	r.server.TLS = &tls.Config{VerifyConnection: func(tls.ConnectionState) error {
		r.handshakes.Add(1)
		return nil
	}}
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	dir, err := os.MkdirTemp("", "hold") // the path of a test's own folder can be too long for a socket
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ca := filepath.Join(dir, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	must(t, os.WriteFile(ca, block, 0o600))
	target, _ := url.Parse(r.server.URL)
	r.settings = Settings{
		Reach: transport.Options{Node: "test", Target: target, TLS: transport.TLS{CA: ca}, ConnectTimeout: testTimeout},
		Idle:  time.Minute, Dir: dir,
	}
	return r
}

// hold starts the holder.
func (r *rig) hold() *rig {
	r.t.Helper()
	l, err := listen(r.path())
	must(r.t, err)
	o := r.settings.Reach
	o.Raw, o.Race, o.Connections = true, true, maxIdleConns
	up, err := transport.New(o)
	must(r.t, err)
	r.holder = newHolder(r.settings.order("test"), o.Target, up, r.clock)
	r.holder.stillCurrent = func() bool { return sameFile(l.made, l.path) && !r.replaced.Load() }
	ctx, cancel := context.WithCancel(r.t.Context())
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		_ = r.holder.serve(ctx, l)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

func (r *rig) path() string {
	r.t.Helper()
	path, err := r.settings.path()
	must(r.t, err)
	return path
}

// call does what one command does: it makes a transport, sends a request, reads the answer and closes.
func (r *rig) call(say string) (string, error) {
	rt, err := New(r.settings)
	must(r.t, err)
	defer rt.CloseIdleConnections()
	return send(r.t.Context(), rt, r.server.URL, say)
}

// must makes a call whose answer must be its own text.
func (r *rig) must(say string) {
	r.t.Helper()
	if got, err := r.call(say); got != say || err != nil {
		r.t.Fatalf("%q brought %q, %v", say, got, err)
	}
}

func send(ctx context.Context, rt http.RoundTripper, url, say string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(say))
	if err != nil {
		return "", err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// checkCounts compares what the node has counted with these numbers.
func (r *rig) checkCounts(connections, requests int64) {
	r.t.Helper()
	if c, q := r.connections.Load(), r.requests.Load(); c != connections || q != requests {
		r.t.Errorf("%d connections and %d requests, want %d and %d", c, q, connections, requests)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// eventually waits, up to testTimeout, for something that another goroutine does.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(testTimeout)
	defer late.Stop()
	for !reached() {
		select {
		case <-poll.C:
		case <-late.C:
			t.Fatal("never: " + what)
		}
	}
}

// clock stands still except for advance.
type clock struct {
	mu       sync.Mutex
	time     time.Time
	sleepers map[chan struct{}]time.Time
}

func newClock() *clock {
	return &clock{time: time.Unix(1_800_000_000, 0), sleepers: map[chan struct{}]time.Time{}}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	wake := make(chan struct{})
	c.mu.Lock()
	c.sleepers[wake] = c.time.Add(d)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.sleepers, wake)
		c.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
		return nil
	}
}

// advance moves the time forward, and wakes sleepers whose time has come.
func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
	for wake, end := range c.sleepers {
		if !end.After(c.time) {
			delete(c.sleepers, wake)
			close(wake)
		}
	}
}

// asleep reports whether the holder is sleeping.
func (c *clock) asleep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sleepers) > 0
}

// advanceInSteps moves the time forward in steps that the holder sees.
func (r *rig) advanceInSteps(d time.Duration) {
	r.t.Helper()
	eventually(r.t, "the last request is over", func() bool { return r.status().Lent == 0 })
	for end := r.clock.Now().Add(d); r.clock.Now().Before(end); {
		eventually(r.t, "the holder sleeps", func() bool {
			select {
			case <-r.ended:
				return true
			default:
				return r.clock.asleep()
			}
		})
		r.clock.advance(min(maintainInterval, end.Sub(r.clock.Now())))
	}
}

func (r *rig) status() Status {
	return r.holder.status()
}

func words(i int) string { return fmt.Sprintf("prompt %d %s", i, strings.Repeat("x", i*97)) }
