package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// errUnasked is the fault of a kept connection on which there are bytes that belong to no request.
var errUnasked = errors.New("the server sent bytes before it was asked")

// link is a connection under http.Transport. It knows what http.Transport does not tell:
//
//   - Whether a kept connection is fit for a next request. Bytes that the server sent behind an answer, or while the
//     connection was idle, would be taken for the next answer. Nothing is written to such a connection.
//   - What the server answered before it stopped to read. http.Transport drops that answer where a write fails first, so
//     a write that the server refuses counts as done, and the read says what came.
//   - Whether a byte of a request was written.
//   - Whether an answer came before the server had the request. Every answer acknowledges the bytes of its request, so one
//     that leaves some unacknowledged was sent before: it refuses a request that was not read, or it belongs to no request.
type link struct {
	net.Conn

	mu      sync.Mutex
	moved   sync.Cond // reading or closed has changed
	reading bool      // http.Transport waits for bytes: it has none left of what was read before
	closed  bool
	used    bool  // a request was begun
	unasked bool  // a further request was begun, and none of it is written yet
	sent    int   // bytes of the request
	handed  int64 // bytes that were to be sent, and length the size of the request's body
	length  int64
	kept    bool  // the connection served another request before
	early   bool  // the answer came before the server had the whole request,
	stray   bool  // or any of it
	refused error // what a write failed with
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// linked makes the connections of dial links.
func linked(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l := &link{Conn: Polled(conn)}
		l.moved.L = &l.mu
		return l, nil
	}
}

// linkOf is the link under a connection of http.Transport's, nil where there is none.
func linkOf(conn net.Conn) *link {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	l, _ := conn.(*link)
	return l
}

// begin readies the link for a request. The reader of a kept connection either waits for bytes by now or soon, or it has
// found some and closes the connection.
func (l *link) begin(length int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.used && !l.reading && !l.closed {
		l.moved.Wait()
	}
	if l.used && !l.closed {
		l.mu.Unlock() // its reader may close it
		Await(l.Conn)
		l.mu.Lock()
	}
	l.kept, l.used, l.unasked, l.sent = l.used, true, l.used, 0
	l.length, l.handed, l.early, l.stray = length, 0, false, false
}

// answered is called when the first byte of an answer is there.
func (l *link) answered() {
	missing := unacknowledged(l.Conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.early, l.stray = missing > 0 || l.handed < l.length, missing > 0 && missing >= l.sent
}

// misses reports whether an answer with the status cannot belong to the request. A server may refuse a request that it has
// not read, but not carry it out; and on a kept connection an answer can be left over from before.
func (l *link) misses(status int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.early && status/100 == 2 || l.stray && l.kept
}

func (l *link) Read(p []byte) (int, error) {
	l.setReading(true)
	n, err := l.Conn.Read(p)
	if l.setReading(false) && n > 0 {
		return 0, errUnasked
	}
	return n, err
}

// setReading reports whether what is read belongs to no request.
func (l *link) setReading(now bool) (unasked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = now
	l.moved.Broadcast()
	return l.unasked
}

func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.unasked && l.refused != nil:
		return 0, l.refused
	case l.unasked && !(l.reading && Quiet(l.Conn)):
		return 0, errUnasked
	case l.refused != nil:
		return len(p), nil
	}
	first := l.unasked
	l.unasked = false
	l.handed += int64(len(p))
	l.mu.Unlock()
	n, err := l.Conn.Write(p)
	l.mu.Lock()
	l.sent += n
	if refuses(err) && !(first && n == 0) {
		l.refused = err
		_ = l.SetReadDeadline(time.Now().Add(refusedTimeout)) // of a connection that is closed the read says so itself
		return len(p), nil
	}
	return n, err
}

func (l *link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.moved.Broadcast()
	l.mu.Unlock()
	return l.Conn.Close()
}

// failure completes the error of a request that got no answer: with what the server refused, and with whether a byte of
// the request was written. Without a link none was.
func (l *link) failure(err error) error {
	if l == nil {
		return &unsentError{err}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused != nil && (isTimeout(err) || errors.Is(err, io.EOF)) {
		err = l.refused
	}
	if l.sent == 0 {
		return &unsentError{err}
	}
	return err
}
