package limit

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
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
		name         string
		before, jump func(*fakeClock)
		want         string // two more waits after a burst of five and three delayed reservations, 3.6 s ahead
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
			m := newMachine(t)
			if tt.before != nil {
				m.set(tt.before)
			}
			b := m.bucket(bursty)
			equal(t, "before", waits(t, b, 8), "0s 0s 0s 0s 0s 1.2s 2.4s 3.6s")
			m.set(tt.jump)
			b = m.bucket(bursty)
			equal(t, "after the jump", waits(t, b, 2), tt.want)
			if !strings.HasPrefix(tt.want, "0s") {
				// From here on it is a normal clock.
				m.pass(time.Second)
				_, err := b.Reserve(t.Context(), 0)
				var late *TooLongError
				fatalIf(t, !errors.As(err, &late), "after a second: %v", err)
				m.pass(late.Wait)
				_, err = b.Reserve(t.Context(), 0)
				must(t, err)
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
			m := newMachine(t)
			waits(t, m.bucket(tt.before), tt.n)
			equal(t, "after", waits(t, m.bucket(tt.after), 2), tt.want)
		})
	}
}

// Reservations that reach far ahead cannot exceed the limits of the numbers.
func TestBucketFarAhead(t *testing.T) {
	m := newMachine(t)
	state := queue{At: read(m), Ahead: maxAhead, Rate: slow}
	write(t, m.path(".bucket"), encodeQueue(state))
	b := m.bucket(Rate{1, 24 * time.Hour, MaxBurst})
	_, err := b.Reserve(t.Context(), Forever)
	errorIf(t, !errors.As(err, new(*TooLongError)) || b.Degraded() != nil, "got %v, %v", err, b.Degraded())
}

func TestBucketBrokenFile(t *testing.T) {
	now := read(newFakeClock())
	with := func(change func(*queue)) []byte {
		q := queue{At: now, Rate: bursty, Next: 9}
		change(&q)
		return encodeQueue(q)
	}
	gaps := func(n int, g gap) []byte { return with(func(q *queue) { q.Gaps = slices.Repeat([]gap{g}, n) }) }
	whole := with(func(*queue) {})
	flipped := slices.Clone(whole)
	flipped[20] ^= 1
	const older = "ferry bucket boot - 0 wall 0 ahead 0 rate 1 1000000000 1 next 0 gaps 0 sum 12345678\n"
	for name, data := range map[string][]byte{
		"empty":                           nil,
		"cut":                             whole[:len(whole)-1],
		"half":                            whole[:len(whole)/2],
		"no checksum":                     whole[9:],
		"one bit":                         flipped,
		"zeros":                           make([]byte, 4096),
		"noise":                           []byte(strings.Repeat("\xff", 4096)),
		"an older ferry's":                []byte(older),
		"not JSON":                        []byte("00000000 \n"),
		"another shape":                   encode(pending{}),
		"ahead out of bounds":             with(func(q *queue) { q.Ahead = maxAhead + 1 }),
		"behind":                          with(func(q *queue) { q.Ahead = -1 }),
		"no rate":                         with(func(q *queue) { q.Rate = Rate{} }),
		"a number out of bounds":          with(func(q *queue) { q.Next = maxNumber + 1 }),
		"a time out of bounds":            with(func(q *queue) { q.At.Wall = math.MaxInt64 }),
		"a gap behind the end":            gaps(1, gap{9, 9, 1}),
		"a gap before one behind the end": gaps(1, gap{8, 10, 1}),
		"a gap that is over":              gaps(1, gap{8, 9, 0}),
		"too many gaps":                   gaps(maxGaps+1, gap{8, 9, 5}),
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			write(t, m.path(".bucket"), data)
			b := m.bucket(bursty)
			equal(t, "as after a whole burst", waits(t, b, 3), "1.2s 2.4s 3.6s")
			equal(t, "read again", waits(t, m.bucket(bursty), 1), "4.8s")
		})
	}
	// A shorter line written over a longer one decodes.
	m := newMachine(t)
	write(t, m.path(".bucket"), append(slices.Clone(whole), gaps(maxGaps, gap{8, 9, 5})...))
	equal(t, "a line with the end of a longer one behind it", waits(t, m.bucket(bursty), 6), "0s 0s 0s 0s 0s 1.2s")
}

func TestEncode(t *testing.T) {
	far := reading{ID: strings.Repeat("f", idSize), Boot: -farthest, Wall: -farthest}
	for _, want := range []queue{
		{At: reading{ID: "boot-1", Boot: 1, Wall: 2}, Ahead: 3, Rate: slow},
		{At: reading{Wall: -5}, Rate: Rate{text.MaxEvents, 24 * time.Hour, MaxBurst}},
		{At: read(newFakeClock()), Ahead: 3, Rate: slow, Next: 9, Gaps: []gap{{Number: 4, Before: 9, Lasts: 1}, {Number: 6, Before: 8, Lasts: 2}}},
		{At: far, Ahead: maxAhead, Rate: Rate{text.MaxEvents, 24*time.Hour - 1, MaxBurst},
			Next: maxNumber, Gaps: slices.Repeat([]gap{{maxNumber - 1, maxNumber, maxAhead}}, maxGaps)},
	} {
		line := encodeQueue(want)
		got, ok := decodeQueue(line)
		errorIf(t, !ok || !reflect.DeepEqual(got, want) || len(line) > maxQueue,
			"got %+v, %t, %d bytes; want %+v", got, ok, len(line), want)
	}
	long := full(read(newFakeClock()), slow)
	long.Ahead, long.Gaps = time.Hour, slices.Repeat([]gap{{long.Next - 1000, long.Next - 100, time.Hour}}, maxGaps)
	size := len(encodeQueue(long))
	errorIf(t, size > 4096, "a long queue takes %d bytes, more than a page", size)
	want := pending{Day: "2026-11-24", Tokens: maxTokens, At: far, Lasts: maxLasts}
	line := encode(want)
	got, ok := decodePending(line)
	errorIf(t, !ok || got != want || len(line) > recordSize, "got %+v, %t, %d bytes; want %+v", got, ok, len(line), want)
}

// Whatever the file contains, no more than a burst is sent at once, no wait is longer than reported, and the written
// file can be read.
func FuzzBucketFile(f *testing.F) {
	now := read(newFakeClock())
	f.Add([]byte(`{"at":{"id":"boot-1","boot":1,"wall":2},"ahead":3,"rate":{"Events":50,"Per":60000000000,"Burst":1},"next":9,` +
		`"gaps":[{"n":-5,"b":0,"l":1}]}`))
	f.Add([]byte(`{"rate":{"Events":1,"Per":1000000000,"Burst":1},"next":-9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, ok := decodeQueue(withSum(data))
		if !ok {
			return
		}
		sent := 0
		for q = q.moved(now, bursty); sent <= bursty.Burst && q.wait() == 0; sent++ {
			q.Ahead += bursty.interval()
		}
		fatalIf(t, sent > bursty.Burst || q.wait() < 0 || q.Ahead > maxAhead+bursty.interval(),
			"%d at once from %q, then a wait of %v", sent, data, q.wait())
		if q.Ahead <= maxAhead {
			if got, ok := decodeQueue(encodeQueue(q)); !ok || !reflect.DeepEqual(got, q) {
				t.Fatalf("got %+v, %t, want %+v", got, ok, q)
			}
		}
	})
}

// withSum puts the checksum before a line that the fuzzer made.
func withSum(line []byte) []byte {
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(line), line)
}
