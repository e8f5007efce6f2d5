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

// defaultSeed stands in for a zero Seed, so that two runs without options agree.
const defaultSeed = 0x6665727279

// maxQueries bounds the counters. Past it all of them start again: a node that meets this many distinct queries is
// being asked with a nonce in each, and then no count is ever above one.
const maxQueries = 1 << 16

// Options are the parts of the world that a Node depends on. The zero value is usable.
type Options struct {
	// Now is the clock behind created times and rate-limit resets; nil is time.Now.
	Now func() time.Time
	// Sleep waits for d or until ctx ends, and then returns ctx's error; nil is a real timer. Every timed wait goes
	// through it, so that tests need no time.
	Sleep func(ctx context.Context, d time.Duration) error
	// Seed chooses the sequence of delays and ids; 0 is a fixed default.
	Seed uint64
	// OnRequest, if set, is called once for each finished request, from that request's goroutine: several calls may
	// run at once.
	OnRequest func(Record)
}

// Record is what a Node tells about one finished request: never the key, the prompt or the answer.
type Record struct {
	Started time.Time     // by Options.Now
	Took    time.Duration // by Options.Now
	Method  string
	Path    string // without query; a key in it is masked
	Query   string // as sent; a key in it is masked
	API     string // messages, complete, chat, models, health, or empty for an unknown path
	Status  int    // HTTP status sent, 0 when the connection ended before one
	Fault   string // name of the fault that was met, or empty
	Key     bool   // a key was present
}

// Node is the demo node. It is an http.Handler, safe for concurrent use; DialContext serves it without a port.
type Node struct {
	opts Options

	serial atomic.Uint64 // of the last request
	mu     sync.Mutex
	counts map[queryID]uint64

	// closing ends every stalled or sleeping request when the node is closed.
	closing context.Context
	shut    context.CancelFunc

	server *http.Server // of the connections in memory
	served sync.WaitGroup
}

// queryID stands for a query string: of one size, however long the query is.
type queryID [sha256.Size]byte

// New returns a node that is ready to serve. A node that was only used as a handler need not be closed.
func New(o Options) *Node {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Seed == 0 {
		o.Seed = defaultSeed
	}
	n := &Node{opts: o, counts: map[queryID]uint64{}}
	n.closing, n.shut = context.WithCancel(context.Background())
	// The server's own log would go to the program's standard error.
	n.server = &http.Server{Handler: n, ErrorLog: log.New(io.Discard, "", 0)}
	n.server.ConnState = func(c net.Conn, s http.ConnState) {
		// A connection that was hijacked is closed by its handler, which has nothing left to do then.
		if s == http.StateClosed || s == http.StateHijacked {
			close(c.(*serverConn).left)
		}
	}
	return n
}

// count returns the number of requests that came before this one with the same query string.
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

// Preset is a demo node that has a name of its own: Query is what its URL says after `demo:?`.
type Preset struct {
	Name, Label, Query string
}

// Presets returns the named demo nodes: a plain one, and the three ways to a far server whose mean latency and
// success rate ferry's bench has to be able to tell apart.
func Presets() []Preset {
	return []Preset{
		{"demo", "演示节点", ""},
		{"demo/direct", "直连", "latency=3200ms&success=82"},
		{"demo/hongkong", "香港代理节点", "latency=800ms&success=98"},
		{"demo/singapore", "新加坡代理节点", "latency=1200ms&success=95"},
	}
}

// DialContext connects to the node in memory, whatever the network and address: it is what an http.Transport takes.
// After Close it returns net.ErrClosed.
func (n *Node) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock() // so that no connection is made while Close waits
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
	conn := &serverConn{Conn: server, reset: reset, left: make(chan struct{})}
	n.served.Go(func() {
		_ = n.server.Serve(&listener{conn: conn, closing: n.closing}) // it fails when the connection or the node is closed
		if n.closing.Err() != nil {
			_ = conn.Close() // of a pipe, which cannot fail
		}
		<-conn.left
	})
	return &clientConn{client, reset}, nil
}

// Close ends stalled requests, closes the connections in memory and waits until they are gone. The node can still be
// used as a handler, but stalls and delays then end at once. It always returns nil, and may be called more than once.
func (n *Node) Close() error {
	n.mu.Lock()
	n.shut()
	n.mu.Unlock()
	n.served.Wait()
	return nil
}

// listener hands one connection to the server, and ends with it.
type listener struct {
	conn    *serverConn
	given   bool
	closing context.Context
}

func (l *listener) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	select {
	case <-l.conn.left:
	case <-l.closing.Done():
	}
	return nil, net.ErrClosed
}

// Close does nothing: the listener ends with its connection.
func (l *listener) Close() error { return nil }

func (l *listener) Addr() net.Addr { return l.conn.LocalAddr() }

// clientConn and serverConn are the ends of a pipe that can be reset as a TCP connection can, so that a client sees
// the same error on both.
type clientConn struct {
	net.Conn
	reset *atomic.Bool
}

type serverConn struct {
	net.Conn
	abrupt atomic.Bool
	reset  *atomic.Bool
	left   chan struct{} // closed when the server is done with it
}

func (c *clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF && c.reset.Load() {
		at := &net.UnixAddr{Name: "demo", Net: "memory"}
		err = &net.OpError{Op: "read", Net: "pipe", Addr: at, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

// SetLinger makes the next Close a reset when sec is 0, as net.TCPConn's does.
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
