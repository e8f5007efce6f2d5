package limit

import (
	"math"
	"testing"
	"time"

	"ferry/pkg/text"
)

func TestRateCheck(t *testing.T) {
	good := Rate{50, time.Minute, 1}
	for _, r := range []Rate{good, {1, time.Second, 1}, {text.MaxEvents, 24 * time.Hour, MaxBurst}} {
		must(t, r.Check())
	}
	for _, r := range []Rate{
		{}, {0, time.Minute, 1}, {-1, time.Minute, 1}, {text.MaxEvents + 1, time.Minute, 1}, {50, 0, 1}, {50, -time.Minute, 1},
		{50, time.Second - 1, 1}, {50, 24*time.Hour + 1, 1}, {50, time.Minute, 0}, {50, time.Minute, -5}, {50, time.Minute, MaxBurst + 1},
	} {
		errorIf(t, r.Check() == nil, "%+v passed", r)
		_, err := NewBucket(t.TempDir(), address, r, newFakeClock())
		errorIf(t, err == nil, "%+v made a bucket", r)
	}
}

func TestRateNeeds(t *testing.T) {
	tests := []struct {
		rate Rate
		n    int
		want time.Duration
	}{
		{Rate{50, time.Minute, 1}, 0, 0},
		{Rate{50, time.Minute, 1}, 1, 0},
		{Rate{50, time.Minute, 1}, 2, 1200 * time.Millisecond},
		{Rate{50, time.Minute, 1}, 64, 63 * 1200 * time.Millisecond},
		{Rate{50, time.Minute, 5}, 5, 0},
		{Rate{50, time.Minute, 5}, 6, 1200 * time.Millisecond},
		{Rate{50, time.Minute, 5}, -7, 0},
		{Rate{7, time.Second, 1}, 8, 7 * 142_857_143}, // rounded up
		{Rate{1, 24 * time.Hour, 1}, math.MaxInt32, Forever},
	}
	for _, tt := range tests {
		equal(t, tt.rate.String(), tt.rate.MinDuration(tt.n), tt.want)
	}
	// The bucket agrees.
	rate := Rate{30, time.Minute, 4}
	b := newMachine(t).bucket(rate)
	for n := 1; n <= 20; n++ {
		equal(t, "the wait of the last", reserve(t, b).Wait, rate.MinDuration(n))
	}
}
