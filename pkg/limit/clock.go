package limit

import (
	"strings"
	"sync"
	"time"
)

// Clock returns the two times that the shared counts use.
type Clock interface {
	// Now is the wall time, in the time zone whose midnight begins a day of the budget.
	Now() time.Time
	// Boottime is the time since the machine started, including sleep, and an ID of this boot. This time cannot be set.
	// If the ID is "", there is no such time, and the wall time is used.
	Boottime() (since time.Duration, id string)
}

// SystemClock is the machine's clock: CLOCK_BOOTTIME and the kernel's boot ID on Linux, the continuous clock and the
// boot session on macOS. Other systems have no boot ID, so only the wall time is used there.
type SystemClock struct{ id func() string }

// NewClock returns the machine's clock.
func NewClock() *SystemClock { return &SystemClock{id: sync.OnceValue(bootID)} }

// Now returns the wall time.
func (c *SystemClock) Now() time.Time { return time.Now() }

// Boottime returns the time since the machine started and the boot ID, or 0 and "".
func (c *SystemClock) Boottime() (since time.Duration, id string) {
	since, ok := boottime()
	if !ok {
		return 0, ""
	}
	return since, c.id()
}

// reading is one reading of a Clock, in nanoseconds.
type reading struct {
	ID   string `json:"id,omitempty"` // "" if there is no Boot
	Boot int64  `json:"boot"`
	Wall int64  `json:"wall"`
}

const (
	// farthest limits a reading, so that the difference of two readings, or a reading plus a wait, fits in 64 bits.
	farthest = 1<<62 - 1
	// idSize is the length of a UUID, the longest boot ID.
	idSize = 36
	// idChars are the valid characters of a boot ID. None of them is escaped in JSON.
	idChars = "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func read(c Clock) reading {
	since, id := c.Boottime()
	r := reading{ID: id, Boot: clamp(int64(since)), Wall: clamp(c.Now().UnixNano())}
	if id == "" || !r.valid() {
		r.ID, r.Boot = "", 0
	}
	return r
}

func clamp(n int64) int64 { return min(max(n, -farthest), farthest) }

func (r reading) valid() bool {
	return len(r.ID) <= idSize && strings.Trim(r.ID, idChars) == "" && r.Boot == clamp(r.Boot) && r.Wall == clamp(r.Wall)
}

// since returns the time from an earlier reading to this one. If the earlier reading is larger, the clock was set
// back, and since returns 0.
func (r reading) since(earlier reading) time.Duration {
	if r.ID != "" && r.ID == earlier.ID {
		return time.Duration(max(0, r.Boot-earlier.Boot))
	}
	return time.Duration(max(0, r.Wall-earlier.Wall))
}

// instant returns the boot time, or the wall time if there is no boot ID.
func (r reading) instant() int64 {
	if r.ID != "" {
		return r.Boot
	}
	return r.Wall
}
