package hold

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

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
	_ = conn.SetDeadline(time.Now().Add(patience))
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

// lend lends a connection until it comes back or one side ends.
func (h *holder) lend(ctx context.Context, conn net.Conn, in *frames, idle time.Duration) {
	defer in.forget()
	up, err := h.take(ctx, conn, idle)
	if err != nil {
		_, _ = conn.Write(frame(frameCannot, ""))
		return
	}
	fit := up.carry(in)
	h.takeBack(up, fit)
}

var (
	errLeaving = errors.New("the holder is about to end")
	errMost    = errors.New("the holder has no connection left to lend")
)

// take lends a connection that waits, or a new one. The borrower is told how far that is, and at last what it gets: of one
// that waits in the same breath as the greeting, which wakes it once.
func (h *holder) take(ctx context.Context, conn net.Conn, idle time.Duration) (*upstream, error) {
	if err := h.wanted(idle); err != nil {
		greet(conn)
		return nil, err
	}
	for up := h.waiting(); up != nil; up = h.waiting() {
		if up.lendTo(conn, true) {
			return up, nil
		}
		up.conn.Close() // it died while it waited, and the next one is as good
	}
	greet(conn)
	up, err := h.make(ctx, func(step byte) { _, _ = conn.Write(frame(frameStep, string(rune(step)))) })
	if err == nil && !up.lendTo(conn, false) {
		up.conn.Close()
		err = errMost
	}
	if err != nil {
		h.ended()
		return nil, err
	}
	return up, nil
}

// wanted counts a loan that is about to be.
func (h *holder) wanted(idle time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving {
		return errLeaving
	}
	h.life, h.barren = idle, 0
	h.lent++
	h.loans++
	return nil
}

// waiting takes the connection that was used last and is well, nil where there is none.
func (h *holder) waiting() *upstream {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.idle) > 0 {
		up := h.idle[len(h.idle)-1]
		h.idle = h.idle[:len(h.idle)-1]
		if up.well() {
			return up
		}
		up.conn.Close() // whoever watches it sees to the rest
	}
	return nil
}

// make makes a connection and watches it from then on.
func (h *holder) make(ctx context.Context, tell func(step byte)) (*upstream, error) {
	h.mu.Lock()
	if h.open >= most {
		h.mu.Unlock()
		return nil, errMost
	}
	h.open++
	h.making++
	h.mu.Unlock()
	ctx, done := telling(ctx, tell)
	conn, err := h.connect(ctx)
	done()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.making--
	if err != nil {
		h.open--
		if h.made == 0 && h.open == 0 {
			h.end() // there has never been anything to hold
		}
		return nil, err
	}
	h.made++
	up := newUpstream(conn)
	go func() {
		up.watch()
		h.died(up)
	}()
	return up, nil
}

// ended counts a loan that is over.
func (h *holder) ended() {
	h.mu.Lock()
	h.lent--
	h.used = h.clock.Now()
	if !h.tidying && !h.leaving {
		h.tidying = true
		go h.tidyUp()
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// takeBack ends a loan. The connection waits for the next one, if it is as it was.
func (h *holder) takeBack(up *upstream, fit bool) {
	h.mu.Lock()
	keep := fit && !h.leaving && len(h.idle) < kept
	if keep {
		h.idle = append(h.idle, up)
	}
	h.mu.Unlock()
	if !keep {
		up.conn.Close()
	}
	h.ended()
}

// died takes a connection out, and has another one made ahead of need where it was the last.
func (h *holder) died(up *upstream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	if at := slices.Index(h.idle, up); at >= 0 {
		h.idle = slices.Delete(h.idle, at, at+1)
	}
	if len(h.idle) == 0 && !h.leaving && !h.stocking {
		h.stocking = true
		go h.restock()
	}
}

// restock makes a connection for the next borrower. A server that closes what is not used is asked less and less often.
func (h *holder) restock() {
	for h.pause() {
		up, err := h.make(h.alive, func(byte) {})
		h.mu.Lock()
		h.barren++
		switch {
		case err != nil:
			h.mu.Unlock()
			continue
		case h.leaving:
			up.conn.Close()
		case up.rest():
			h.idle = append(h.idle, up)
		}
		h.stocking = false
		h.mu.Unlock()
		return
	}
}

// pause waits before a replacement, and reports whether one is still wanted.
func (h *holder) pause() bool {
	h.mu.Lock()
	var wait time.Duration
	if h.barren > 0 {
		wait = min(longestPause, firstPause<<min(h.barren-1, 8))
	}
	h.mu.Unlock()
	if wait > 0 {
		_ = h.clock.Sleep(h.alive, wait)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := !h.leaving && len(h.idle) == 0 && h.alive.Err() == nil
	h.stocking = wanted
	return wanted
}

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
