package limit

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	got, err := ParseRate("50/1m")
	if err != nil || got != (Rate{50, time.Minute, 1}) || got.String() != "50/min" {
		t.Errorf("got %+v, %q, %v; want 50 in a minute, burst 1", got, got, err)
	}
	var e *Error
	if got, err := ParseRate("50/week"); !errors.As(err, &e) || got != (Rate{}) || err.Error() != `"50/week" is not a rate` {
		t.Errorf("got %+v, %v; want an error", got, err)
	}
}

func TestRateCheck(t *testing.T) {
	good := Rate{50, time.Minute, 1}
	for _, r := range []Rate{good, {1, time.Second, 1}, {MaxEvents, 24 * time.Hour, MaxBurst}} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, r := range []Rate{
		{}, {0, time.Minute, 1}, {-1, time.Minute, 1}, {MaxEvents + 1, time.Minute, 1}, {50, 0, 1}, {50, -time.Minute, 1},
		{50, time.Second - 1, 1}, {50, 24*time.Hour + 1, 1}, {50, time.Minute, 0}, {50, time.Minute, -5}, {50, time.Minute, MaxBurst + 1},
	} {
		if r.Check() == nil {
			t.Errorf("%+v passed", r)
		}
		if _, err := NewBucket(t.TempDir(), address, r, newFakeClock()); err == nil {
			t.Errorf("%+v made a bucket", r)
		}
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
		equal(t, tt.rate.String(), tt.rate.Needs(tt.n), tt.want)
	}
	// What the bucket does says the same.
	rate := Rate{30, time.Minute, 4}
	b := newTestBucket(t, t.TempDir(), rate, newFakeClock())
	for n := 1; n <= 20; n++ {
		equal(t, "the wait of the last", reserve(t, b).Wait, rate.Needs(n))
	}
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"50/min", "2/s", "50/1m30s", "1/1.5s", "0/s", "/", "5/ 1h2m3.5s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRate(text)
		if err != nil {
			return
		}
		if err := r.Check(); err != nil || r.interval() < 1 || r.tolerance() < 0 {
			t.Fatalf("%q gave %+v: %v", text, r, err)
		}
		again, err := ParseRate(r.String())
		if err != nil || again != r {
			t.Fatalf("%q gave %+v, shown as %q, which gives %+v, %v", text, r, r, again, err)
		}
	})
}

func FuzzParseBudget(f *testing.F) {
	for _, text := range []string{"200000 tokens/day", "1 tokens/day", "0 tokens/day", "-1 tokens/day", "5 tokens"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBudget(text)
		if err != nil {
			return
		}
		again, err := ParseBudget(b.String())
		if err != nil || again != b || b < 1 || b > maxTokens {
			t.Fatalf("%q gave %+v, shown as %q, which gives %+v, %v", text, b, b, again, err)
		}
	})
}

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]int64{
		"200000 tokens/day": 200000, " 1  tokens/day\t": 1, "1000000000000 tokens/day": maxTokens,
	} {
		got, err := ParseBudget(text)
		if err != nil || int64(got) != want {
			t.Errorf("ParseBudget(%q) = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "200000", "200000 tokens", "200000/day", "tokens/day", "0 tokens/day", "-5 tokens/day", "+5 tokens/day",
		"1.5 tokens/day", "1000000000001 tokens/day", "99999999999999999999 tokens/day", "5 tokens/week", "5 tokens/day now", "5tokens/day",
	} {
		if got, err := ParseBudget(text); err == nil {
			t.Errorf("ParseBudget(%q) = %+v, want an error", text, got)
		}
	}
	equal(t, "none", Budget(0).String(), "")
}
