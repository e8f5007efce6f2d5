package hold

import (
	"context"
	"errors"
	"net"
	"time"
)

// How long a holder may be silent: one that is stopped, or starved, would otherwise be waited for until the call's own end.
// While a model thinks a holder has nothing to say, so it is asked for its status, on a connection of its own.
const (
	takenTimeout = 2 * time.Second // until it has taken the request
	statusEvery  = 2 * time.Second
	mostSilent   = 3 // times in a row that it does not answer
)

// watchHolder ends the reading from a holder that has not taken the request after the wait, or is stopped later: the read
// then says what is known of the request.
func (c *Conn) watchHolder(wait, every time.Duration) {
	var silent pulse
	for {
		timer := time.NewTimer(wait)
		select {
		case <-c.closed:
			timer.Stop()
			return
		case <-c.over:
			timer.Stop()
			return
		case <-timer.C:
		}
		if !c.taken.Load() || silent.stopped(c.holder, c.heard.Load()) {
			c.withdrawn.Store(true)
			_ = c.holder.(interface{ CloseRead() error }).CloseRead() // of a socket that is closed the read has ended
			return
		}
		wait = every
	}
}

// pulse tells a holder that is stopped from one that has nothing to say.
type pulse struct {
	heard  int64
	silent int
}

// stopped reports whether the holder behind conn has not answered several times in a row. heard counts what it said by
// itself.
func (p *pulse) stopped(conn net.Conn, heard int64) bool {
	if heard == p.heard {
		if _, err := tell(conn.RemoteAddr().String()); err == nil || absent(err) {
			p.silent = 0 // or it has ended, which the read finds
		} else {
			p.silent++
		}
	} else {
		p.heard, p.silent = heard, 0
	}
	return p.silent >= mostSilent
}

// errStopped says that a holder is stopped.
var errStopped = errors.New("the holder does not answer")

// waitFrame waits for the holder's next word, until bound, and for no longer than the holder is at work.
func waitFrame(ctx context.Context, conn net.Conn, in *frames, bound time.Time) error {
	for p := (pulse{}); ; {
		next := time.Now().Add(atLeast(statusEvery))
		last := !bound.IsZero() && bound.Before(next)
		if last {
			next = bound
		}
		if ctx.Err() == nil {
			_ = conn.SetReadDeadline(next)
		}
		_, err := in.from.Peek(1)
		switch {
		case !isTimeout(err) || last || ctx.Err() != nil:
			return err
		case p.stopped(conn, 0):
			return errStopped
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
