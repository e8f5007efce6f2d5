package hold

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

// tick is how often a holder looks whether it is still wanted.
const tick = 10 * time.Second

// holder lends connections to one node.
type holder struct {
	order   order
	connect func(context.Context) (net.Conn, error)
	program string
	// inUse reports whether the socket and the program are still what they were.
	inUse func() bool
	clock Clock

	started time.Time
	alive   context.Context // ends when nothing more is to be made
	stop    chan struct{}   // closed when it is told to end
	closed  chan struct{}   // closed when it listens no more
	ending  sync.Once
	wake    chan struct{} // asks for another look at the time that is left

	mu       sync.Mutex
	idle     []*upstream // the one used last at the end
	open     int         // connections, lent ones and those being made included
	making   int         // those being made
	lent     int         // loans that go on, those for which a connection is being made included
	loans    int         // ever
	used     time.Time
	life     time.Duration
	leaving  bool
	made     int  // connections, ever
	barren   int  // replacements in a row that nobody used
	stocking bool // one is being made
	tidying  bool // somebody waits for a quiet moment to tidy up
}

func newHolder(o order, clock Clock, connect func(context.Context) (net.Conn, error)) *holder {
	h := &holder{
		order: o, connect: connect, clock: clock,
		stop: make(chan struct{}), closed: make(chan struct{}), wake: make(chan struct{}, 1), life: o.Idle,
		inUse: func() bool { return true },
	}
	h.started, h.used = clock.Now(), clock.Now()
	return h
}

// after closes what it gives when a time has passed, or ctx has ended.
func (h *holder) after(ctx context.Context, d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = h.clock.Sleep(ctx, d)
	}()
	return over
}

// serve lends until the holder's time is over, and lets those finish who have a connection then.
func (h *holder) serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.alive = ctx
	var borrowers sync.WaitGroup
	go h.live(ctx, l)
	for {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		borrowers.Go(func() { h.borrower(ctx, conn) })
	}
	h.leave()
	borrowers.Wait()
	return nil
}

// live ends the listening when there is no reason to go on.
func (h *holder) live(ctx context.Context, l net.Listener) {
	defer close(h.closed)
	defer l.Close()
	for {
		left := h.left()
		if left <= 0 || !h.inUse() {
			return
		}
		waiting, woken := context.WithCancel(ctx)
		select {
		case <-ctx.Done():
		case <-h.stop:
		case <-h.wake:
		case <-h.after(waiting, min(left, tick)):
		}
		woken()
		if h.told(ctx) {
			return
		}
	}
}

// told reports whether the holder was told to end.
func (h *holder) told(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	case <-h.stop:
		return true
	default:
		return false
	}
}

// left is how long the holder lives on if nobody comes; while something is lent that is its whole time.
func (h *holder) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lent > 0 {
		return h.life
	}
	return h.life - h.clock.Now().Sub(h.used)
}

// leave closes what nobody has borrowed, and what comes back later.
func (h *holder) leave() {
	h.mu.Lock()
	idle := h.idle
	h.idle, h.leaving = nil, true
	h.mu.Unlock()
	for _, up := range idle {
		up.conn.Close()
	}
}

// borrower serves one process on the other side of the socket.
func (h *holder) borrower(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	if unix, ok := conn.(*net.UnixConn); ok && checkPeer(unix) != nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(atLeast(patience)))
	in := newFrames(conn, 16<<10)
	kind, payload, err := in.next()
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	switch kind {
	case frameTell:
		greet(conn)
		_, _ = conn.Write(notice(frameStatus, h.status()))
	case frameLeave:
		greet(conn)
		h.end()
		<-h.closed
	case frameWant:
		if idle, ok := readWish(payload); ok {
			h.lend(ctx, conn, in, idle)
		}
	}
}

// greet says the holder's first word. A borrower that is gone is found out when it is read from.
func greet(conn net.Conn) { _, _ = conn.Write(frame(frameGreet, greeting)) }

// end has the holder end.
func (h *holder) end() { h.ending.Do(func() { close(h.stop) }) }

// status is what the holder says of itself.
func (h *holder) status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Status{
		Node: h.order.Node, Address: h.order.Target, PID: os.Getpid(), Age: h.clock.Now().Sub(h.started), Requests: h.loans,
		Connections: h.open - h.making, Lent: h.lent, Memory: residentMemory(),
	}
	s.Left = h.life
	if h.lent == 0 {
		s.Left = max(0, h.life-h.clock.Now().Sub(h.used))
	}
	return s
}
