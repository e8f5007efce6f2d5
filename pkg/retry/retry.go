// Package retry owns the decision of when to try again and how long to wait first: three policies as pure functions
// of how an attempt ended and of its number. It refuses to know a clock, a network or a random source: times and
// the random number come in as arguments, and waiting is the caller's business.
package retry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Policy names a rule for when to try again.
type Policy string

// The three policies. Script is the default.
const (
	// Script is the retry loop of the bash script that ferry replaces: 429 waits delay × i, 502, 503 and 504 wait i
	// seconds, everything else fails at once.
	Script Policy = "script"
	// RetryAfter honours Retry-After on 429 and tries again on every 5xx and on no answer at all.
	RetryAfter Policy = "retry-after"
	// Backoff is exponential backoff with full jitter.
	Backoff Policy = "backoff"
)

// Policies lists the policies, the default first.
func Policies() []Policy { return []Policy{Script, RetryAfter, Backoff} }

// Kind says how an attempt ended.
type Kind int

const (
	// Answered is a status 200 with a whole answer.
	Answered Kind = iota
	// Rejected is any status but 200; Outcome.Status holds it.
	Rejected
	// NotAnAnswer is a status 200 that is no answer: HTML, empty, cut short, not JSON.
	NotAnAnswer
	// Unreachable is no answer at all: DNS, refused, reset, an attempt that timed out.
	Unreachable
	// Final is what no second attempt can mend or may touch: a certificate failure, a redirect, a cancelled call.
	Final
)

// Outcome is how one attempt ended.
type Outcome struct {
	Kind Kind
	// Status is the effective status, for Rejected.
	Status int
	// RetryAfter is the raw value of the Retry-After header, "" without one.
	RetryAfter string
	// RetryAfterMS is the raw value of the retry-after-ms header, which counts before Retry-After.
	RetryAfterMS string
	// NoRetry says that the server asks for no other attempt (x-should-retry: false).
	NoRetry bool
	// SpendCap says that the account is used up or at a limit on spending, which no wait lifts.
	SpendCap bool
	// Passes says that the error is a temporary one, to be treated as a rate limit whatever its status.
	Passes bool
}

// Action is what to do after an attempt.
type Action int

const (
	// Done means that the answer is there.
	Done Action = iota
	// Fail means that this request failed and another attempt is not wanted.
	Fail
	// Wait means to wait Decision.Wait and then to try again.
	Wait
	// GiveUp means that another attempt would have been made, but none is left or the server asks for too long a wait.
	GiveUp
)

// Decision is what a policy says.
type Decision struct {
	Action Action
	Wait   time.Duration
	// Asked is the wait that a Retry-After header asked for where that was too long: Action is then GiveUp.
	Asked time.Duration
}

// Rule is a policy with its numbers.
type Rule struct {
	Policy Policy
	// Attempts is how many attempts there are in all, at least 1 (the script's MAX_RETRY, 3).
	Attempts int
	// Delay is the script's RETRY_DELAY (2 s). It moves only the script's row for 429.
	Delay time.Duration
}

const (
	// defaultRetryAfter is what the retry-after policy waits on a 429 without the header.
	defaultRetryAfter = 5 * time.Second
	// MaxRetryAfter is the longest wait that a server can ask for; beyond it the attempts end at once.
	MaxRetryAfter = 60 * time.Second
	backoffBase   = 500 * time.Millisecond
	backoffCap    = 8 * time.Second
)

// Decide says what to do after attempt i (from 1) had the given outcome. Now reads HTTP dates in Retry-After. Random is
// a number in [0, 1) for full jitter; only Backoff uses it.
func (r Rule) Decide(o Outcome, i int, now time.Time, random float64) Decision {
	if o.Kind == Answered {
		return Decision{Action: Done}
	}
	d := r.wait(o, i, now, random)
	if d.Action == Wait && i >= r.Attempts {
		return Decision{Action: GiveUp}
	}
	return d
}

// wait is the table of policies, without regard to how many attempts are left.
func (r Rule) wait(o Outcome, i int, now time.Time, random float64) Decision {
	if o.Kind == Final || o.Kind == Rejected && r.Policy != Script && (o.SpendCap || o.NoRetry) {
		return Decision{Action: Fail}
	}
	switch r.Policy {
	case RetryAfter:
		return decideRetryAfter(o, i, now)
	case Backoff:
		return decideBackoff(o, i, now, random)
	default:
		return r.decideScript(o, i)
	}
}

func (r Rule) decideScript(o Outcome, i int) Decision {
	if o.Kind == Rejected {
		switch o.Status {
		case 429:
			return waitFor(times(r.Delay, i))
		case 502, 503, 504:
			return waitFor(times(time.Second, i))
		}
	}
	return Decision{Action: Fail}
}

func decideRetryAfter(o Outcome, i int, now time.Time) Decision {
	if o.Kind != Rejected {
		return waitFor(double(time.Second, i))
	}
	switch {
	case o.Status == 429 || o.Passes:
		return obey(o, now, defaultRetryAfter)
	case o.Status >= 500:
		return waitFor(times(time.Second, i))
	}
	return Decision{Action: Fail}
}

func decideBackoff(o Outcome, i int, now time.Time, random float64) Decision {
	jittered := time.Duration(random * float64(min(double(backoffBase, i), backoffCap)))
	if o.Kind != Rejected {
		return waitFor(jittered)
	}
	switch {
	case o.Status == 429 || o.Passes:
		return obey(o, now, jittered)
	case o.Status == 408, o.Status == 409, o.Status >= 500:
		return waitFor(jittered)
	}
	return Decision{Action: Fail}
}

// obey waits as the server asks, or absent where it does not.
func obey(o Outcome, now time.Time, absent time.Duration) Decision {
	asked, ok := parseNumber(o.RetryAfterMS, time.Millisecond)
	if !ok {
		asked, ok = parseRetryAfter(o.RetryAfter, now)
	}
	switch {
	case !ok:
		return waitFor(absent)
	case asked > MaxRetryAfter:
		return Decision{Action: GiveUp, Asked: asked}
	}
	return waitFor(asked)
}

func waitFor(d time.Duration) Decision { return Decision{Action: Wait, Wait: d} }

// longest bounds a computed wait, so that no product of a large delay and a large attempt number overflows.
const longest = 24 * time.Hour

func times(d time.Duration, i int) time.Duration {
	if d > longest/time.Duration(i) {
		return longest
	}
	return d * time.Duration(i)
}

// double is d·2^(i-1).
func double(d time.Duration, i int) time.Duration {
	for ; i > 1 && d < longest; i-- {
		d *= 2
	}
	return min(d, longest)
}

// parseRetryAfter reads a Retry-After value (RFC 9110 section 10.2.3): seconds, with a fraction too since some servers
// send one, or an HTTP date in any of its three forms, taken relative to now. A negative or unreadable value, a date that
// has passed included, counts as absent: false. A number too large for a Duration gives the largest one.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	if wait, ok := parseNumber(value, time.Second); ok {
		return wait, true
	}
	at, err := http.ParseTime(strings.Trim(value, " \t"))
	if err != nil {
		return 0, false
	}
	wait := at.Sub(now)
	return wait, wait >= 0
}

// parseNumber reads a number of units: digits, and a fraction behind a point. The wait is never shorter than asked.
func parseNumber(value string, unit time.Duration) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	whole, fraction, point := strings.Cut(value, ".")
	if !digits(whole) || point && !digits(fraction) {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	if wait := math.Ceil(n * float64(unit)); err == nil && wait < math.MaxInt64 {
		return time.Duration(wait), true
	}
	return math.MaxInt64, true
}

// digits reports whether s is one digit or more.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
