package demo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of query values. They prevent a typo from causing a wait of a day or filling the memory.
const (
	maxDelay     = 10 * time.Minute
	maxBig       = 1 << 30
	maxBigHeader = 16 << 20
	maxChunk     = 64 << 20
	maxStatuses  = 1000
	maxIgnored   = 512 // bytes of X-Demo-Ignored
)

// sigma is the spread of the log-normal delay: with 0.25, p95 is about 1.46 times the mean, similar to a busy proxy.
const sigma = 0.25

// tailFactor limits the delay to this multiple of the mean, so that a rare long delay does not trigger a client's
// timeout by accident. With this sigma, one draw in a hundred million is beyond it, so the mean does not change.
const tailFactor = 4

// Fault is one query parameter that the node knows.
type Fault struct {
	Name  string // the parameter's name
	Usage string // an example and its effect, in one line, for the help

	// set parses a value. A parameter that breaks an attempt has none: its value is a count.
	set func(value string) error
}

// always is a count larger than any number of requests.
const always = math.MaxUint64

// faults is a parsed query.
type faults struct {
	statuses      []int
	success       int // in hundredths of a percent
	latency, pace time.Duration
	retryAfter    *string
	// counts has, for each fault that breaks an attempt, how many of the first requests get it.
	counts map[string]uint64

	redirectTo string
	truncate   string // cut: HTTP itself shows the loss; clean: HTTP ends regularly, and only the content shows it
	envelope   string // number or string
	gzip       string // gzip or bomb
	big        *int64
	bigHeader  int64
	chunk      int64 // 0: the default
	echoKey    bool
	first      int64

	ignored []string
}

// params lists the known parameters, which are parsed into f, in the order of the help. If several breaking faults are
// due, this order also decides.
func params(f *faults) []Fault {
	return []Fault{
		{"status", "status=429,503,200: return these statuses in turn, repeatedly", f.setStatuses},
		{"success", "success=98: the percentage of attempts that succeed, spread evenly; the others get 503", f.setSuccess},
		{"latency", "latency=800ms: delay before the answer, log-normal with this mean", delay(&f.latency)},
		{"retry-after", "retry-after=VALUE: send this Retry-After header, unchanged, with 429 and 5xx", f.setRetryAfter},
		{"spend-cap", "spend-cap: 429 with an error about the monthly spend limit", nil},
		{"stall", "stall: never answer", nil},
		{"reset", "reset: reset the connection before the first byte (reset=1: only for the first request)", nil},
		{"redirect", "redirect: 302 to another host", nil},
		{"redirect-to", "redirect-to=URL: target of the redirect", f.setRedirectTo},
		{"html", "html: 200 with an HTML page", nil},
		{"empty", "empty: 200 without a body", nil},
		{"truncate", "truncate: half of the body, then cut the connection (truncate=clean: then end it regularly)", f.setTruncate},
		{"error-event", "error-event: an error event in the middle of a stream", nil},
		{"stall-mid", "stall-mid: half of the answer, then nothing", nil},
		{"drip", "drip: half of a stream, then only pings", nil},
		{"envelope", "envelope: always HTTP 200, with the status in the body (envelope=string: as a string)",
			oneOf(&f.envelope, "nothing, number or string", map[string]string{"": "number", "number": "number", "string": "string"})},
		{"gzip", "gzip: compressed although not requested (gzip=bomb: a small body that expands to over 64 MiB)",
			oneOf(&f.gzip, "nothing or bomb", map[string]string{"": "gzip", "bomb": "bomb"})},
		{"big", "big=N: N bytes of answer text", f.setBig},
		{"big-header", "big-header=N: a response header of N bytes", number(&f.bigHeader, 0, maxBigHeader)},
		{"chunk", "chunk=N: bytes of text in each stream event", number(&f.chunk, 1, maxChunk)},
		{"pace", "pace=20ms: delay between two stream events", delay(&f.pace)},
		{"echo-key", "echo-key: the key appears in answers and errors", f.setEchoKey},
		{"first", "first=N: only the first N requests get a fault", number(&f.first, 0, math.MaxInt32)},
	}
}

// Faults returns all query parameters that the node knows. If several are due, the first one in this list is used.
func Faults() []Fault { return params(new(faults)) }

// parseFaults parses a query string. An error names the parameter. Unknown parameters are collected and do not fail:
// URLs of real gateways must work.
func parseFaults(query string) (faults, error) {
	f := faults{success: 100_00, first: math.MaxInt64, redirectTo: "https://elsewhere.invalid/moved", counts: map[string]uint64{}}
	values, err := url.ParseQuery(query)
	if err != nil {
		return f, fmt.Errorf("query: %w", err)
	}
	for _, p := range params(&f) {
		given, ok := values[p.Name]
		if !ok {
			continue
		}
		delete(values, p.Name)
		if len(given) > 1 {
			return f, fmt.Errorf("parameter %q: given more than once", p.Name)
		}
		set := p.set
		if set == nil {
			set = f.setCount(p.Name)
		}
		if err := set(given[0]); err != nil {
			return f, fmt.Errorf("parameter %q: %w", p.Name, err)
		}
	}
	f.ignored = slices.Sorted(maps.Keys(values))
	return f, nil
}

// CheckQuery parses a query like the node, and returns the unknown parameters. The node itself ignores these.
func CheckQuery(query string) (unknown []string, err error) {
	f, err := parseFaults(query)
	return f.ignored, err
}

// ignoredHeader returns the value of X-Demo-Ignored: escaped, because a name can contain anything, and of limited
// length.
func (f faults) ignoredHeader() string {
	header := ""
	for i, name := range f.ignored {
		name = url.QueryEscape(name)
		if len(header)+len(name) > maxIgnored {
			return header + ", …"
		}
		if i > 0 {
			header += ", "
		}
		header += name
	}
	return header
}

func (f *faults) setCount(name string) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseUint(v, 10, 32)
		switch {
		case v == "":
			n = always
		case err != nil:
			return errors.New("want nothing, or how many of the first requests")
		}
		f.counts[name] = n
		return nil
	}
}

func delay(to *time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > maxDelay {
			return fmt.Errorf("want a duration from 0s to %s, such as 800ms", maxDelay)
		}
		*to = d
		return nil
	}
}

func number(to *int64, low, high int64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		*to = n
		return nil
	}
}

// oneOf returns a setter that maps one of a few words to its meaning.
func oneOf(to *string, want string, meanings map[string]string) func(string) error {
	return func(v string) error {
		meaning, ok := meanings[v]
		if !ok {
			return errors.New("want " + want)
		}
		*to = meaning
		return nil
	}
}

func (f *faults) setStatuses(v string) error {
	for s := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 || n > 599 {
			return errors.New("want statuses from 100 to 599, such as 429,200")
		}
		if len(f.statuses) == maxStatuses {
			return fmt.Errorf("want at most %d statuses", maxStatuses)
		}
		f.statuses = append(f.statuses, n)
	}
	return nil
}

func (f *faults) setSuccess(v string) error {
	p, err := strconv.ParseFloat(v, 64)
	hundredths := math.Round(p * 100)
	// The comparison also rejects NaN and a third decimal, which no number of requests could show.
	if err != nil || !(p >= 0 && p <= 100) || math.Abs(hundredths-p*100) > 1e-6 {
		return errors.New("want a percentage from 0 to 100 with at most two decimals")
	}
	f.success = int(hundredths)
	return nil
}

func (f *faults) setRetryAfter(v string) error {
	// net/http would change such characters in a header, and the value would not be sent as given.
	if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(v) > 1024 {
		return errors.New("want at most 1024 bytes without control characters")
	}
	f.retryAfter = &v
	return nil
}

func (f *faults) setRedirectTo(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("want an http or https url")
	}
	f.redirectTo = u.String()
	if f.counts["redirect"] == 0 {
		f.counts["redirect"] = always
	}
	return nil
}

func (f *faults) setTruncate(v string) error {
	f.counts["truncate"] = always
	return oneOf(&f.truncate, "nothing or clean", map[string]string{"": "cut", "clean": "clean"})(v)
}

func (f *faults) setBig(v string) error {
	f.big = new(int64)
	return number(f.big, 0, maxBig)(v)
}

func (f *faults) setEchoKey(v string) error {
	if v != "" {
		return errors.New("takes no value")
	}
	f.echoKey = true
	return nil
}

// plan says what happens to one request.
type plan struct {
	faults
	delay  time.Duration
	status int    // the status of the answer: 200 is a normal answer
	fault  string // the name of the fault, empty without a fault
	breaks string // the fault that replaces or breaks a normal answer, empty if none
}

// plan decides what happens to request k (from 0) of a query. It depends only on its arguments, so a set of concurrent
// requests gets the same faults as sequential requests.
func (f faults) plan(k uint64, id queryID) plan {
	p := plan{faults: f, status: http.StatusOK, delay: drawDelay(f.latency, k, id)}
	if k < uint64(f.first) {
		if len(f.statuses) > 0 {
			p.status = f.statuses[k%uint64(len(f.statuses))]
		}
		switch {
		case p.status != http.StatusOK:
			p.fault = "status"
		case fails(k, uint64(f.success)):
			p.status, p.fault = http.StatusServiceUnavailable, "success"
		default:
			p.breaks = f.breakingFault(k)
			switch {
			case p.breaks != "":
				p.fault = p.breaks
			case f.gzip != "":
				p.fault = "gzip"
			case f.big != nil:
				p.fault = "big"
			case f.bigHeader > 0:
				p.fault = "big-header"
			}
			return p
		}
	}
	// Only the settings that are not faults remain.
	p.faults = faults{pace: f.pace, chunk: f.chunk, envelope: f.envelope, echoKey: f.echoKey, retryAfter: f.retryAfter}
	return p
}

// fails spreads failures evenly: of the first k requests floor(k × success) succeed, so any 100 in a row match a whole
// percentage exactly. success is in hundredths of a percent.
func fails(k, success uint64) bool {
	k %= 100_00 // the period of the pattern; prevents overflow of the products
	return (k+1)*success/100_00 == k*success/100_00
}

// breakingFault returns the name of the first breaking fault for request k.
func (f faults) breakingFault(k uint64) string {
	if len(f.counts) == 0 {
		return ""
	}
	for _, p := range params(&f) {
		if k < f.counts[p.Name] {
			return p.Name
		}
	}
	return ""
}

// drawDelay returns the delay of request k: log-normal, with mu chosen so that the mean is exactly the requested one.
func drawDelay(mean time.Duration, k uint64, id queryID) time.Duration {
	if mean <= 0 {
		return 0
	}
	// The query is part of the seed, so that two nodes in one bench get different series.
	rng := rand.New(rand.NewPCG(seed^binary.BigEndian.Uint64(id[:8]), k*0x9e3779b97f4a7c15))
	factor := math.Exp(sigma*rng.NormFloat64() - sigma*sigma/2)
	factor = min(max(factor, 1.0/tailFactor), tailFactor)
	return time.Duration(float64(mean) * factor)
}
