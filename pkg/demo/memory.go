package demo

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// memory is the node's own server over in-memory connections. It starts at the first dial.
type memory struct {
	mu     sync.Mutex
	server *http.Server
	accept chan net.Conn
	closed bool
	done   chan struct{} // closed with the node
	conns  map[net.Conn]struct{}
	served sync.WaitGroup // the server itself, and every connection that it has
}

// DialContext connects to the node in memory, whatever the network and address: it is what an http.Transport takes.
// After Close it returns net.ErrClosed.
func (n *Node) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	client, server := newPipe()
	if err := n.mem.start(n, server); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	select {
	case n.mem.accept <- server:
		return client, nil
	case <-ctx.Done():
		n.mem.forget(server)
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	case <-n.mem.done:
		n.mem.forget(server)
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	}
}

// start registers a connection, and starts the server if it is the first one.
func (m *memory) start(n *Node, conn net.Conn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	if m.server == nil {
		m.accept = make(chan net.Conn)
		m.done = make(chan struct{})
		m.conns = map[net.Conn]struct{}{}
		m.server = &http.Server{
			Handler:  n,
			ErrorLog: log.New(io.Discard, "", 0), // it would write to the program's stderr
			ConnState: func(c net.Conn, s http.ConnState) {
				// A hijacked connection is closed by its handler, which has nothing left to do then.
				if s == http.StateClosed || s == http.StateHijacked {
					m.forget(c)
				}
			},
		}
		m.served.Add(1)
		go func(s *http.Server, l net.Listener) {
			defer m.served.Done()
			_ = s.Serve(l) // always http.ErrServerClosed: the listener fails in no other way
		}(m.server, &memListener{accept: m.accept, done: m.done})
	}
	m.conns[conn] = struct{}{}
	m.served.Add(1)
	return nil
}

// forget ends the account of a connection; the second call for one is nothing.
func (m *memory) forget(conn net.Conn) {
	m.mu.Lock()
	_, known := m.conns[conn]
	delete(m.conns, conn)
	m.mu.Unlock()
	if known {
		m.served.Done()
	}
}

// Close ends stalled requests, stops the in-memory server and waits until it is gone. The node can still be used as
// a handler, but stalls and delays then end at once. It always returns nil, and may be called more than once.
func (n *Node) Close() error {
	n.shut()
	m := &n.mem
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	server := m.server
	var open []net.Conn
	for c := range m.conns {
		open = append(open, c)
	}
	m.mu.Unlock()
	if server == nil {
		return nil
	}
	if first {
		close(m.done)
		_ = server.Close() // closing in-memory connections cannot fail
	}
	// The server closes what it knows; a connection that it was just accepting is not among them.
	for _, c := range open {
		_ = c.Close()
	}
	m.served.Wait()
	return nil
}

// memListener hands dialled connections to the server.
type memListener struct {
	accept chan net.Conn
	done   chan struct{}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close does nothing: the node's Close ends the listener, and comes first.
func (l *memListener) Close() error { return nil }

func (l *memListener) Addr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "demo" }

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
}

func newPipe() (client, server net.Conn) {
	c, s := net.Pipe()
	reset := new(atomic.Bool)
	return &clientConn{c, reset}, &serverConn{Conn: s, reset: reset}
}

func (c *clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF && c.reset.Load() {
		err = &net.OpError{Op: "read", Net: "pipe", Addr: memAddr{}, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
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
