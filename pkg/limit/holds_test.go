package limit

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// A process that was killed keeps what it held only until its request would have ended.
func TestLedgerHoldEnds(t *testing.T) {
	none := func(c *fakeClock) { c.id = "" }
	ahead := func(d time.Duration) func(*fakeClock) {
		return func(c *fakeClock) { c.boot, c.wall = c.boot+d, c.wall.Add(d) }
	}
	tests := []struct {
		name   string
		before func(*fakeClock)
		jump   func(*fakeClock)
		want   int64
	}{
		{"just before", nil, ahead(time.Minute - 1), 400},
		{"just after", nil, ahead(time.Minute), 1000},
		{"restart", nil, func(c *fakeClock) { c.id = "boot-2" }, 1000},
		{"the wall ahead", nil, func(c *fakeClock) { c.wall = c.wall.Add(time.Hour) }, 400},
		{"the boot clock back", nil, func(c *fakeClock) { c.boot = 0 }, 400},
		{"no id, just before", none, ahead(time.Minute - 1), 400},
		{"no id, just after", none, ahead(time.Minute), 1000},
		{"no id, a little back", none, ahead(1 - time.Minute), 400},
		{"no id, far back", none, ahead(-time.Minute), 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newFakeClock()
			if tt.before != nil {
				c.set(tt.before)
			}
			dir := t.TempDir()
			lost := hold(t, newTestLedger(dir, "node", 1000, c), 600)
			c.set(tt.jump)
			l := newTestLedger(dir, "node", 1000, c)
			equal(t, "left", left(t, l), tt.want)
			// Its place may be another's by then, which it must not give back.
			taken := hold(t, l, 100)
			if err := lost.Release(); err != nil {
				t.Fatal(err)
			}
			equal(t, "left, after the late release", left(t, l), 900)
			spend(t, taken, 0, 0)
			equal(t, "left, after all", left(t, l), 1000)
		})
	}
}

func TestLedgerHoldsFull(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	p := promise{day: today(c), tokens: 1, at: read(c), lasts: time.Minute}
	var data []byte
	for range maxHolds {
		data = append(data, p.encode()...)
	}
	write(t, path(dir, usageSuffix+holdsSuffix), data)
	l := newTestLedger(dir, "node", 10_000, c)
	equal(t, "left", left(t, l), 10_000-maxHolds)
	var spent *SpentError
	if _, err := l.Hold(t.Context(), 1, time.Minute); !errors.As(err, &spent) {
		t.Errorf("got %v", err)
	}
	// A line that is damaged is a free place.
	data[7*holdSize+30] ^= 1
	write(t, path(dir, usageSuffix+holdsSuffix), data)
	equal(t, "the place", hold(t, l, 1).place, 7)
}

// Whatever the file holds, it adds up to a sum that can be reckoned with, and has a free place or maxHolds promises.
func FuzzHolds(f *testing.F) {
	c := newFakeClock()
	f.Add(promise{day: today(c), tokens: 5, at: read(c), lasts: time.Minute}.encode(), uint8(0))
	f.Add([]byte("ferry hold boot - 0 wall 0 day 2026-11-24 tokens 1 lasts 1"), uint8(3))
	now, day := read(c), today(c)
	f.Fuzz(func(t *testing.T, data []byte, times uint8) {
		if body := strings.TrimRight(string(data), "\n "); times > 0 && len(body) < holdSize-20 {
			data = bytes.Repeat(seal(holdSize, []byte(body)), int(times)) // get past the checksum
		}
		h := decodeHolds(data, now)
		place, free := h.free()
		if _, taken := h[place]; !free || taken || h.on(day) < 0 || h.on(day) > maxCount {
			t.Fatalf("place %d, %t, and %d tokens of %+v", place, free, h.on(day), h)
		}
		for place, p := range h {
			if again, ok := decodePromise(p.encode()); !ok || again != p || place*holdSize >= len(data) || !p.stands(now) {
				t.Fatalf("%+v in place %d came back as %+v, %t", p, place, again, ok)
			}
		}
	})
}
