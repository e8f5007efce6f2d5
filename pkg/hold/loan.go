package hold

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ferry/pkg/transport"
)

// patience bounds the wait for a holder's first word. One that is stopped or starved is not waited for.
const patience = 400 * time.Millisecond

// Least is the least that one side waits for the other, whatever is usual. Only a test sets it, before anything is held:
// how late the other process is served is up to the machine.
var Least time.Duration

func atLeast(usual time.Duration) time.Duration { return max(usual, Least) }

var (
	// errNone says that a holder had no connection to lend, or was none.
	errNone = errors.New("no connection is lent")
	// errLeft says that the holder ended before it said a word.
	errLeft = errors.New("the holder has just ended")
)

// Conn is a connection that is lent. Closing it gives it back when a whole answer was read from it and the server keeps
// it open; otherwise it is at an end, and the holder closes it.
type Conn struct {
	holder net.Conn
	socket net.Conn // the same, which the frames are read from
	in     *frames
	loan   loan
	remote net.Addr
	failed error         // what a read ended with
	over   chan struct{} // closed when a read has ended so
	// unspoiled is whether the connection is as it was before a request.
	unspoiled atomic.Bool
	mu        sync.Mutex
	read      int64 // bytes
	reading   bool  // the reader waits for more: it has nothing left then of what it read before
	given     bool  // back, so that what still comes is left away
	watch     sync.Once
	closing   sync.Once
	closed    chan struct{}
	// heard counts the holder's frames. Its first one after the first data says taken.
	heard     atomic.Int64
	taken     atomic.Bool
	withdrawn atomic.Bool // the holder is waited for no more
}

// borrow has the holder behind conn lend a connection, and waits while it makes one. The steps go to ctx's hooks. Every
// error but that of ctx and of the connect timeout means that there is none to be had; conn is closed then.
func borrow(ctx context.Context, conn net.Conn, idle time.Duration, s transport.Options) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	lent, err := ask(ctx, conn, idle, s)
	if !stop() && err == nil {
		err = errNone
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return lent, nil
}

func ask(ctx context.Context, conn net.Conn, idle time.Duration, s transport.Options) (*Conn, error) {
	socket := transport.Polled(conn)
	in, err := greeted(conn, socket, wish(idle))
	if err != nil {
		return nil, err
	}
	var bound time.Time
	if s.ConnectTimeout > 0 {
		bound = time.Now().Add(s.ConnectTimeout)
	}
	trace := httptrace.ContextClientTrace(ctx)
	for {
		if err := waitFrame(ctx, conn, in, bound); err != nil {
			if isTimeout(err) {
				return nil, s.TooLate()
			}
			return nil, errNone
		}
		kind, payload, err := in.next()
		switch {
		case err != nil:
			return nil, errNone
		case kind == frameStep && len(payload) == 1:
			replay(trace, payload[0])
		case kind == frameLent:
			l, ok := readLoan(payload)
			if !ok {
				return nil, errGarbage
			}
			lent := &Conn{
				holder: conn, socket: socket, in: in, over: make(chan struct{}), closed: make(chan struct{}), loan: l, remote: address(l.Remote),
			}
			lent.unspoiled.Store(true)
			return lent, nil
		default:
			return nil, errNone
		}
	}
}

// greeted sends the first words and reads the holder's.
func greeted(conn net.Conn, from io.Reader, words []byte) (*frames, error) {
	_ = conn.SetDeadline(time.Now().Add(atLeast(patience)))
	if _, err := conn.Write(words); err != nil {
		return nil, errLeft
	}
	in := newFrames(from, 16<<10)
	kind, payload, err := in.next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return nil, errLeft
	case err != nil || kind != frameGreet || string(payload) != greeting:
		return nil, errGarbage
	}
	return in, nil
}

// Held tells the TLS version, 0 for plain http, and whether the connection was there before it was asked for.
func (c *Conn) Held() (tls uint16, reused bool) { return c.loan.TLS, c.loan.Reused }

// Read reads what the server sent.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.reading = true
	c.mu.Unlock()
	for {
		n, err := c.readData(p)
		if c.isRead(n) || err != nil {
			return n, err
		}
	}
}

// isRead notes that so much was read, and reports whether that was before the connection was given back.
func (c *Conn) isRead(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given {
		return false
	}
	c.reading = false
	c.read += int64(n)
	return true
}

func (c *Conn) readData(p []byte) (int, error) {
	for c.failed == nil && c.in.left == 0 {
		kind, payload, err := c.in.next()
		c.heard.Add(1)
		switch {
		case err != nil:
			return 0, c.fail(err)
		case kind == frameEnd:
			return 0, c.end(failure(payload))
		case kind == frameTaken:
			c.taken.Store(true)
		case kind != frameData:
			return 0, c.end(errGarbage)
		}
	}
	if c.failed != nil {
		return 0, c.failed
	}
	n, err := c.in.read(p)
	if err != nil {
		err = c.fail(err)
	}
	return n, err
}

// fail names the end of the socket. A deadline is no end: it can be set anew.
func (c *Conn) fail(err error) error {
	if isTimeout(err) || errors.Is(err, net.ErrClosed) {
		return err
	}
	return c.end(&net.OpError{Op: "read", Net: "unix", Err: lostError{stopped: c.withdrawn.Load()}})
}

// end makes every later read fail with the same. Elsewhere than on Linux a socket that reads no more can lose a word that
// has come.
func (c *Conn) end(err error) error {
	if !c.taken.Load() && (runtime.GOOS == "linux" || !c.withdrawn.Load()) {
		err = untakenError{err}
	}
	c.failed = err
	close(c.over)
	return err
}

// Write sends to the server.
func (c *Conn) Write(p []byte) (int, error) {
	c.watch.Do(func() { go c.watchHolder(atLeast(takenTimeout), atLeast(statusEvery)) })
	n, err := writeData(c.holder, p)
	var op *net.OpError
	switch {
	case err == nil:
	case errors.Is(err, net.ErrClosed):
		select {
		case <-c.over: // the connection was closed because of what the read ended with
			err = c.failed
		default:
		}
	case errors.As(err, &op) && !op.Timeout():
		err = &net.OpError{Op: "write", Net: "unix", Err: lostError{}}
	}
	return n, err
}

// backPatience bounds the wait for a holder to have taken a connection back.
const backPatience = 100 * time.Millisecond

// settle waits until the reader has seen that nothing is left of an answer, or that there is, for a while at most.
func (c *Conn) settle() {
	poll := time.NewTicker(100 * time.Microsecond)
	defer poll.Stop()
	for end := time.Now().Add(backPatience); !c.isReading() && time.Now().Before(end); {
		select {
		case <-c.closed:
			return
		case <-poll.C:
		}
	}
}

func (c *Conn) isReading() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading
}

// giveBack reports whether the connection is as it was before a request, after so many bytes, and has what comes from now
// on left away.
func (c *Conn) giveBack() (read int64, given bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = c.unspoiled.Load() && c.reading
	return c.read, c.given
}

// Close gives the connection back, or up. Once it has returned the next command gets what this one gave back.
func (c *Conn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	if read, given := c.giveBack(); given {
		timer := time.NewTimer(atLeast(backPatience))
		defer timer.Stop()
		if _, err := c.holder.Write(back(read)); err == nil {
			select {
			case <-c.over: // the holder has closed the socket; net/http reads until then
			case <-timer.C:
			}
		}
	}
	return c.socket.Close()
}

// NetConn is the socket.
func (c *Conn) NetConn() net.Conn { return c.socket }

// LocalAddr is the socket's.
func (c *Conn) LocalAddr() net.Addr { return c.holder.LocalAddr() }

// RemoteAddr is the server's.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline is that of the socket.
func (c *Conn) SetDeadline(t time.Time) error { return c.holder.SetDeadline(t) }

// SetReadDeadline is that of the socket.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.holder.SetReadDeadline(t) }

// SetWriteDeadline is that of the socket.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.holder.SetWriteDeadline(t) }

// address is a server's, as the holder named it.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
