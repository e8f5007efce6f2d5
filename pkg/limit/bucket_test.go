package limit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

var (
	slow    = Rate{50, time.Minute, 1} // a turn takes 1.2 s
	bursty  = Rate{50, time.Minute, 5}
	tenth   = Rate{5, time.Minute, 1}
	tenfold = Rate{500, time.Minute, 1}
)

func TestBucketTurns(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	b := newTestBucket(t, dir, bursty, c)
	equal(t, "from full", waits(t, b, 8), "0s 0s 0s 0s 0s 1.2s 2.4s 3.6s")
	c.pass(3600 * time.Millisecond)
	equal(t, "another of the same address", waits(t, newTestBucket(t, dir, bursty, c), 1), "1.2s")
	c.pass(time.Hour)
	equal(t, "full again, and no fuller", waits(t, b, 7), "0s 0s 0s 0s 0s 1.2s 2.4s")

	other, err := NewBucket(dir, "https://other.example/api", bursty, c)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "another address", waits(t, other, 1), "0s")
}

func TestBucketTooLong(t *testing.T) {
	c := newFakeClock()
	b := newTestBucket(t, t.TempDir(), slow, c)
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
	if _, err := b.Reserve(t.Context(), 1200*time.Millisecond); err != nil {
		t.Error(err)
	}
}

// The bucket is held to a list of turns: the next one is the earliest, of those no earlier than now and than any turn
// given, for which every stretch of n turns is at least n − burst intervals long.
func TestBucketModel(t *testing.T) {
	if testing.Short() {
		t.Skip("long: thousands of turns held to a model")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, rate := range []Rate{slow, bursty, {7, time.Second, 3}, {1, time.Hour, 2}, {100, time.Second, 10}} {
		c := newFakeClock()
		b := newTestBucket(t, t.TempDir(), rate, c)
		var turns []time.Duration
		var taken []*Reservation
		late, given := 0, 0
		for range 1000 {
			c.pass(time.Duration(random.Int64N(2 * int64(rate.interval()))))
			now, _ := c.Boottime()
			for range random.IntN(4) {
				want := now
				for i, turn := range turns {
					want = max(want, turn, turn+time.Duration(len(turns)-i+1-rate.Burst)*rate.interval())
				}
				most := time.Duration(random.Int64N(10 * int64(rate.interval())))
				r, err := b.Reserve(t.Context(), most)
				switch {
				case err == nil && r.Wait == want-now && r.Wait <= most:
					turns, taken = append(turns, want), append(taken, r)
				case err != nil && want-now > most:
					late++
				default:
					t.Fatalf("%v burst %d, turn %d at %v: got %+v, %v; want a wait of %v of at most %v",
						rate, rate.Burst, len(turns), now, r, err, want-now, most)
				}
			}
			for n := len(turns); n > 0 && random.IntN(3) == 0; n-- {
				back := taken[n-1].Cancel()
				equal(t, "given back", back, turns[n-1] > now)
				if !back {
					break
				}
				turns, taken, given = turns[:n-1], taken[:n-1], given+1
			}
		}
		if late == 0 || given == 0 {
			t.Errorf("%v: %d too late, %d given back: nothing was tested", rate, late, given)
		}
	}
}

func TestReservationCancel(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	b := newTestBucket(t, dir, slow, c)
	first, second, third := reserve(t, b), reserve(t, b), reserve(t, b)
	equal(t, "its turn has come", first.Cancel(), false)
	equal(t, "one reserved after it", second.Cancel(), false)
	equal(t, "the newest", third.Cancel(), true)
	equal(t, "a second call", third.Cancel(), false)
	fourth := reserve(t, b)
	equal(t, "the wait of who comes after", fourth.Wait, 2400*time.Millisecond)
	equal(t, "a second call, the state being the same", third.Cancel(), false)
	fifth := reserve(t, b)
	equal(t, "newest first", fmt.Sprint(fifth.Cancel(), fourth.Cancel()), "true true")

	sixth := reserve(t, b)
	c.pass(2400 * time.Millisecond)
	equal(t, "its turn has come by now", sixth.Cancel(), false)

	seventh := reserve(t, b)
	c.set(func(c *fakeClock) { c.boot -= 10 * time.Second })
	reserve(t, newTestBucket(t, dir, slow, c))
	equal(t, "the clock was set back", seventh.Cancel(), false)

	eighth := reserve(t, b)
	equal(t, "another rate", newTestBucket(t, dir, tenth, c).memory.rate == slow, false)
	reserve(t, newTestBucket(t, dir, tenth, c))
	equal(t, "under another rate", eighth.Cancel(), false)
}

func TestBucketGoroutines(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	rate := Rate{1000, time.Second, 1}
	shared := newTestBucket(t, dir, rate, c)
	var mu sync.Mutex
	seen := map[time.Duration]bool{}
	var wg sync.WaitGroup
	for i := range 8 {
		b := shared
		if i%2 == 0 {
			b = newTestBucket(t, dir, rate, c)
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
		if !seen[time.Duration(i)*time.Millisecond] {
			t.Fatalf("nobody has turn %d", i)
		}
	}
}

func BenchmarkReserve(b *testing.B) {
	bucket, err := NewBucket(b.TempDir(), address, Rate{MaxEvents, time.Second, 1}, NewClock())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := bucket.Reserve(b.Context(), Forever); err != nil {
			b.Fatal(err)
		}
	}
	if err := bucket.Degraded(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFirstReserve is what one ferry ask pays: a new bucket and clock each time.
func BenchmarkFirstReserve(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		bucket, err := NewBucket(dir, address, Rate{MaxEvents, time.Second, 1}, NewClock())
		if err == nil {
			_, err = bucket.Reserve(b.Context(), Forever)
		}
		if err != nil || bucket.Degraded() != nil {
			b.Fatal(err, bucket.Degraded())
		}
	}
}
