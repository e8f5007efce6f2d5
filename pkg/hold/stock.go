package hold

import (
	"context"
	"slices"
	"time"
)

const (
	// most bounds the connections to a node, and kept those that wait for a next borrower.
	most = 128
	kept = 16
	// The pauses before connections are replaced that nobody used.
	firstPause   = 5 * time.Second
	longestPause = time.Minute
)

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
		fit := err == nil && !h.leaving && up.rest()
		if fit {
			h.idle, h.stocking = append(h.idle, up), false
		}
		h.mu.Unlock()
		if fit {
			return
		}
		if err == nil {
			up.conn.Close()
		}
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
