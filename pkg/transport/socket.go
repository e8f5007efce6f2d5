package transport

import (
	"net"
	"sync/atomic"
	"syscall"
)

// socket is a TCP connection that counts what a request sends over it, and can be read without waiting.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil where the system gives none
	// acknowledges says that the other side's system acknowledges bytes, as it does over TCP.
	acknowledges bool

	handed atomic.Int64 // bytes of the request that were to be written
	sent   atomic.Int64 // bytes of the request that were written
	failed error        // of the last write
	// noWait makes Read take only what is there. It is set while nothing else reads.
	noWait bool
	// heard is called in a handshake when bytes have come.
	heard func()
}

func newSocket(c net.Conn) *socket {
	s := &socket{Conn: c}
	if under, ok := c.(syscall.Conn); ok {
		s.raw, _ = under.SyscallConn() // nil of a closed connection, whose use fails
		_, s.acknowledges = c.(*net.TCPConn)
	}
	return s
}

// NetConn is the connection itself.
func (s *socket) NetConn() net.Conn { return s.Conn }

// begin starts the count of a request.
func (s *socket) begin() {
	s.handed.Store(0)
	s.sent.Store(0)
}

func (s *socket) Write(p []byte) (int, error) {
	s.handed.Add(int64(len(p)))
	n, err := s.Conn.Write(p)
	s.sent.Add(int64(n))
	s.failed = err
	return n, err
}

func (s *socket) Read(p []byte) (int, error) {
	if s.noWait {
		return s.readNow(p)
	}
	n, err := s.Conn.Read(p)
	if n > 0 && s.heard != nil {
		s.heard()
	}
	return n, err
}

// nothingYet is the error of a read without waiting that found nothing. crypto/tls goes on after an error that is
// temporary.
type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }
