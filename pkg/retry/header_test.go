package retry

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	const absent = -1
	tests := []struct {
		value string
		want  time.Duration
	}{
		{"0", 0},
		{"1", time.Second},
		{"120", 120 * time.Second},
		{"007", 7 * time.Second},
		{" 5\t", 5 * time.Second},
		// RFC 9110 section 5.6.7: a sender writes the first form, a recipient takes all three.
		{"Sun, 06 Nov 1994 08:49:47 GMT", 10 * time.Second},
		{"Sunday, 06-Nov-94 08:49:47 GMT", 10 * time.Second},
		{"Sun Nov  6 08:49:47 1994", 10 * time.Second},
		{"Sun, 06 Nov 1994 08:49:37 GMT", 0},
		{"Sun, 06 Nov 1994 08:49:36 GMT", absent},
		{"Sun, 06 Nov 1904 08:49:36 GMT", absent},
		{"Mon, 07 Nov 1994 08:49:37 GMT", 24 * time.Hour},
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64},
		// A number too large to hold is a long wait, not a missing one.
		{"9223372036", 9223372036 * time.Second},
		{"9223372037", math.MaxInt64},
		{"9223372036854775807", math.MaxInt64},
		{"9223372036854775808", math.MaxInt64},
		{strings.Repeat("9", 400), math.MaxInt64},
		{"", absent},
		{"   ", absent},
		{"-1", absent},
		{"+1", absent},
		{"1.5", 1500 * time.Millisecond},
		{"0.0000000001", 1}, // never shorter than asked
		{"1.", absent},
		{".5", absent},
		{"-1.5", absent},
		{"1.5.5", absent},
		{"1,5", absent},
		{"1e3", absent},
		{"0x10", absent},
		{"1 s", absent},
		{"5, 10", absent},
		{"٥", absent},
		{"soon", absent},
		{"1994-11-06T08:49:47Z", absent},
		{"Sun, 06 Nov 1994 08:49:47 CET", absent},
		{"Sun, 32 Nov 1994 08:49:47 GMT", absent},
	}
	for _, test := range tests {
		got, ok := parseRetryAfter(test.value, now)
		if ok != (test.want != absent) || ok && got != test.want {
			t.Errorf("parseRetryAfter(%q) = %s, %t; want %s", test.value, got, ok, test.want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"", "0", "5", "-5", "61", "99999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", " 7 ", "1.5", "\x00",
	} {
		f.Add(seed, int64(784111777))
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		at := time.Unix(unix%(1<<40), 0)
		got, ok := parseRetryAfter(value, at)
		if ok && got < 0 {
			t.Fatalf("a wait of %s", got)
		}
		trimmed := strings.Trim(value, " \t")
		_, err := http.ParseTime(trimmed)
		if ok && err != nil && strings.Trim(trimmed, "0123456789.") != "" {
			t.Fatalf("%q is neither seconds nor a date and gave %s", value, got)
		}
		// Whatever the header says, a policy ends in a wait that a person can sit out, or gives up.
		d := Rule{Policy: RetryAfter, Attempts: 2}.Decide(asked(value), 1, at, 0)
		if d.Action == Wait && (d.Wait < 0 || d.Wait > MaxRetryAfter) || d.Action != Wait && d.Action != GiveUp {
			t.Fatalf("%q gave %+v", value, d)
		}
	})
}
