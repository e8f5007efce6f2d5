package demo

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
)

// DialContext connects to the node in memory, whatever the network and address: it is what an http.Transport takes.
// After Close it returns net.ErrClosed.
func (n *Node) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	client, server := newPipe()
	err := ctx.Err()
	if err == nil {
		err = n.serve(server)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return client, nil
}

// serve answers what comes over one connection, until it or the node is closed.
func (n *Node) serve(conn *serverConn) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing.Err() != nil {
		return net.ErrClosed
	}
	n.served.Go(func() {
		_ = n.server.Serve(&listener{conn: conn, closing: n.closing}) // it fails when the connection or the node is closed
		if n.closing.Err() != nil {
			_ = conn.Close() // of a pipe, which cannot fail
		}
		<-conn.left
	})
	return nil
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

// left notes that the server is done with a connection. One that was hijacked is closed by its handler, which has
// nothing left to do then.
func left(c net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		close(c.(*serverConn).left)
	}
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

func (l *listener) Addr() net.Addr { return memAddr{} }

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
	left   chan struct{} // closed when the server is done with it
}

func newPipe() (client *clientConn, server *serverConn) {
	c, s := net.Pipe()
	reset := new(atomic.Bool)
	return &clientConn{c, reset}, &serverConn{Conn: s, reset: reset, left: make(chan struct{})}
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
