// Package retry decides whether to retry and how long to wait before that. It has three policies: pure functions of the
// outcome of an attempt and its number. It uses no clock, no network and no random source: the time and the random
// number are arguments, and the caller does the waiting.
package retry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Policy names a rule for when to retry.
type Policy string

// The three policies. Script is the default.
const (
	// Script is the retry loop of the bash script that ferry replaces: 429 waits delay × i, 502, 503 and 504 wait i
	// seconds, every other failure ends the attempts at once.
	Script Policy = "script"
	// RetryAfter obeys Retry-After on 429, and retries on every 5xx and if no answer arrives.
	RetryAfter Policy = "retry-after"
	// Backoff is exponential backoff with full jitter.
	Backoff Policy = "backoff"
)

// Policies lists the policies, the default first.
func Policies() []Policy { return []Policy{Script, RetryAfter, Backoff} }

// Kind is the way in which an attempt ended.
type Kind int

const (
	// Answered is status 200 with a complete answer.
	Answered Kind = iota
	// Rejected is any status except 200. Outcome.Status has it.
	Rejected
	// NotAnAnswer is status 200 without a usable answer: HTML, empty, cut, not JSON.
	NotAnAnswer
	// Unreachable means that no answer arrived: DNS failure, connection refused or reset, attempt timed out.
	Unreachable
	// Final is a failure that must not be retried: a certificate failure, a redirect, a cancelled call.
	Final
)

// Outcome is the result of one attempt.
type Outcome struct {
	Kind Kind
	// Status is the effective status, for Rejected.
	Status int
	// RetryAfter is the raw value of the Retry-After header, "" without one.
	RetryAfter string
	// RetryAfterMS is the raw value of the retry-after-ms header, which has precedence over Retry-After.
	RetryAfterMS string
	// NoRetry says that the server asks the client not to retry (x-should-retry: false).
	NoRetry bool
	// SpendCap says that the account has no credit left or is at a spending limit. Waiting does not help.
	SpendCap bool
	// Temporary says that the error will pass and is handled as a rate limit, whatever its status is.
	Temporary bool
}

// Action is what to do after an attempt.
type Action int

const (
	// Done means that the call has its answer.
	Done Action = iota
	// Fail means that the request failed and must not be retried.
	Fail
	// Wait means to wait Decision.Wait, then to retry.
	Wait
	// GiveUp means that the policy would retry, but no attempt is left or the server asks for too long a wait.
	GiveUp
)

// Decision is the result of a policy.
type Decision struct {
	Action Action
	Wait   time.Duration
	// RequestedWait is the wait that Retry-After asked for if it was too long. Action is then GiveUp.
	RequestedWait time.Duration
}

// Rule is a policy with its numbers.
type Rule struct {
	Policy Policy
	// Attempts is the total number of attempts, at least 1 (the script's MAX_RETRY, 3).
	Attempts int
	// Delay is the script's RETRY_DELAY (2 s). It affects only the script policy's wait after 429.
	Delay time.Duration
}

const (
	// defaultRetryAfter is the wait of the retry-after policy after a 429 without the header.
	defaultRetryAfter = 5 * time.Second
	// MaxRetryAfter is the longest wait that a server can ask for. A longer one ends the attempts at once.
	MaxRetryAfter = 60 * time.Second
	backoffBase   = 500 * time.Millisecond
	backoffCap    = 8 * time.Second
)

// Decide returns what to do after attempt i (from 1) with outcome o. It needs now for HTTP dates in Retry-After. random
// is a number in [0, 1) for full jitter; only Backoff uses it.
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

// wait is the table of policies. It ignores how many attempts are left.
func (r Rule) wait(o Outcome, i int, now time.Time, random float64) Decision {
	if o.Kind == Final || o.Kind == Rejected && r.Policy != Script && (o.SpendCap || o.NoRetry) {
		return Decision{Action: Fail}
	}
	// The waits of retry-after: if no answer arrives, after a 429 without the header, and after a 5xx.
	noAnswer, limited, serverError := double(time.Second, i), defaultRetryAfter, times(time.Second, i)
	switch r.Policy {
	case RetryAfter:
	case Backoff:
		jittered := time.Duration(random * float64(min(double(backoffBase, i), backoffCap)))
		noAnswer, limited, serverError = jittered, jittered, jittered
	default:
		return r.decideScript(o, i)
	}
	switch {
	case o.Kind != Rejected:
		return waitFor(noAnswer)
	case o.Status == 429 || o.Temporary:
		return retryAfterWait(o, now, limited)
	case o.Status >= 500, r.Policy == Backoff && (o.Status == 408 || o.Status == 409):
		return waitFor(serverError)
	}
	return Decision{Action: Fail}
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

// retryAfterWait returns a wait as long as the server asks, or of absent if the server does not ask.
func retryAfterWait(o Outcome, now time.Time, absent time.Duration) Decision {
	asked, ok := parseNumber(o.RetryAfterMS, time.Millisecond)
	if !ok {
		asked, ok = parseRetryAfter(o.RetryAfter, now)
	}
	switch {
	case !ok:
		return waitFor(absent)
	case asked > MaxRetryAfter:
		return Decision{Action: GiveUp, RequestedWait: asked}
	}
	return waitFor(asked)
}

func waitFor(d time.Duration) Decision { return Decision{Action: Wait, Wait: d} }

// maxWait bounds a computed wait, so that a large delay times a large attempt number does not overflow.
const maxWait = 24 * time.Hour

func times(d time.Duration, i int) time.Duration {
	if d > maxWait/time.Duration(i) {
		return maxWait
	}
	return d * time.Duration(i)
}

// double returns d·2^(i-1).
func double(d time.Duration, i int) time.Duration {
	for ; i > 1 && d < maxWait; i-- {
		d *= 2
	}
	return min(d, maxWait)
}

// parseRetryAfter reads a Retry-After value (RFC 9110 section 10.2.3): seconds, or an HTTP date in any of its three
// forms, relative to now. It accepts a fraction of seconds, because some servers send one. It returns false for a
// negative or unreadable value and for a date in the past. A number too large for a Duration gives the largest
// Duration.
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

// parseNumber reads a number of units: digits, optionally with a decimal fraction. It rounds the wait up.
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

// digits reports whether s consists of one or more digits.
func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
