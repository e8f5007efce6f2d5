package limit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"ferry/pkg/text"
)

var (
	slow    = Rate{50, time.Minute, 1} // an interval of 1.2 s
	bursty  = Rate{50, time.Minute, 5}
	tenth   = Rate{5, time.Minute, 1}
	tenfold = Rate{500, time.Minute, 1}
)

func TestBucketReservations(t *testing.T) {
	m := newMachine(t)
	b := m.bucket(bursty)
	equal(t, "from full", waits(t, b, 8), "0s 0s 0s 0s 0s 1.2s 2.4s 3.6s")
	m.pass(3600 * time.Millisecond)
	equal(t, "another of the same address", waits(t, m.bucket(bursty), 1), "1.2s")
	m.pass(time.Hour)
	equal(t, "full again, and no fuller", waits(t, b, 7), "0s 0s 0s 0s 0s 1.2s 2.4s")

	other, err := NewBucket(m.dir, "https://other.example/api", bursty, m)
	must(t, err)
	equal(t, "another address", waits(t, other, 1), "0s")
}

func TestBucketTooLong(t *testing.T) {
	b := newMachine(t).bucket(slow)
	reserve(t, b)
	before, _ := os.ReadFile(b.path())
	_, err := b.Reserve(t.Context(), 1200*time.Millisecond-1)
	var late *TooLongError
	if !errors.As(err, &late) || late.Wait != 1200*time.Millisecond || late.Rate != slow || late.Hint() == "" {
		t.Fatalf("got %v", err)
	}
	equal(t, "message", late.Error(), "the limit of 50/min allows the next request in 1.2s, which is too late")
	after, _ := os.ReadFile(b.path())
	equal(t, "the file after a refusal", string(after), string(before))
	_, err = b.Reserve(t.Context(), 1200*time.Millisecond)
	must(t, err)
}

// errPause ends a Sleep when a test only needs its next step.
var errPause = errors.New("pause")

// checkLeft checks the bucket like a waiting reservation, without waiting.
func (r *Reservation) checkLeft(t *testing.T) time.Duration {
	t.Helper()
	must(t, r.check(t.Context()))
	return r.Left()
}

// conforms checks send times against a rate, by the generic cell rate algorithm.
func conforms(t *testing.T, rate Rate, sent []time.Duration) {
	t.Helper()
	arrival := time.Duration(math.MinInt64 / 2)
	for i, at := range sent {
		if at < arrival-rate.tolerance() {
			t.Fatalf("%v burst %d: request %d of %d at %v comes %v too early", rate, rate.Burst, i+1, len(sent), at,
				arrival-rate.tolerance()-at)
		}
		arrival = max(arrival, at) + rate.interval()
	}
}

// TestBucketModel compares the bucket with a list of reservations. The next one gets the earliest time that is not
// before now or before an earlier reservation, and at which any n consecutive reservations span at least n − burst
// intervals. After a cancellation, the reservations behind it are one interval earlier.
func TestBucketModel(t *testing.T) {
	if testing.Short() {
		t.Skip("long: thousands of reservations, compared with a model")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []Rate{slow, bursty, {7, time.Second, 3}, {1, time.Hour, 2}, {100, time.Second, 10}} {
		m := newMachine(t)
		ferries := []*Bucket{m.bucket(rate), m.bucket(rate)}
		var dueTimes []time.Duration
		var reservations []*Reservation
		late, cancelled, middle := 0, 0, 0
		for range 1000 {
			m.pass(time.Duration(random.Int64N(2 * int64(rate.interval()))))
			now, _ := m.Boottime()
			for range random.IntN(5) {
				want := now
				for i, due := range dueTimes {
					want = max(want, due, due+time.Duration(len(dueTimes)-i+1-rate.Burst)*rate.interval())
				}
				maxWait := time.Duration(random.Int64N(30 * int64(rate.interval())))
				r, err := ferries[random.IntN(2)].Reserve(t.Context(), maxWait)
				switch {
				case err == nil && r.Wait == want-now && r.Wait <= maxWait:
					dueTimes, reservations = append(dueTimes, want), append(reservations, r)
				case err != nil && want-now > maxWait:
					late++
				default:
					t.Fatalf("%v burst %d, reservation %d at %v: got %+v, %v; want a wait of %v of at most %v",
						rate, rate.Burst, len(dueTimes), now, r, err, want-now, maxWait)
				}
			}
			for range random.IntN(3) {
				n := len(dueTimes) - 1 - random.IntN(min(len(dueTimes), 12)+1)
				if n < 0 || n >= len(dueTimes) {
					continue
				}
				last := n == len(dueTimes)-1
				want := dueTimes[n] > now && (last || dueTimes[n] > now+ferries[0].margin())
				if back := reservations[n].Cancel(); back != want {
					t.Fatalf("%v burst %d: reservation %d of %d, due in %v, cancelled: %t", rate, rate.Burst, n, len(dueTimes), dueTimes[n]-now, back)
				}
				if !want {
					continue
				}
				dueTimes, reservations, cancelled = slices.Delete(dueTimes, n, n+1), slices.Delete(reservations, n, n+1), cancelled+1
				for i := n; i < len(dueTimes); i++ {
					dueTimes[i] -= rate.interval()
					middle++
				}
			}
			for i, due := range dueTimes {
				if due > now {
					equal(t, fmt.Sprintf("%v burst %d: the wait of reservation %d", rate, rate.Burst, i), reservations[i].checkLeft(t), due-now)
				}
			}
		}
		conforms(t, rate, dueTimes)
		errorIf(t, late == 0 || cancelled == 0 || middle == 0,
			"%v: %d too late, %d cancelled, %d moved up: nothing was tested", rate, late, cancelled, middle)
	}
}

// Reservations that check the bucket as Sleep does are sent no faster than the rate and in order, whichever are
// cancelled. At a slow rate no slot is lost while another reservation waits.
func TestCancelledReservationsMoveUp(t *testing.T) {
	for _, rate := range []Rate{slow, bursty, {20, time.Second, 2}, {100, time.Second, 3}} {
		random := rand.New(rand.NewPCG(3, 4))
		m := newMachine(t)
		wakes := map[*Reservation]time.Duration{}
		var queue []*Reservation
		var sent []time.Duration
		var order []int64
		idle, cancelled := 0, 0
		for len(sent) < 200 {
			now, _ := m.Boottime()
			if len(queue) < 20 && random.IntN(3) > 0 {
				r := reserve(t, m.bucket(rate))
				queue, wakes[r] = append(queue, r), now
			}
			if len(queue) > 3 && random.IntN(4) == 0 {
				n := random.IntN(len(queue))
				if queue[n].Cancel() {
					cancelled++
					delete(wakes, queue[n])
					queue = slices.Delete(queue, n, n+1)
				}
			}
			if len(queue) == 0 {
				idle = len(sent) + 1 // the next reservation may be late
			}
			next := now + time.Duration(random.Int64N(int64(rate.interval())))
			for _, r := range slices.Clone(queue) {
				if wakes[r] > now {
					next = min(next, wakes[r])
					continue
				}
				if r.checkLeft(t) == 0 {
					if slow := rate.interval() >= leastStep; slow && len(sent) > idle+rate.Burst && now-sent[len(sent)-1] > rate.interval() {
						t.Fatalf("%v: request %d came %v after the one before it, though others waited", rate, len(sent)+1, now-sent[len(sent)-1])
					}
					sent, order = append(sent, now), append(order, r.number)
					queue = slices.DeleteFunc(queue, func(q *Reservation) bool { return q == r })
					continue
				}
				err := r.Sleep(t.Context(), func(_ context.Context, d time.Duration) error { wakes[r] = now + d; return errPause })
				fatalIf(t, !errors.Is(err, errPause) || wakes[r] <= now, "%v, sleeps until %v at %v", err, wakes[r], now)
				next = min(next, wakes[r])
			}
			m.pass(max(1, next-now))
		}
		conforms(t, rate, sent)
		errorIf(t, !slices.IsSorted(order), "%v: sent in the order %v", rate, order)
		errorIf(t, cancelled < 20, "%v: %d cancelled: nothing was tested", rate, cancelled)
	}
}

func TestReservationCancel(t *testing.T) {
	m := newMachine(t)
	b := m.bucket(slow)
	first, second, third, fourth := reserve(t, b), reserve(t, b), reserve(t, m.bucket(slow)), reserve(t, b)
	equal(t, "it is due", first.Cancel(), false)
	equal(t, "one that others wait behind", second.Cancel(), true)
	equal(t, "a second call", second.Cancel(), false)
	equal(t, "the one behind it, in another process", third.checkLeft(t), 1200*time.Millisecond)
	equal(t, "the last one", fourth.checkLeft(t), 2400*time.Millisecond)
	fifth := reserve(t, b)
	equal(t, "the wait of a new one", fifth.Wait, 3600*time.Millisecond)
	equal(t, "it has not moved", fifth.checkLeft(t), 3600*time.Millisecond)
	equal(t, "the newest, then the one before it", fmt.Sprint(fifth.Cancel(), fourth.Cancel()), "true true")
	equal(t, "a gap at the end is none", len(b.memory.Gaps), 1)
	equal(t, "third, then nobody waits", third.Cancel(), true)
	equal(t, "gaps", len(third.bucket.memory.Gaps), 0)

	sixth := reserve(t, b)
	equal(t, "the wait of the next", sixth.Wait, 1200*time.Millisecond)
	m.pass(1200 * time.Millisecond)
	equal(t, "it is due by now", sixth.Cancel(), false)

	seventh := reserve(t, b)
	m.set(func(c *fakeClock) { c.boot -= 10 * time.Second })
	reserve(t, m.bucket(slow))
	equal(t, "the clock was set back", seventh.Cancel(), false)

	eighth := reserve(t, b)
	slower := reserve(t, m.bucket(tenth))
	before := slower.checkLeft(t)
	equal(t, "one that others wait behind, under another rate", eighth.Cancel(), true)
	equal(t, "they move up by an interval of their own", before-slower.checkLeft(t), tenth.interval())

	ninth := reserve(t, b)
	must(t, os.Remove(b.path()))
	reserve(t, b)
	reserve(t, b)
	equal(t, "the file was removed", ninth.Cancel(), false)
}

// The waiting reservations of one process read the file once for each moment, and still see a cancellation in time.
func TestLookOnce(t *testing.T) {
	m := newMachine(t)
	b, other := m.bucket(slow), m.bucket(slow)
	reserve(t, b)
	first, cancelled, second, third := reserve(t, b), reserve(t, other), reserve(t, b), reserve(t, b)
	step := func(r *Reservation, after func()) time.Duration {
		slept := false
		err := r.Sleep(t.Context(), func(context.Context, time.Duration) error {
			if slept {
				return errPause
			}
			slept = true
			after()
			return nil
		})
		if !errors.Is(err, errPause) {
			must(t, err)
		}
		return r.Left()
	}
	pass := func() { m.pass(slow.interval()) }
	equal(t, "the first one is due", step(first, pass), 0)
	// The second and the third wake at the same moment. In between, another process cancels.
	now := m.Now()
	b.known = now.Add(-1)
	equal(t, "the second", step(second, func() {}), 2400*time.Millisecond)
	fatalIf(t, !b.known.Equal(now), "it looked at %v, want %v", b.known, now)
	equal(t, "cancelled", cancelled.Cancel(), true)
	m.set(func(c *fakeClock) { c.wall = c.wall.Add(-slow.interval()) }) // the third went to sleep before
	equal(t, "the third, by the same check", step(third, func() {
		m.set(func(c *fakeClock) { c.wall = c.wall.Add(slow.interval()) })
	}), 3600*time.Millisecond)
	equal(t, "the second, in time", step(second, pass), 0)
	equal(t, "the third, in time", step(third, func() {}), 1200*time.Millisecond)
}

// An interrupted reservation is cancelled, however many there are, up to the limit of the file.
func TestManyCancelled(t *testing.T) {
	const n = maxGaps + 20
	m := newMachine(t)
	b := m.bucket(slow)
	reserve(t, b)
	var all []*Reservation
	for range n {
		all = append(all, reserve(t, b))
	}
	last := reserve(t, m.bucket(slow))
	cancelled := 0
	for _, r := range all {
		if r.Cancel() {
			cancelled++
		}
	}
	equal(t, "cancelled", cancelled, maxGaps)
	equal(t, "the wait of the last", last.checkLeft(t), (n-maxGaps+1)*slow.interval())
	m.pass(time.Hour)
	equal(t, "later", waits(t, b, 2), "0s 1.2s")
	equal(t, "gaps", len(b.memory.Gaps), 0)
}

func TestBucketGoroutines(t *testing.T) {
	m := newMachine(t)
	rate := Rate{1000, time.Second, 1}
	shared := m.bucket(rate)
	var mu sync.Mutex
	seen := map[time.Duration]bool{}
	var wg sync.WaitGroup
	for i := range 8 {
		b := shared
		if i%2 == 0 {
			b = m.bucket(rate)
		}
		wg.Go(func() {
			for range 50 {
				r, err := b.Reserve(t.Context(), Forever)
				if err != nil || b.Degraded() != nil {
					t.Error(err, b.Degraded())
					return
				}
				mu.Lock()
				seen[r.Wait] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range 400 {
		fatalIf(t, !seen[time.Duration(i)*time.Millisecond], "no process has reservation %d", i)
	}
}

// BenchmarkFirstReserve measures the cost for one ferry ask: a new bucket and clock each time.
func BenchmarkFirstReserve(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		bucket, err := NewBucket(dir, address, Rate{text.MaxEvents, time.Second, 1}, NewClock())
		if err == nil {
			_, err = bucket.Reserve(b.Context(), Forever)
		}
		if err != nil || bucket.Degraded() != nil {
			b.Fatal(err, bucket.Degraded())
		}
	}
}
