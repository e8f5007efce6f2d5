package bench

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// TestWriter holds each line to its exact bytes, and to one call.
func TestWriter(t *testing.T) {
	var out writes
	measured(t, &out)
	want := savedHead
	for _, r := range savedRequests {
		want += r.lines
	}
	want += savedFoot
	if !slices.Equal(out.all, strings.SplitAfter(want, "\n")[:len(out.all)]) || strings.Join(out.all, "") != want {
		t.Errorf("written\n%s\nwant\n%s", strings.Join(out.all, "¦"), want)
	}
}

// TestWriterTogether holds the lines of a request together when many goroutines save theirs.
func TestWriterTogether(t *testing.T) {
	var out writes
	h := savedHeader()
	h.Requests = 0
	saved, err := NewWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 8, 50
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				r := savedRequests[1].record
				r.Round = w*each + i
				if err := saved.request(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	run, err := Read(strings.NewReader(strings.Join(out.all, "")), "run.jsonl")
	if err != nil || len(out.all) != 1+3*workers*each {
		t.Fatalf("%d lines, %v", len(out.all), err)
	}
	if s := run.Series[2]; s.Len() != workers*each {
		t.Errorf("got %d requests, want %d", s.Len(), workers*each)
	}
}

// TestWriterError holds the first error, and no call after it.
func TestWriterError(t *testing.T) {
	out := writes{room: 2}
	saved, err := NewWriter(&out, savedHeader())
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.request(savedRequests[0].record); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := saved.request(savedRequests[1].record); err == nil || err.Error() != "full at call 3" {
			t.Errorf("request: %v", err)
		}
	}
	if err := saved.end(&Run{}); err == nil || err.Error() != "full at call 3" {
		t.Errorf("end: got %v, want the first error", err)
	}
	if len(out.all) != 3 {
		t.Errorf("%d calls", len(out.all))
	}
	if _, err := NewWriter(short{}, savedHeader()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a short write: %v", err)
	}
	for what, change := range map[string]func(*Header){
		"no nodes":  func(h *Header) { h.Nodes = nil },
		"no ID":     func(h *Header) { h.ID = "" },
		"a rate":    func(h *Header) { h.Rate = math.NaN() },
		"attempts":  func(h *Header) { h.Attempts = -1 },
		"too long":  func(h *Header) { h.Vantage = strings.Repeat("x", maxLine) },
		"too many":  func(h *Header) { h.Nodes = make([]Node, maxNodes+1) },
		"its start": func(h *Header) { h.Started = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		h := savedHeader()
		change(&h)
		var out writes
		if _, err := NewWriter(&out, h); err == nil || len(out.all) != 0 {
			t.Errorf("%s: %v, %d calls", what, err, len(out.all))
		}
	}
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

// TestRounded holds a rounded record to make the same sample and the same line as before, and once to be enough.
func TestRounded(t *testing.T) {
	for _, r := range []record{
		savedRequests[0].record, savedRequests[1].record,
		{Start: -1, Latency: -1, TTFT: -1, Lag: -1, Phases: Phases{-1, -1, -1, -1, -1}, Tokens: -1, Attempts: 0},
		{Start: math.MaxInt64, TTFT: math.MaxInt64, Lag: math.MaxInt64, Tokens: math.MaxInt64, Attempts: 300},
		{Start: 12345678, TTFT: 1999, Lag: 999, Latency: 12345678, Attempts: 255},
	} {
		once, plain, rounded := r.rounded(), newSeries(Node{}), newSeries(Node{})
		if twice := once.rounded(); !reflect.DeepEqual(once, twice) {
			t.Errorf("%+v rounded is %+v, and again %+v", r, once, twice)
		}
		r.Latency = max(0, r.Latency)
		plain.add(r)
		rounded.add(once)
		if a, b := plain.samples.at(0), rounded.samples.at(0); a != b {
			t.Errorf("%+v is %+v, rounded %+v", r, a, b)
		}
		if s := rounded.samples.at(0); s.Start() != once.Start || s.TTFT() != once.TTFT || s.Lag() != once.Lag {
			t.Errorf("%+v rounded is not what its sample %+v has", once, s)
		}
	}
	long := strings.Repeat("文", maxWords)
	for _, test := range []struct{ detail, want string }{
		{"a\xffb", "a\uFFFDb"}, {long, long[:999]}, {"", ""}, {"reset", "reset"},
	} {
		if got := (record{Class: "x", Detail: test.detail}).rounded().Detail; got != test.want {
			t.Errorf("%.20q: %.20q with %d bytes", test.detail, got, len(got))
		}
	}
}

func TestRoundTrip(t *testing.T) {
	var file bytes.Buffer
	want := measured(t, &file)
	got, err := Read(iotest.OneByteReader(&file), "run.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if err := sameRun(want, got); err != nil || len(got.Notes) != 0 {
		t.Errorf("%v, got the notes %q, want none", err, got.Notes)
	}
}
