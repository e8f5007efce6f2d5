package hold

import (
	"context"
	"errors"
	"net"
	"time"

	"ferry/pkg/transport"
)

var (
	errLeaving = errors.New("the holder is about to end")
	errMost    = errors.New("the holder has no connection left to lend")
)

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

// take lends a connection that waits, or a new one. The borrower is told how far that is, and at last what it gets: of one
// that waits in the same breath as the greeting, which wakes it once.
func (h *holder) take(ctx context.Context, conn net.Conn, idle time.Duration) (*upstream, error) {
	if err := h.wanted(idle); err != nil {
		greet(conn)
		return nil, err
	}
	for up := h.waiting(); up != nil; up = h.waiting() {
		transport.Await(up.conn) // what was read of the last loan may be on its way still
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

// ended counts a loan that is over.
func (h *holder) ended() {
	h.mu.Lock()
	h.lent--
	h.used = h.clock.Now()
	if !h.tidying && !h.leaving {
		h.tidying = true
		go h.tidyUp()
	}
	soon := h.life < tick // sooner than it looks by itself
	h.mu.Unlock()
	if !soon {
		return
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// takeBack ends a loan. The connection waits for the next one, if it is as it was.
func (h *holder) takeBack(up *upstream, fit bool) {
	h.mu.Lock()
	// Whoever watches it says that it is dead before it looks for it here.
	keep := fit && !h.leaving && len(h.idle) < kept && up.well()
	if keep {
		h.idle = append(h.idle, up)
	}
	h.mu.Unlock()
	if !keep {
		up.conn.Close()
	}
	h.ended()
}
