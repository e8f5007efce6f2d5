package demo

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a query may ask for. They keep a typo from becoming a day's wait or a full memory.
const (
	maxDelay     = 10 * time.Minute
	maxBig       = 1 << 30
	maxBigHeader = 16 << 20
	maxChunk     = 64 << 20
	maxStatuses  = 1000
	maxIgnored   = 512 // bytes of X-Demo-Ignored
)

// Fault describes one query parameter, for a help text.
type Fault struct {
	Name  string // the parameter's name
	Usage string // an example and what it does, in one line
}

// count is how many of a query's first requests a fault is met by.
type count uint64

const always count = math.MaxUint64

func (c count) at(k uint64) bool { return c == always || k < uint64(c) }

type cutting int

const (
	whole    cutting = iota
	cut              // the connection breaks: HTTP itself shows the loss
	cutClean         // HTTP ends well: only the content shows the loss
)

type enveloping int

const (
	bare enveloping = iota
	numberStatus
	stringStatus
)

type packing int

const (
	plain packing = iota
	gzipped
	bomb
)

// faults is a parsed query.
type faults struct {
	statuses      []int
	success       int // in hundredths of a percent
	latency, pace time.Duration
	retryAfter    *string

	spendCap, stall, reset, redirect, html, empty, errorEvent, stallMid, drip count

	redirectTo string
	truncate   cutting
	envelope   enveloping
	gzip       packing
	big        *int64
	bigHeader  int64
	chunk      int64 // 0: the default
	echoKey    bool
	first      count

	ignored []string
}

// param is one known parameter: how to explain it and how to read it.
type param struct {
	name, usage string
	set         func(f *faults, value string) error
}

// params lists the known parameters in the order in which they are explained, and the breaking ones among them in
// the order in which they are met.
func params() []param {
	return []param{
		{"status", "status=429,503,200: these statuses in turn, over and over", setStatuses},
		{"success", "success=98: the percentage of attempts that succeed, spread evenly; the others are 503", setSuccess},
		{"latency", "latency=800ms: the mean of a log-normal delay before the answer", delay(func(f *faults) *time.Duration { return &f.latency })},
		{"retry-after", "retry-after=VALUE: a Retry-After header, sent as it is, on 429 and 5xx", setRetryAfter},
		{"spend-cap", "spend-cap: 429 that names the monthly spend limit", times(func(f *faults) *count { return &f.spendCap })},
		{"stall", "stall: never answers", times(func(f *faults) *count { return &f.stall })},
		{"reset", "reset: drops the connection before the first byte (reset=1: of the first request only)", times(func(f *faults) *count { return &f.reset })},
		{"redirect", "redirect: 302 to another host", times(func(f *faults) *count { return &f.redirect })},
		{"redirect-to", "redirect-to=URL: where redirect points to", setRedirectTo},
		{"html", "html: 200 with an HTML page", times(func(f *faults) *count { return &f.html })},
		{"empty", "empty: 200 without a body", times(func(f *faults) *count { return &f.empty })},
		{"truncate", "truncate: half of the body, then the connection is cut (truncate=clean: then a regular end)", setTruncate},
		{"error-event", "error-event: an error event in the middle of a stream", times(func(f *faults) *count { return &f.errorEvent })},
		{"stall-mid", "stall-mid: half of the answer, then silence", times(func(f *faults) *count { return &f.stallMid })},
		{"drip", "drip: half of a stream, then only pings", times(func(f *faults) *count { return &f.drip })},
		{"envelope", "envelope: always HTTP 200, the status in the body (envelope=string: as a string)", setEnvelope},
		{"gzip", "gzip: compressed without being asked (gzip=bomb: over 64 MiB from a small body)", setGzip},
		{"big", "big=N: N bytes of answer text", size(maxBig, func(f *faults, v int64) { f.big = &v })},
		{"big-header", "big-header=N: a response header of N bytes", size(maxBigHeader, func(f *faults, v int64) { f.bigHeader = v })},
		{"chunk", "chunk=N: bytes of text in each event of a stream", setChunk},
		{"pace", "pace=20ms: the wait between two events of a stream", delay(func(f *faults) *time.Duration { return &f.pace })},
		{"echo-key", "echo-key: the key appears in answers and errors", setEchoKey},
		{"first", "first=N: only the first N requests meet a fault", size(math.MaxInt32, func(f *faults, v int64) { f.first = count(v) })},
	}
}

// Faults returns every query parameter that the node knows, in the order of the package comment.
func Faults() []Fault {
	var out []Fault
	for _, p := range params() {
		out = append(out, Fault{Name: p.name, Usage: p.usage})
	}
	return out
}

// parseFaults reads a query string. An error names the parameter. Unknown parameters are collected, not refused: the
// queries of real gateways must pass.
func parseFaults(query string) (faults, error) {
	f := faults{success: 100_00, first: always, redirectTo: "https://elsewhere.invalid/moved"}
	if query == "" {
		return f, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return f, fmt.Errorf("query: %w", err)
	}
	for _, p := range params() {
		given, ok := values[p.name]
		if !ok {
			continue
		}
		delete(values, p.name)
		if len(given) > 1 {
			return f, fmt.Errorf("parameter %q: given more than once", p.name)
		}
		if err := p.set(&f, given[0]); err != nil {
			return f, fmt.Errorf("parameter %q: %w", p.name, err)
		}
	}
	for name := range values {
		f.ignored = append(f.ignored, name)
	}
	slices.Sort(f.ignored)
	return f, nil
}

// ignoredHeader is the value of X-Demo-Ignored: escaped, because a name can hold anything, and bounded.
func (f faults) ignoredHeader() string {
	var b strings.Builder
	for i, name := range f.ignored {
		name = url.QueryEscape(name)
		if b.Len()+len(name) > maxIgnored {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	return b.String()
}

var errNotCount = errors.New("want nothing, or how many of the first requests")

func times(field func(*faults) *count) func(*faults, string) error {
	return func(f *faults, v string) error {
		if v == "" {
			*field(f) = always
			return nil
		}
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return errNotCount
		}
		*field(f) = count(n)
		return nil
	}
}
