package hold

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"ferry/pkg/transport"
)

// errUnasked ends a connection on which the server says what no request asked for.
var errUnasked = errors.New("the server sent bytes before it was asked")

// upstream is a connection to the node. Somebody reads from it all the time: what a server says that nobody asked, an
// end above all, is known before the next request is trusted to it.
type upstream struct {
	conn net.Conn
	loan loan // what a borrower is told

	mu       sync.Mutex
	borrower net.Conn // nil while it waits
	passed   int64    // bytes that this borrower was sent
	asked    bool     // this borrower's request is on its way, or no request ever was on this connection
	dead     bool
}

func newUpstream(conn net.Conn) *upstream {
	patient(conn, true)
	l := loan{Remote: conn.RemoteAddr().String()}
	if secured, ok := conn.(*tls.Conn); ok {
		l.TLS = secured.ConnectionState().Version
	}
	return &upstream{conn: conn, loan: l}
}

// watch hands the borrower what the server sends, to the end of the connection. What is sent to nobody is the end too:
// it can be no answer.
func (u *upstream) watch() {
	defer u.conn.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := u.conn.Read(buffer)
		goesOn := u.pass(buffer[:n], err)
		clear(buffer[:n])
		if !goesOn {
			return
		}
	}
}

// pass hands over what a read gave, and reports whether there is more to read.
func (u *upstream) pass(p []byte, err error) bool {
	u.mu.Lock()
	borrower := u.borrower
	if unasked := len(p) > 0 && !u.asked; unasked && borrower != nil {
		p, err = nil, errUnasked
	}
	u.dead = u.dead || err != nil || borrower == nil
	u.passed += int64(len(p))
	dead := u.dead
	u.mu.Unlock()
	if borrower == nil {
		return false
	}
	if len(p) > 0 {
		if _, failed := writeData(borrower, p); failed != nil {
			return false
		}
	}
	if err != nil {
		_, _ = borrower.Write(frame(frameEnd, ended(err)))
	}
	return !dead
}

// lendTo makes what is read the borrower's, and tells it what it has got: with the greeting before it, where the connection
// was there already. It reports whether the connection was alive.
func (u *upstream) lendTo(borrower net.Conn, reused bool) bool {
	patient(u.conn, true)
	l := u.loan
	l.Reused = reused
	words := l.frame()
	if reused {
		words = append(frame(frameGreet, greeting), words...)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dead || reused && !transport.Quiet(u.conn) {
		return false
	}
	u.borrower, u.passed, u.asked = borrower, 0, !reused
	_, _ = borrower.Write(words) // a borrower that is gone is found out by carry
	return true
}

// take tells the borrower that its request is sent from now on. It reports false where the borrower has gone, or where the
// connection is dead or holds what no request asked for: nothing is to be sent then.
func (u *upstream) take() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dead || !u.asked && !transport.Quiet(u.conn) {
		return false
	}
	u.asked = true
	// Under the lock: an end that comes now is told after it.
	_, err := u.borrower.Write(frame(frameTaken, ""))
	return err == nil
}

// carry sends what the borrower writes, until it gives the connection back or is gone. It reports whether the connection
// can be lent again.
func (u *upstream) carry(in *frames) bool {
	buffer := make([]byte, 16<<10)
	defer clear(buffer)
	refused := false // the server takes no more; what it answered is still on its way to the borrower
	used := false
	for {
		kind, payload, err := in.next()
		if err != nil || kind != frameData {
			read, given := readBack(payload)
			given = given && err == nil && kind == frameBack
			return u.release(read) && (given || !used)
		}
		if !used && !u.take() {
			u.release(0)
			return false
		}
		used = true
		for in.left > 0 {
			n, err := in.read(buffer)
			if err != nil {
				u.release(0)
				return false
			}
			if !refused {
				_, err = u.conn.Write(buffer[:n])
				refused = err != nil
			}
		}
	}
}

// release ends a loan of which the borrower has read so many bytes, and reports whether the connection is alive and has
// nothing of it left.
func (u *upstream) release(read int64) bool {
	u.mu.Lock()
	u.borrower, u.asked = nil, false
	fit := !u.dead && u.passed == read
	u.mu.Unlock()
	return fit && u.rest()
}

// rest readies the connection to wait: a path that is dead is then to be known soon.
func (u *upstream) rest() bool {
	patient(u.conn, false)
	return u.well()
}

// well reports whether all that is known of the connection speaks for it.
func (u *upstream) well() bool {
	u.mu.Lock()
	dead := u.dead
	u.mu.Unlock()
	return !dead && answered(u.conn)
}
