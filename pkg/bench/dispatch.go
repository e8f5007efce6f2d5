package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
)

// dispatcher opens the rounds of a closed loop. It has no goroutine of its own: the worker that ends a request calls advance, and
// goes on with what that released, which costs no switch between goroutines.
type dispatcher struct {
	sending context.Context
	queues  []*queue
	// rounds is how many there are, window how many may be open at once at the slowest node.
	rounds, window int
	more           func(slowest int) bool
	order          *rand.Rand

	mu    sync.Mutex
	next  int
	ended bool
}

// advance opens the rounds that may be opened, and ends the queues when there will be none.
func (d *dispatcher) advance() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.ended {
		slowest := d.slowest()
		switch {
		case d.next == d.rounds, slowest == math.MaxInt, d.sending.Err() != nil:
			d.end()
		case d.next >= slowest+d.window:
			return
		case !d.more(slowest):
			d.end()
		default:
			d.next++
			for _, i := range d.order.Perm(len(d.queues)) {
				d.queues[i].release(d.next)
			}
		}
	}
}

// slowest is the number of rounds that the slowest node has done, math.MaxInt when no node is left.
func (d *dispatcher) slowest() int {
	least := math.MaxInt
	for _, l := range d.queues {
		if s := l.state(); !s.over {
			least = min(least, s.done)
		}
	}
	return least
}

func (d *dispatcher) end() {
	d.ended = true
	for _, l := range d.queues {
		l.finish()
	}
}
