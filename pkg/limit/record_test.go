package limit

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBucketClock(t *testing.T) {
	second := func(n int) func(*fakeClock) { return func(c *fakeClock) { c.boot += time.Duration(n) * time.Second } }
	wall := func(n int) func(*fakeClock) {
		return func(c *fakeClock) { c.wall = c.wall.Add(time.Duration(n) * time.Second) }
	}
	reboot := func(id string, n int) func(*fakeClock) {
		return func(c *fakeClock) { c.id, c.boot, c.wall = id, time.Second, c.wall.Add(time.Duration(n)*time.Second) }
	}
	none := func(c *fakeClock) { c.id = "" }
	tests := []struct {
		name   string
		before func(*fakeClock)
		jump   func(*fakeClock)
		want   string // the waits after five turns of a burst of five and three to wait for, 3.6 s ahead of time
	}{
		{"no time", nil, second(0), "4.8s 6s"},
		{"time", nil, second(2), "2.8s 4s"},
		{"back", nil, second(-500), "4.8s 6s"},
		{"to before the start", nil, second(-2000), "4.8s 6s"},
		{"ahead, or asleep", nil, second(3600), "0s 0s"},
		{"the wall back", nil, wall(-86400), "4.8s 6s"},
		{"the wall ahead", nil, wall(86400), "4.8s 6s"},
		{"restart", nil, reboot("boot-2", 2), "2.8s 4s"},
		{"restart, long ago", nil, reboot("boot-2", 3600), "0s 0s"},
		{"restart, the wall set back", nil, reboot("boot-2", -3600), "4.8s 6s"},
		{"restart, then no id", nil, reboot("", 2), "2.8s 4s"},
		{"an id that is none", nil, reboot("boot 2\n", 2), "2.8s 4s"},
		{"no id, time", none, wall(2), "2.8s 4s"},
		{"no id, back", none, wall(-86400), "4.8s 6s"},
		{"no id, ahead", none, wall(86400), "0s 0s"},
		{"no id, then one", none, reboot("boot-2", 2), "2.8s 4s"},
		{"the year 1900", none, func(c *fakeClock) { c.wall = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC) }, "4.8s 6s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newFakeClock()
			if tt.before != nil {
				c.set(tt.before)
			}
			dir := t.TempDir()
			b := newTestBucket(t, dir, bursty, c)
			equal(t, "before", waits(t, b, 8), "0s 0s 0s 0s 0s 1.2s 2.4s 3.6s")
			c.set(tt.jump)
			b = newTestBucket(t, dir, bursty, c)
			equal(t, "after the jump", waits(t, b, 2), tt.want)
			if !strings.HasPrefix(tt.want, "0s") {
				// From here on it is a clock like any other.
				c.pass(time.Second)
				_, err := b.Reserve(t.Context(), 0)
				var late *TooLongError
				if !errors.As(err, &late) {
					t.Fatalf("after a second: %v", err)
				}
				c.pass(late.Wait)
				if _, err := b.Reserve(t.Context(), 0); err != nil {
					t.Errorf("after the wait: %v", err)
				}
			}
		})
	}
}

func TestBucketRateChanges(t *testing.T) {
	tests := []struct {
		name          string
		before, after Rate
		n             int
		want          string
	}{
		{"slower: the same number is outstanding", slow, tenth, 2, "24s 36s"},
		{"faster", tenth, slow, 2, "2.4s 3.6s"},
		{"much faster", Rate{1, 24 * time.Hour, 1}, tenfold, 3, "360ms 480ms"},
		{"a burst taken away", bursty, slow, 5, "6s 7.2s"},
		{"a burst given", slow, bursty, 5, "1.2s 2.4s"},
		{"an emptied burst stays empty", bursty, Rate{5, time.Minute, 5}, 5, "12s 24s"},
		{"the same by another name", Rate{50, time.Minute, 1}, Rate{3000, time.Hour, 1}, 2, "2.4s 3.6s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newFakeClock()
			dir := t.TempDir()
			waits(t, newTestBucket(t, dir, tt.before, c), tt.n)
			equal(t, "after", waits(t, newTestBucket(t, dir, tt.after, c), 2), tt.want)
		})
	}
}

// Reservations from one day to the next cannot add up to more than the numbers hold.
func TestBucketFarAhead(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	state := record{at: read(c), ahead: maxAhead, rate: slow}
	write(t, path(dir, ".bucket"), state.encode())
	b := newTestBucket(t, dir, Rate{1, 24 * time.Hour, MaxBurst}, c)
	_, err := b.Reserve(t.Context(), Forever)
	var late *TooLongError
	if !errors.As(err, &late) || b.Degraded() != nil {
		t.Errorf("got %v, %v", err, b.Degraded())
	}
}

func TestBucketBrokenFile(t *testing.T) {
	c := newFakeClock()
	whole := record{at: read(c), rate: bursty}.encode()
	flipped := append([]byte{}, whole...)
	flipped[20] ^= 1
	tests := []struct {
		name string
		data []byte
	}{
		{"empty", nil},
		{"cut", whole[:len(whole)-1]},
		{"half", whole[:len(whole)/2]},
		{"longer", append(append([]byte{}, whole...), 'x')},
		{"one bit", flipped},
		{"zeros", make([]byte, recordSize)},
		{"noise", []byte(strings.Repeat("\xff", 4096))},
		{"out of bounds", seal(recordSize, []byte("ferry bucket boot - 0 wall 0 ahead 99999999999999999999 rate 1 1000000000 1 next 0 gaps 0"))},
		{"no rate", seal(recordSize, []byte("ferry bucket boot - 0 wall 0 ahead 0 rate 0 0 0 next 0 gaps 0"))},
		{"more gaps than are there", seal(recordSize, []byte("ferry bucket boot - 0 wall 0 ahead 0 rate 1 1000000000 1 next 9 gaps 2 1 0 5"))},
		{"too many gaps", seal(recordSize, []byte("ferry bucket boot - 0 wall 0 ahead 0 rate 1 1000000000 1 next 9 gaps 91"+strings.Repeat(" 1 0 5", 91)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, path(dir, ".bucket"), tt.data)
			b := newTestBucket(t, dir, bursty, c)
			equal(t, "as after a whole burst", waits(t, b, 3), "1.2s 2.4s 3.6s")
			equal(t, "read again", waits(t, newTestBucket(t, dir, bursty, c), 1), "4.8s")
		})
	}
}

func TestRecordEncode(t *testing.T) {
	id := strings.Repeat("f", idSize)
	for _, s := range []record{
		{at: reading{id: "boot-1", boot: 1, wall: 2}, ahead: 3, rate: slow},
		{at: reading{wall: -5}, rate: Rate{MaxEvents, 24 * time.Hour, MaxBurst}},
		{at: read(newFakeClock()), ahead: 3, rate: slow, next: 9, gaps: []gap{{number: 4, before: 9, lasts: 1}, {number: 6, before: 8, lasts: 2}}},
		{at: reading{id: id, boot: -farthest, wall: -farthest}, ahead: maxAhead, rate: Rate{MaxEvents, 24*time.Hour - 1, MaxBurst},
			next: maxNumber, gaps: slices.Repeat([]gap{{maxNumber - maxBehind, maxNumber - maxBehind, maxAhead}}, maxGaps)},
		{at: reading{id: id, boot: -farthest, wall: -farthest}, ahead: maxAhead, rate: Rate{MaxEvents, 24*time.Hour - 1, MaxBurst}},
	} {
		line := s.encode()
		got, ok := decode(line)
		if !ok || !reflect.DeepEqual(got, s) || len(line) != recordSize {
			t.Errorf("%+v came back as %+v, %t, %d bytes: %s", s, got, ok, len(line), line)
		}
	}
	long := promise{day: "2026-11-24", tokens: maxTokens, at: reading{id, -farthest, -farthest}, lasts: maxLasts}
	got, ok := decodePromise(long.encode())
	if !ok || got != long || len(long.encode()) != holdSize {
		t.Errorf("%+v came back as %+v, %t", long, got, ok)
	}
}

// Whatever the file holds, no more than a burst goes at once, nobody waits longer than it says, and what is written can be
// read.
func FuzzBucketFile(f *testing.F) {
	c := newFakeClock()
	f.Add(record{at: read(c), ahead: time.Second, rate: slow}.encode(), true)
	f.Add([]byte("ferry bucket boot - 0 wall 0 ahead 0 rate 1 1000000000 1 next 9 gaps 1 3 1 5"), true)
	f.Add([]byte{}, false)
	now := read(c)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if body := strings.TrimRight(string(data), "\n "); sealed && len(body) < recordSize-20 {
			data = seal(recordSize, []byte(body)) // get past the checksum
		}
		s, ok := decode(data)
		if !ok {
			return
		}
		turns := 0
		for s = s.moved(now, bursty); turns <= bursty.Burst && s.wait() == 0; turns++ {
			s.ahead += bursty.interval()
		}
		if turns > bursty.Burst || s.wait() < 0 || s.ahead > maxAhead+bursty.interval() {
			t.Fatalf("%d turns at once from %q, then a wait of %v", turns, data, s.wait())
		}
		if s.ahead <= maxAhead {
			if again, ok := decode(s.encode()); !ok || !reflect.DeepEqual(again, s) {
				t.Fatalf("%+v came back as %+v, %t", s, again, ok)
			}
		}
	})
}
