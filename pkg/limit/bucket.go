package limit

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"ferry/pkg/text"
)

// Forever is a bound on a wait that bounds nothing.
const Forever time.Duration = math.MaxInt64

// Bucket gives out reservations to send to one address. It may be used from many goroutines, and any number of processes
// with the same folder and address share it.
type Bucket struct {
	*sharedFile
	clock  Clock
	rate   Rate
	memory queue     // the newest state known, which counts when the file does not
	known  time.Time // when it was the newest, by the clock's Now
}

// NewBucket gives the bucket of a node's address, which is its URL. A new one is full. It touches no file yet; an error
// means that the rate is out of bounds.
func NewBucket(folder, address string, rate Rate, clock Clock) (*Bucket, error) {
	if err := rate.Check(); err != nil {
		return nil, err
	}
	return &Bucket{
		sharedFile: newSharedFile(folder, Place(address)+".bucket"),
		clock:      clock,
		rate:       rate,
		memory:     full(read(clock), rate),
	}, nil
}

// Rate is what the bucket was made with.
func (b *Bucket) Rate() Rate { return b.rate }

// Reservation is the place of one request in the order of all.
type Reservation struct {
	// Wait is how long to wait before sending, as it looked when Reserve returned. Sleep waits.
	Wait time.Duration

	bucket *Bucket
	number int64
	first  int64 // when it could be sent at first, on the clock that counts
	once   sync.Once

	mu      sync.Mutex
	due     time.Time // when it may be sent, by the clock's Now
	earlier int       // how many were cancelled ahead of it
}

// TooLongError says that the next request may go out later than the caller can wait. Nothing was reserved.
type TooLongError struct {
	Wait time.Duration
	Rate Rate
	text.Advice
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("the limit of %v allows the next request in %v, which is too late", e.Rate, round(e.Wait))
}

// round keeps a wait readable, and never shows less than it is.
func round(d time.Duration) time.Duration {
	const unit = 100 * time.Millisecond
	if d > Forever-unit {
		return d
	}
	return (d + unit - 1).Truncate(unit)
}

// Reserve takes the next reservation, which stays taken until it is used or cancelled. Where the wait would be above most,
// it takes none and returns *TooLongError. Reservations are due in the order in which they were taken. It fails besides only
// when ctx ends, with its cause; a folder that cannot be used is no failure, Degraded tells.
func (b *Bucket) Reserve(ctx context.Context, most time.Duration) (*Reservation, error) {
	var reserved *Reservation
	var late error
	err := b.change(ctx, never, func(q queue) (queue, bool) {
		wait := q.wait()
		if wait > most || q.Ahead > maxAhead-b.rate.interval() {
			late = &TooLongError{wait, b.rate,
				"earlier requests come first; a longer --timeout allows a longer wait for the rate limit"}
			return q, false
		}
		reserved = &Reservation{Wait: wait, bucket: b, number: q.Next, first: q.At.instant() + int64(wait), due: b.clock.Now().Add(wait)}
		q.Ahead += b.rate.interval()
		q.Next++
		return q, true
	})
	if err = cmp.Or(err, late); err != nil {
		return nil, err
	}
	return reserved, nil
}

// leastStep is the shortest time between two looks at the bucket.
const leastStep = 50 * time.Millisecond

// step is how far apart a waiting reservation looks at the bucket: at each moment when it could be due because
// reservations ahead of it were cancelled, but not more often than is reasonable.
func (b *Bucket) step() time.Duration {
	each := b.rate.interval()
	return (leastStep + each - 1) / each * each
}

// margin is how long before it is due a reservation can still be given back while others wait behind it. They have to
// learn of it before they could be sent. At slow rates each looks at exactly that moment.
func (b *Bucket) margin() time.Duration {
	if b.step() == b.rate.interval() {
		return 0
	}
	return 2 * b.step()
}

// Left is how long is still to be waited.
func (r *Reservation) Left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.due.Sub(r.bucket.clock.Now()))
}

// Sleep waits with the given function until the request may be sent. On the way it looks whether reservations ahead of it were
// cancelled, which makes the wait shorter. The error comes from sleep.
func (r *Reservation) Sleep(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	for left := r.Left(); left > 0; left = r.Left() {
		step := r.bucket.step()
		if rest := left % step; rest > 0 {
			step = rest
		}
		wake := r.bucket.clock.Now().Add(step)
		if err := sleep(ctx, step); err != nil {
			return err
		}
		if step < left {
			// Without the bucket the wait stays as it is.
			_ = r.bucket.change(ctx, wake, func(q queue) (queue, bool) { r.look(q); return q, false })
		}
	}
	return nil
}

// look moves the reservation up by what was cancelled ahead of it.
func (r *Reservation) look(q queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := q.earlier(r.number); n > r.earlier {
		r.due = r.due.Add(-time.Duration(n-r.earlier) * r.bucket.rate.interval())
		r.earlier = n
	}
}

// Cancel gives back a reservation that is not going to be used, and says whether that could be done: only before it is
// due. The reservations behind it move up. Only the first call counts.
func (r *Reservation) Cancel() (given bool) {
	r.once.Do(func() {
		b := r.bucket
		// The context of the request has often ended by now. lockTimeout bounds the call.
		err := b.change(context.Background(), never, func(q queue) (queue, bool) {
			r.look(q)
			due := r.first - int64(r.earlier)*int64(b.rate.interval())
			// One that is not where it was means that a clock was set, the rate was changed or the file was lost.
			same := r.number < q.Next && q.due(r.number) == due
			left := time.Duration(due - q.At.instant())
			last := r.number == q.Next-1
			if given = same && left > 0 && (last || left > b.margin() && len(q.Gaps) < maxGaps); given {
				q = q.cancelled(r.number)
			}
			return q, given
		})
		given = given && err == nil
	})
	return given
}

// never is a time at which no state that is known is new enough.
var never = time.Unix(1<<40, 0)

// change brings the newest state to now and hands it to step, which returns the next one and whether it is to be kept. A
// state that was the newest at since is new enough: all that wait in one process look at the file once.
func (b *Bucket) change(ctx context.Context, since time.Time, step func(queue) (queue, bool)) error {
	leave, shared, err := b.enter(ctx, func() bool { return !b.known.Before(since) })
	if err != nil {
		return err
	}
	defer leave()
	if shared {
		if err := b.onDisk(step); err == nil {
			return nil
		} else {
			b.degrade(err)
		}
	}
	if next, keep := step(b.memory.moved(read(b.clock), b.rate)); keep {
		b.memory = next
	}
	return nil
}

// onDisk makes a change in the file. The clock is read under the lock, so that states follow each other in time. When
// only the write fails, the state that was read stays in memory, and the caller makes the change there.
func (b *Bucket) onDisk(step func(queue) (queue, bool)) error {
	f, fresh, err := openInPlace(b.path())
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxQueue))
	if err != nil {
		return err
	}
	now := read(b.clock)
	b.known = b.clock.Now()
	q, ok := decodeQueue(data)
	switch {
	case ok:
	case fresh:
		q = full(now, b.rate)
	default:
		q = emptied(now, b.rate)
	}
	b.memory = q
	next, keep := step(q.moved(now, b.rate))
	if !keep {
		return nil
	}
	if _, err := f.WriteAt(encodeQueue(next), 0); err != nil {
		return err
	}
	b.memory = next
	return nil
}
