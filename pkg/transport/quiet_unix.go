//go:build unix

package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// polled is a connection that can tell exactly whether all that came on it was read and used: its reader waits for more,
// and there is none. A read takes bytes out of the socket under the lock, so that no moment is left in which they are
// in neither place.
type polled struct {
	net.Conn
	raw syscall.RawConn

	mu      sync.Mutex
	moved   sync.Cond // waiting or closed has changed
	waiting bool      // the reader has come back for more
	closed  bool
}

// Polled gives a connection of which Quiet can tell.
func Polled(conn net.Conn) net.Conn {
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			c := &polled{Conn: conn, raw: raw}
			c.moved.L = &c.mu
			return c
		}
	}
	return conn
}

func (c *polled) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.setWaiting(true)
	failed := c.raw.Read(func(fd uintptr) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		// Not unix.Read: the race detector takes a read by package syscall for what follows package net's write.
		for n, err = syscall.Read(int(fd), p); err == unix.EINTR; {
			n, err = syscall.Read(int(fd), p)
		}
		c.waiting = err == unix.EAGAIN
		return !c.waiting
	})
	switch {
	case failed != nil: // a deadline, or the end of the connection
		c.setWaiting(false)
		return 0, c.failure(failed)
	case err != nil:
		return 0, c.failure(os.NewSyscallError("read", err))
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (c *polled) setWaiting(now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = now
	c.moved.Broadcast()
}

func (c *polled) Close() error {
	c.mu.Lock()
	c.closed = true
	c.moved.Broadcast()
	c.mu.Unlock()
	return c.Conn.Close()
}

// await waits until the reader has used what it has, and comes back for more or closes the connection.
func (c *polled) await() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.waiting && !c.closed {
		c.moved.Wait()
	}
}

// failure is an error of a read as package net names it.
func (c *polled) failure(err error) error {
	if op, ok := err.(*net.OpError); ok {
		err = op.Err
	}
	to := c.Conn.RemoteAddr()
	return &net.OpError{Op: "read", Net: to.Network(), Source: c.Conn.LocalAddr(), Addr: to, Err: err}
}

// NetConn is the connection itself.
func (c *polled) NetConn() net.Conn { return c.Conn }

func (c *polled) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	readable := false
	err := c.raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		readable = n != 0 || err != nil
	})
	return err == nil && c.waiting && !readable
}

// Quiet reports whether nothing came on the connection that its reader has not used, nor its end. Of a connection that has
// no polled one under it that is not known, and it reports true.
func Quiet(conn net.Conn) bool {
	c := polledUnder(conn)
	return c == nil || c.quiet()
}

// unacknowledged is how many bytes that were written to a connection its other side has not acknowledged, 0 where that is
// not known.
func unacknowledged(conn net.Conn) int {
	if c := polledUnder(conn); c != nil {
		return unacknowledgedBy(c.raw)
	}
	return 0
}

// Await waits until the reader of a connection has used what came, and waits for more, or has closed the connection.
func Await(conn net.Conn) {
	if c := polledUnder(conn); c != nil {
		c.await()
	}
}

// polledUnder is nil where there is none.
func polledUnder(conn net.Conn) *polled {
	for {
		if c, ok := conn.(*polled); ok {
			return c
		}
		under, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = under.NetConn()
	}
}
