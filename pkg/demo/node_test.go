package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// inMemory returns a client of the node's own server, and a count of its dials.
func inMemory(t *testing.T, n *Node, keepAlive bool) (client *http.Client, dials *atomic.Int64) {
	t.Helper()
	dials = new(atomic.Int64)
	transport := &http.Transport{DisableKeepAlives: !keepAlive, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return n.DialContext(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, dials
}

// awaitGoroutines waits until all goroutines of this package or of a server have ended.
func awaitGoroutines(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "net/http.(*conn).serve") && !strings.Contains(stacks, "demo.(*listener)") && !strings.Contains(stacks, "demo.(*exchange)") {
			return
		}
		fatalIf(t, time.Now().After(deadline), "got goroutines, want none:\n%s", stacks)
	}
}

func TestInMemory(t *testing.T) {
	for _, keepAlive := range []bool{true, false} {
		n := New(Options{})
		client, dials := inMemory(t, n, keepAlive)
		for range 5 {
			for _, a := range asks {
				for _, body := range []string{a.body, streamed(a.body)} {
					r := post(t, client, "http://demo"+a.path, body)
					fatalIf(t, r.status != 200 || r.err != nil || !strings.Contains(r.body, "demo"), "%s: got %d, %v, want 200 and an answer", a.path, r.status, r.err)
				}
			}
		}
		if want := map[bool]int64{true: 1, false: 30}[keepAlive]; dials.Load() != want {
			t.Errorf("keep-alive %v: %d dials, want %d", keepAlive, dials.Load(), want)
		}
		check(t, n.Close())
	}
	awaitGoroutines(t)
}

func TestInMemoryFaults(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	client, _ := inMemory(t, n, true)
	r := post(t, client, "http://demo/v1/messages?reset", messagesAsk)
	errorIf(t, !errors.Is(r.err, syscall.ECONNRESET), "reset: got %v, want a reset", r.err)
	if r := post(t, client, "http://demo/v1/messages?truncate", messagesAsk); r.err == nil || r.status != 200 {
		t.Errorf("truncate: got %d, %v, want 200 and a failure", r.status, r.err)
	}
	if r := post(t, client, "http://demo/v1/messages?big=300000", messagesAsk); r.err != nil || len(textOf(t, r.body)) != 300_000 {
		t.Errorf("big: got %v, want 300000 bytes of text", r.err)
	}
}

// TestConcurrentRequests checks that concurrent requests get, as a set, the statuses of the query.
func TestConcurrentRequests(t *testing.T) {
	n := New(Options{})
	client, _ := inMemory(t, n, true)
	var got [600]atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 6 {
				r := post(t, client, "http://demo/v1/messages?status=429,503,200", streamed(messagesAsk))
				got[r.status].Add(1)
			}
		})
	}
	wg.Wait()
	if limited, down, ok := got[429].Load(), got[503].Load(), got[200].Load(); limited != 40 || down != 40 || ok != 40 {
		t.Errorf("got %d times 429, %d times 503, %d times 200, want 40 of each", limited, down, ok)
	}
	n.Close()
	awaitGoroutines(t)
}

func TestCloseEndsEverything(t *testing.T) {
	arrived := make(chan struct{}, 8)
	n := New(Options{Sleep: func(ctx context.Context, d time.Duration) error {
		arrived <- struct{}{}
		if d > 0 {
			<-ctx.Done()
		}
		return ctx.Err()
	}})
	client, _ := inMemory(t, n, true)
	var wg sync.WaitGroup
	for _, query := range []string{"stall", "latency=9m", "stall-mid"} {
		wg.Go(func() {
			if r := post(t, client, "http://demo/v1/messages?"+query, messagesAsk); r.err == nil || query != "stall-mid" && r.status != 0 {
				t.Errorf("%s: got %d, %v, want no whole answer", query, r.status, r.err)
			}
		})
	}
	for range 3 {
		<-arrived
	}
	idle, err := n.DialContext(t.Context(), "tcp", "demo:80")
	check(t, err)
	for range 2 {
		check(t, n.Close())
	}
	wg.Wait()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("got an idle connection that is still open, want it closed")
	}
	if _, err := n.DialContext(t.Context(), "tcp", "demo:80"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial after close: got %v, want net.ErrClosed", err)
	}
	awaitGoroutines(t)
}

func TestCloseWithoutDialAndDialsThatRace(t *testing.T) {
	check(t, New(Options{}).Close())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := New(Options{})
	_, err := n.DialContext(ctx, "tcp", "demo:80")
	errorIf(t, !errors.Is(err, context.Canceled), "dial with an ended context: %v", err)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if c, err := n.DialContext(t.Context(), "tcp", "demo:80"); err == nil {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1)) // returns when the node closes
			}
		})
	}
	n.Close()
	wg.Wait()
	awaitGoroutines(t)
}

func TestDefaultSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, d := range []time.Duration{time.Hour, 0} {
		err := sleep(ctx, d)
		errorIf(t, !errors.Is(err, context.Canceled), "sleep of %s: got %v, want that it was cancelled", d, err)
	}
	check(t, sleep(t.Context(), time.Nanosecond))
}
