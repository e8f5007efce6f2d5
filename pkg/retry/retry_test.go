package retry

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// now is the fixed time for the HTTP dates in the tests.
var now = time.Date(1994, time.November, 6, 8, 49, 37, 0, time.UTC)

func answered() Outcome          { return Outcome{Kind: Answered} }
func status(s int) Outcome       { return Outcome{Kind: Rejected, Status: s} }
func asked(after string) Outcome { return Outcome{Kind: Rejected, Status: 429, RetryAfter: after} }
func kind(k Kind) Outcome        { return Outcome{Kind: k} }
func seconds(s float64) Decision { return waitFor(time.Duration(s * float64(time.Second))) }
func millis(ms int) Decision     { return waitFor(time.Duration(ms) * time.Millisecond) }
func rule(p Policy, n int) Rule  { return Rule{Policy: p, Attempts: n, Delay: 2 * time.Second} }
func spendCap(after string) Outcome {
	return Outcome{Kind: Rejected, Status: 429, RetryAfter: after, SpendCap: true}
}

// equal reports an error if a decision is not the wanted one.
func equal(t *testing.T, what string, got, want Decision) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

var (
	done = Decision{Action: Done}
	fail = Decision{Action: Fail}
)

// TestTable checks the table of DESIGN.md section 2, row by row: every outcome under every policy, after the first, the
// second and the sixth attempt. random is 0.5, so a wait with full jitter is half of its bound. There are always
// attempts left.
func TestTable(t *testing.T) {
	half := [3]Decision{millis(250), millis(500), seconds(4)} // of 0.5 s·2^(i-1), at most 8 s
	all := func(d Decision) [3]Decision { return [3]Decision{d, d, d} }
	each := [3]Decision{seconds(1), seconds(2), seconds(6)}        // i seconds
	doubling := [3]Decision{seconds(1), seconds(2), seconds(32)}   // 2^(i-1) seconds
	scripts429 := [3]Decision{seconds(2), seconds(4), seconds(12)} // RETRY_DELAY × i

	tooLong := func(d time.Duration) [3]Decision { return all(Decision{Action: GiveUp, RequestedWait: d}) }
	type row struct {
		name                        string
		outcome                     Outcome
		script, retryAfter, backoff [3]Decision
	}
	rows := []row{
		{"200", answered(), all(done), all(done), all(done)},
		{"429", status(429), scripts429, all(seconds(5)), half},
		{"429 with Retry-After", asked("7"), scripts429, all(seconds(7)), all(seconds(7))},
		{"429 with Retry-After 0", asked("0"), scripts429, all(seconds(0)), all(seconds(0))},
		{"429 with Retry-After 60", asked("60"), scripts429, all(seconds(60)), all(seconds(60))},
		{"429 with Retry-After 61", asked("61"), scripts429, tooLong(61 * time.Second), tooLong(61 * time.Second)},
		{
			"429 with Retry-After too large to hold", asked("99999999999999999999"),
			scripts429, tooLong(math.MaxInt64), tooLong(math.MaxInt64),
		},
		{"429 with a negative Retry-After", asked("-1"), scripts429, all(seconds(5)), half},
		{"429 with an unreadable Retry-After", asked("soon"), scripts429, all(seconds(5)), half},
		{"429 naming a spend cap", spendCap(""), scripts429, all(fail), all(fail)},
		{"429 naming a spend cap, Retry-After", spendCap("1"), scripts429, all(fail), all(fail)},
		{"503 with Retry-After", Outcome{Kind: Rejected, Status: 503, RetryAfter: "9"}, each, each, half},
		{"a .status that is no number", status(0), all(fail), all(fail), all(fail)},
		{"a .status too large", status(-1), all(fail), all(fail), all(fail)},
		{"200 that is no answer", kind(NotAnAnswer), all(fail), doubling, half},
		{"no answer", kind(Unreachable), all(fail), doubling, half},
		{"certificate, redirect, cancelled", kind(Final), all(fail), all(fail), all(fail)},
	}
	for _, same := range []struct {
		statuses                    []int
		script, retryAfter, backoff [3]Decision
	}{
		{[]int{502, 503, 504}, each, each, half},
		{[]int{500, 501, 505, 529, 599}, all(fail), each, half},
		{[]int{408, 409}, all(fail), all(fail), half},
		{[]int{400, 401, 402, 403, 404, 413, 428, 430, 499}, all(fail), all(fail), all(fail)},
		{[]int{201, 204, 304, 101}, all(fail), all(fail), all(fail)},
	} {
		for _, s := range same.statuses {
			rows = append(rows, row{fmt.Sprint(s), status(s), same.script, same.retryAfter, same.backoff})
		}
	}
	for _, row := range rows {
		columns := map[Policy][3]Decision{Script: row.script, RetryAfter: row.retryAfter, Backoff: row.backoff}
		for policy, want := range columns {
			for n, i := range []int{1, 2, 6} {
				what := fmt.Sprintf("%s under %s after attempt %d", row.name, policy, i)
				equal(t, what, rule(policy, 100).Decide(row.outcome, i, now, 0.5), want[n])
			}
		}
	}
}

// TestServerAsks checks what a server can ask for apart from Retry-After in whole seconds, after the first attempt. The
// script policy ignores all of it.
func TestServerAsks(t *testing.T) {
	half, two, five := millis(250), seconds(2), seconds(5)
	tests := []struct {
		name                        string
		outcome                     Outcome
		script, retryAfter, backoff Decision
	}{
		{"503 of a used-up account", Outcome{Status: 503, SpendCap: true}, seconds(1), fail, fail},
		{"429, x-should-retry: false", Outcome{Status: 429, NoRetry: true}, two, fail, fail},
		{"500, x-should-retry: false", Outcome{Status: 500, NoRetry: true}, fail, fail, fail},
		{"a fraction", Outcome{Status: 429, RetryAfter: "0.75"}, two, millis(750), millis(750)},
		{"a fraction over the longest", Outcome{Status: 429, RetryAfter: "60.5"}, two, Decision{Action: GiveUp, RequestedWait: 60500 * time.Millisecond},
			Decision{Action: GiveUp, RequestedWait: 60500 * time.Millisecond}},
		{"milliseconds", Outcome{Status: 429, RetryAfter: "9", RetryAfterMS: "750"}, two, millis(750), millis(750)},
		{"milliseconds alone", Outcome{Status: 429, RetryAfterMS: "1.5"}, two, waitFor(1500 * time.Microsecond), waitFor(1500 * time.Microsecond)},
		{"milliseconds of no number", Outcome{Status: 429, RetryAfter: "9", RetryAfterMS: "soon"}, two, seconds(9), seconds(9)},
		{"negative milliseconds", Outcome{Status: 429, RetryAfterMS: "-1"}, two, five, half},
		{"402 that passes", Outcome{Status: 402, RetryAfter: "7", Temporary: true}, fail, seconds(7), seconds(7)},
		{"402 that passes, without a header", Outcome{Status: 402, Temporary: true}, fail, five, half},
	}
	for _, test := range tests {
		test.outcome.Kind = Rejected
		for policy, want := range map[Policy]Decision{Script: test.script, RetryAfter: test.retryAfter, Backoff: test.backoff} {
			equal(t, fmt.Sprintf("%s under %s", test.name, policy), rule(policy, 100).Decide(test.outcome, 1, now, 0.5), want)
		}
	}
}

// TestDelayMovesOnlyTheScripts429 checks that --retry-delay scales only the script policy's wait after 429.
func TestDelayMovesOnlyTheScripts429(t *testing.T) {
	outcomes := []Outcome{
		answered(), status(429), asked("7"), asked("61"), spendCap(""), status(500), status(502), status(503),
		status(504), status(529), status(401), status(409), kind(NotAnAnswer), kind(Unreachable), kind(Final),
	}
	for _, policy := range Policies() {
		for _, o := range outcomes {
			for i := 1; i <= 4; i++ {
				two := Rule{Policy: policy, Attempts: 9, Delay: 2 * time.Second}.Decide(o, i, now, 0.5)
				ten := Rule{Policy: policy, Attempts: 9, Delay: 10 * time.Second}.Decide(o, i, now, 0.5)
				what := fmt.Sprintf("%s, %+v, attempt %d", policy, o, i)
				if policy == Script && o.Status == 429 {
					equal(t, what, two, seconds(float64(2*i)))
					equal(t, what, ten, seconds(float64(10*i)))
				} else {
					equal(t, what+": with another delay", ten, two)
				}
			}
		}
	}
	equal(t, "a delay of 0", Rule{Policy: Script, Attempts: 9}.Decide(status(429), 3, now, 0), waitFor(0))
}

// TestAttemptsUsedUp checks that there is no wait after the last attempt (the script did wait), and that only an
// outcome that would be retried becomes GiveUp (exit 3). Other failures stay Fail (exit 1).
func TestAttemptsUsedUp(t *testing.T) {
	for _, policy := range Policies() {
		for _, attempts := range []int{1, 3} {
			r := rule(policy, attempts)
			what := fmt.Sprintf("%s, attempt %d, ", policy, attempts)
			equal(t, what+"429", r.Decide(status(429), attempts, now, 0.5), Decision{Action: GiveUp})
			equal(t, what+"200", r.Decide(answered(), attempts, now, 0.5), done)
			equal(t, what+"401", r.Decide(status(401), attempts, now, 0.5), fail)
			if attempts > 1 && r.Decide(status(429), attempts-1, now, 0.5).Action == GiveUp {
				t.Errorf("%s gave up before the last attempt", policy)
			}
		}
	}
	// The wait that the server asked for is kept on the last attempt too.
	want := Decision{Action: GiveUp, RequestedWait: 120 * time.Second}
	equal(t, "Retry-After 120 on the last attempt", rule(RetryAfter, 3).Decide(asked("120"), 3, now, 0), want)
}

func TestJitterBounds(t *testing.T) {
	bounds := []time.Duration{ // of attempts 1, 2, 3 …: 0.5 s·2^(i-1), at most 8 s
		500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second,
	}
	for n, bound := range bounds {
		for _, random := range []float64{0, .5, .999} {
			got := rule(Backoff, 1000).Decide(status(503), n+1, now, random)
			equal(t, fmt.Sprintf("attempt %d, random %v", n+1, random), got, waitFor(time.Duration(random*float64(bound))))
		}
	}
	if got := rule(Backoff, math.MaxInt).Decide(status(503), 1_000_000, now, .999); got.Wait >= backoffCap {
		t.Errorf("attempt 1000000: %s", got.Wait)
	}
}

// TestNoOverflow checks that no attempt number and no delay makes a wait negative, which would mean no wait at all.
func TestNoOverflow(t *testing.T) {
	huge := Rule{Policy: Script, Attempts: math.MaxInt, Delay: math.MaxInt64}
	for _, i := range []int{2, 64, 1 << 40} {
		for name, got := range map[string]Decision{
			"script 429":         huge.Decide(status(429), i, now, 0),
			"script 503":         huge.Decide(status(503), i, now, 0),
			"retry-after nobody": rule(RetryAfter, math.MaxInt).Decide(kind(Unreachable), i, now, 0),
		} {
			if got.Action != Wait || got.Wait < time.Second || got.Wait > maxWait {
				t.Errorf("%s after attempt %d: %+v", name, i, got)
			}
		}
	}
}

func TestPolicies(t *testing.T) {
	if got := Policies()[0]; got != Script {
		t.Errorf("the default is %q, want %q", got, Script)
	}
}

func TestParseRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"0": 0, "1": time.Second, "120": 120 * time.Second, "007": 7 * time.Second, " 5\t": 5 * time.Second,
		// RFC 9110 section 5.6.7: senders use the first form, recipients accept all three.
		"Sun, 06 Nov 1994 08:49:47 GMT":  10 * time.Second,
		"Sunday, 06-Nov-94 08:49:47 GMT": 10 * time.Second,
		"Sun Nov  6 08:49:47 1994":       10 * time.Second,
		"Sun, 06 Nov 1994 08:49:37 GMT":  0,
		"Mon, 07 Nov 1994 08:49:37 GMT":  24 * time.Hour,
		"Fri, 31 Dec 9999 23:59:59 GMT":  math.MaxInt64,
		// A number that is too large means a long wait, not an absent value.
		"9223372036":             9223372036 * time.Second,
		"9223372037":             math.MaxInt64,
		"9223372036854775807":    math.MaxInt64,
		"9223372036854775808":    math.MaxInt64,
		strings.Repeat("9", 400): math.MaxInt64,
		"1.5":                    1500 * time.Millisecond,
		"0.0000000001":           1, // never shorter than asked
	} {
		got, ok := parseRetryAfter(value, now)
		if !ok || got != want {
			t.Errorf("parseRetryAfter(%q) = %s, %t; want %s", value, got, ok, want)
		}
	}
	for _, absent := range []string{
		"", "   ", "-1", "+1", "1.", ".5", "-1.5", "1.5.5", "1,5", "1e3", "0x10", "1 s", "5, 10", "٥", "soon",
		"Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1904 08:49:36 GMT", "1994-11-06T08:49:47Z",
		"Sun, 06 Nov 1994 08:49:47 CET", "Sun, 32 Nov 1994 08:49:47 GMT",
	} {
		if got, ok := parseRetryAfter(absent, now); ok {
			t.Errorf("parseRetryAfter(%q) = %s, want none", absent, got)
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
		// For every header, the policy either waits at most MaxRetryAfter or gives up.
		d := Rule{Policy: RetryAfter, Attempts: 2}.Decide(asked(value), 1, at, 0)
		if d.Action == Wait && (d.Wait < 0 || d.Wait > MaxRetryAfter) || d.Action != Wait && d.Action != GiveUp {
			t.Fatalf("%q gave %+v", value, d)
		}
	})
}
