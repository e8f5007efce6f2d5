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

// Forever is the largest duration. As a limit of a wait it means no limit.
const Forever time.Duration = math.MaxInt64

// Bucket hands out reservations to send to one address. It is safe for concurrent use. All processes with the same
// folder and address share it.
type Bucket struct {
	*sharedFile
	// OnDegraded is called with the reason at each reservation that other processes cannot see. It may be nil.
	OnDegraded func(why error)

	clock  Clock
	rate   Rate
	memory queue     // latest known state, used if the file cannot be used
	known  time.Time // when the state was read, by the clock's Now
}

// NewBucket returns the bucket of a node's address, which is its URL. A new bucket is full. NewBucket touches no file
// and fails only if the rate is out of bounds.
func NewBucket(folder, address string, rate Rate, clock Clock) (*Bucket, error) {
	if err := rate.Check(); err != nil {
		return nil, err
	}
	return &Bucket{
		sharedFile: newSharedFile(folder, AddressKey(address)+".bucket"),
		clock:      clock,
		rate:       rate,
		memory:     full(read(clock), rate),
	}, nil
}

// Rate returns the rate that the bucket was created with.
func (b *Bucket) Rate() Rate { return b.rate }

// Reservation is one request's position in the queue of all requests.
type Reservation struct {
	// Wait is how long to wait before sending, computed when Reserve returned. Sleep does the waiting.
	Wait time.Duration

	bucket *Bucket
	number int64
	first  int64 // due time when it was made, as reading.instant
	once   sync.Once

	mu      sync.Mutex
	due     time.Time // when it may be sent, by the clock's Now
	earlier int       // number of cancelled reservations ahead of it
}

// TooLongError reports that the wait for the next request is longer than the caller's maximum. Nothing was reserved.
type TooLongError struct {
	Wait time.Duration
	Rate Rate
	text.Advice
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("the limit of %v allows the next request in %v, which is too late", e.Rate, round(e.Wait))
}

// round rounds a wait up to 100 ms for display.
func round(d time.Duration) time.Duration {
	const unit = 100 * time.Millisecond
	if d > Forever-unit {
		return d
	}
	return (d + unit - 1).Truncate(unit)
}

// Reserve makes the next reservation, which counts until it is used or cancelled. If the wait is longer than maxWait,
// it reserves nothing and returns *TooLongError. Reservations become due in the order in which they were made. The only
// other error is the cause of ctx when ctx ends. A folder that cannot be used is not an error; Degraded reports it.
func (b *Bucket) Reserve(ctx context.Context, maxWait time.Duration) (*Reservation, error) {
	var reserved *Reservation
	var late error
	err := b.change(ctx, farFuture, func(q queue) (queue, bool) {
		wait := q.wait()
		if wait > maxWait || q.Ahead > maxAhead-b.rate.interval() {
			late = &TooLongError{wait, b.rate,
				"earlier requests come first; a longer --timeout allows a longer wait for the rate limit"}
			return q, false
		}
		reserved = &Reservation{Wait: wait, bucket: b, number: q.Next, first: q.At.instant() + int64(wait), due: b.clock.Now().Add(wait)}
		q.Ahead += b.rate.interval()
		q.Next++
		return q, true
	})
	if why := b.Degraded(); why != nil && b.OnDegraded != nil {
		b.OnDegraded(why)
	}
	if err = cmp.Or(err, late); err != nil {
		return nil, err
	}
	return reserved, nil
}

// leastStep is the shortest interval between two checks of the bucket.
const leastStep = 50 * time.Millisecond

// step returns how often a waiting reservation checks the bucket: leastStep, rounded up to a multiple of the rate's
// interval. Each cancelled reservation ahead moves it up by exactly one interval.
func (b *Bucket) step() time.Duration {
	each := b.rate.interval()
	return (leastStep + each - 1) / each * each
}

// margin returns how long before its due time a reservation can still be cancelled while others wait behind it. The
// others must see the cancellation before they could be sent. At slow rates each of them checks at exactly that
// moment, so the margin is 0.
func (b *Bucket) margin() time.Duration {
	if b.step() == b.rate.interval() {
		return 0
	}
	return 2 * b.step()
}

// Left returns the remaining wait.
func (r *Reservation) Left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.due.Sub(r.bucket.clock.Now()))
}

// Sleep waits with the given function until the request may be sent. While it waits, it checks whether reservations
// ahead were cancelled, which shortens the wait. The error is the error of sleep.
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
			// If this fails, the wait stays as it is.
			_ = r.bucket.change(ctx, wake, func(q queue) (queue, bool) { r.update(q); return q, false })
		}
	}
	return nil
}

// update moves the reservation up by one interval for each reservation cancelled ahead of it.
func (r *Reservation) update(q queue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := q.earlier(r.number); n > r.earlier {
		r.due = r.due.Add(-time.Duration(n-r.earlier) * r.bucket.rate.interval())
		r.earlier = n
	}
}

// Cancel gives back a reservation that will not be used, and reports whether that was possible: only before it is due,
// and earlier than margin if others wait behind it. Those move up. Only the first call has an effect.
func (r *Reservation) Cancel() (cancelled bool) {
	r.once.Do(func() {
		b := r.bucket
		// The request's context has often ended by now. lockTimeout limits the call.
		err := b.change(context.Background(), farFuture, func(q queue) (queue, bool) {
			r.update(q)
			due := r.first - int64(r.earlier)*int64(b.rate.interval())
			// If its due time is different, a clock was set, the rate was changed or the file was lost.
			same := r.number < q.Next && q.due(r.number) == due
			left := time.Duration(due - q.At.instant())
			last := r.number == q.Next-1
			if cancelled = same && left > 0 && (last || left > b.margin() && len(q.Gaps) < maxGaps); cancelled {
				q = q.cancelled(r.number)
			}
			return q, cancelled
		})
		cancelled = cancelled && err == nil
	})
	return cancelled
}

// farFuture is so far in the future that no known state is new enough.
var farFuture = time.Unix(1<<40, 0)

// change advances the latest state to now and passes it to step, which returns the next state and whether to keep it.
// If the known state is not older than since, the file is not read again: all waiting reservations of one process read
// it once.
func (b *Bucket) change(ctx context.Context, since time.Time, step func(queue) (queue, bool)) error {
	leave, shared, err := b.enter(ctx, func() bool { return !b.known.Before(since) })
	if err != nil {
		return err
	}
	defer leave()
	if shared {
		if err = b.onDisk(step); err == nil {
			return nil
		}
		b.degrade(err)
	}
	if next, keep := step(b.memory.moved(read(b.clock), b.rate)); keep {
		b.memory = next
	}
	return nil
}

// onDisk applies step to the file. It reads the clock under the lock, so that states are in order of time. If only the
// write fails, the state that was read stays in memory, and the caller applies step there.
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
