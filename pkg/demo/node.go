package demo

import (
	"context"
	"crypto/sha256"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// seed determines the sequence of delays and ids, which is the same in every run.
const seed = 0x6665727279

// maxQueries is the maximum number of counters. At this number all counters are reset: so many distinct queries mean
// that each one contains a nonce, and then no count is above one.
const maxQueries = 1 << 16

// Options are the dependencies of a Node. The zero value is usable.
type Options struct {
	// Now is the clock for created times and rate-limit resets; nil is time.Now.
	Now func() time.Time
	// Sleep waits until d is over or ctx ends. If ctx ends, it returns the error of ctx. nil is a real timer. Every
	// timed wait uses it, so that tests need not wait.
	Sleep func(ctx context.Context, d time.Duration) error
	// OnRequest, if set, is called once for each finished request, from the goroutine of that request. Several calls
	// may run at once.
	OnRequest func(Record)
}

// Record describes one finished request. It never has the key, the prompt or the answer.
type Record struct {
	Method string
	Path   string // without query; a key in it is masked
	Status int    // HTTP status sent, 0 if the connection ended before
	Fault  string // name of the fault, or empty
}

// Node is the demo node. It is an http.Handler, safe for concurrent use. DialContext connects to it without a port.
type Node struct {
	opts Options

	serial atomic.Uint64 // number of the last request
	mu     sync.Mutex
	counts map[queryID]uint64

	// closing ends every stalled or sleeping request when the node is closed.
	closing context.Context
	shut    context.CancelFunc

	server *http.Server // serves the connections in memory
	served sync.WaitGroup
}

// queryID is a hash of a query string: its size does not depend on the length of the query.
type queryID [sha256.Size]byte

// New returns a node that is ready to serve. A node that is only used as a handler need not be closed.
func New(o Options) *Node {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	n := &Node{opts: o, counts: map[queryID]uint64{}}
	n.closing, n.shut = context.WithCancel(context.Background())
	// The default log of the server is the program's standard error.
	n.server = &http.Server{Handler: n, ErrorLog: log.New(io.Discard, "", 0)}
	n.server.ConnState = func(c net.Conn, s http.ConnState) {
		// Only the handler closes a hijacked connection, and it does nothing after that.
		if s == http.StateClosed || s == http.StateHijacked {
			c.(*serverConn).left()
		}
	}
	return n
}

// count returns the number of earlier requests with the same query string, and counts this one.
func (n *Node) count(id queryID) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.counts) >= maxQueries {
		if _, known := n.counts[id]; !known {
			clear(n.counts)
		}
	}
	k := n.counts[id]
	n.counts[id] = k + 1
	return k
}

// sleep is the default of Options.Sleep.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Preset is a demo node with a name: Query is the part after `demo:?` in its URL.
type Preset struct {
	Name, Query string
}

// Presets returns the named demo nodes: one without faults, and three that simulate routes to a remote server, with
// mean latencies and success rates that ferry's bench must distinguish.
func Presets() []Preset {
	return []Preset{
		{"demo", ""},
		{"demo/direct", "latency=3200ms&success=82"},
		{"demo/hongkong", "latency=800ms&success=98"},
		{"demo/singapore", "latency=1200ms&success=95"},
	}
}

// DialContext connects to the node in memory, whatever the network and address. It can be used as DialContext of an
// http.Transport. After Close it returns net.ErrClosed.
func (n *Node) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock() // no connection may be made while Close waits
	defer n.mu.Unlock()
	err := ctx.Err()
	if err == nil && n.closing.Err() != nil {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	client, server := net.Pipe()
	reset := new(atomic.Bool)
	conn := &serverConn{Conn: server, reset: reset}
	n.served.Add(1)
	stop := context.AfterFunc(n.closing, func() { _ = conn.Close() }) // closing a pipe cannot fail
	conn.left = func() {
		stop()
		n.served.Done()
	}
	_ = n.server.Serve(&listener{conn: conn}) // serves the connection in a goroutine of its own, and fails at once
	return &clientConn{client, reset}, nil
}

// Close ends stalled requests, closes the connections in memory and waits until they are gone. The node can still be
// used as a handler, but stalls and delays then end at once. Close always returns nil, and may be called more than
// once.
func (n *Node) Close() error {
	n.mu.Lock()
	n.shut()
	n.mu.Unlock()
	n.served.Wait()
	return nil
}

// listener returns one connection to the server, and no other one.
type listener struct {
	conn     net.Conn
	accepted bool
}

func (l *listener) Accept() (net.Conn, error) {
	if l.accepted {
		return nil, net.ErrClosed
	}
	l.accepted = true
	return l.conn, nil
}

// Close does nothing: the connection outlives the listener.
func (l *listener) Close() error { return nil }

func (l *listener) Addr() net.Addr { return l.conn.LocalAddr() }

// clientConn and serverConn are the ends of a pipe that can be reset like a TCP connection, so that a client gets the
// same error from both.
type clientConn struct {
	net.Conn
	reset *atomic.Bool
}

type serverConn struct {
	net.Conn
	abrupt atomic.Bool
	reset  *atomic.Bool
	left   func() // called when the server no longer uses it
}

func (c *clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF && c.reset.Load() {
		at := &net.UnixAddr{Name: "demo", Net: "memory"}
		err = &net.OpError{Op: "read", Net: "pipe", Addr: at, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

// SetLinger makes the next Close a reset if sec is 0, as in net.TCPConn.
func (c *serverConn) SetLinger(sec int) error {
	c.abrupt.Store(sec == 0)
	return nil
}

func (c *serverConn) Close() error {
	if c.abrupt.Load() {
		c.reset.Store(true)
	}
	return c.Conn.Close()
}
