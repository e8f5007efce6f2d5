package limit

import (
	"strings"
	"sync"
	"time"
)

// Clock tells the two times that shared counts are kept by.
type Clock interface {
	// Now is the wall's time, in the zone whose midnight begins a day of the budget.
	Now() time.Time
	// Boottime is the time since the machine was started, its sleep included, which cannot be set, and a name for that
	// start. Where the name is "" there is no such time, and the wall's counts.
	Boottime() (since time.Duration, id string)
}

// SystemClock is the machine's: CLOCK_BOOTTIME and the kernel's boot id on Linux, the continuous clock and the boot
// session on macOS. On other systems there is nothing by which to tell one start from the next, so they have the
// wall's time alone.
type SystemClock struct{ id func() string }

// NewClock gives the machine's clock.
func NewClock() *SystemClock { return &SystemClock{id: sync.OnceValue(bootID)} }

// Now is the time of day.
func (c *SystemClock) Now() time.Time { return time.Now() }

// Boottime is the time since the machine was started.
func (c *SystemClock) Boottime() (since time.Duration, id string) {
	since, ok := boottime()
	if !ok {
		return 0, ""
	}
	return since, c.id()
}

// reading is what the clock said at one moment, in nanoseconds.
type reading struct {
	ID   string `json:"id,omitempty"` // "" where Boot means nothing
	Boot int64  `json:"boot"`
	Wall int64  `json:"wall"`
}

const (
	// farthest bounds a reading, so that the difference of two, or a reading and a wait, fit in 64 bits.
	farthest = 1<<62 - 1
	// idSize is the length of a UUID, the longest name of a start.
	idSize = 36
	// idChars are those that need no escape in a line.
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

// since is the time from an earlier reading to this one. One that seems to lie ahead means that the clock was set back:
// as far as the readings tell, no time has passed then.
func (r reading) since(earlier reading) time.Duration {
	if r.ID != "" && r.ID == earlier.ID {
		return time.Duration(max(0, r.Boot-earlier.Boot))
	}
	return time.Duration(max(0, r.Wall-earlier.Wall))
}

// instant is the reading on the clock that counts.
func (r reading) instant() int64 {
	if r.ID != "" {
		return r.Boot
	}
	return r.Wall
}
