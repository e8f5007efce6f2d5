package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/text"
)

// TestWriter checks the exact bytes of each line, and that each line is one call.
func TestWriter(t *testing.T) {
	var out writes
	measured(t, &out)
	if want := savedLines[:7]; !slices.Equal(out.all, want) {
		t.Errorf("written\n%s\nwant\n%s", strings.Join(out.all, "¦"), strings.Join(want, "¦"))
	}
}

// TestWriterTogether checks that the lines of a request stay together if many goroutines save requests.
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
				r := savedRequests[1]
				r.Round = w*each + i
				saved.request(r)
			}
		})
	}
	all.Wait()
	run := read(t, strings.NewReader(strings.Join(out.all, "")))
	equal(t, "lines, requests", []int{len(out.all), run.Series[2].samples.len()}, []int{1 + 3*workers*each, workers * each})
}

// TestWriterError checks that the first error is returned again, and that nothing is written after it.
func TestWriterError(t *testing.T) {
	out := writes{room: 2}
	saved, err := NewWriter(&out, savedHeader())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []any{nil, "full at call 3", "full at call 3"} {
		saved.request(savedRequests[min(i, 1)])
		equal(t, "error after a request", saved.err, want)
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

// TestRounded checks that a rounded record gives the same sample as the original record, and that rounding it again
// changes nothing.
func TestRounded(t *testing.T) {
	for _, r := range []Outcome{
		savedRequests[0], savedRequests[1],
		{Start: -1, Latency: -1, TTFT: -1, Lag: -1, Phases: Phases{-1, -1, -1, -1, -1}, OutputTokens: -1, Attempts: 0},
		{Start: math.MaxInt64, TTFT: math.MaxInt64, Lag: math.MaxInt64, OutputTokens: math.MaxInt64, TextTokens: 1 << 40, Chunks: 7, Attempts: 300},
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
	long := strings.Repeat("文", maxDetail)
	for _, test := range []struct{ detail, want string }{
		{"a\xffb", "a\uFFFDb"}, {long, long[:999]}, {"", ""}, {"reset", "reset"},
	} {
		equal(t, "detail", (Outcome{Class: "x", Detail: test.detail}).rounded().Detail, test.want)
	}
}

// The facts about a stream are in the file, under their own names.
func TestRoundTripOfAStream(t *testing.T) {
	run := newRun(savedHeader(), streamed(0, 5*time.Millisecond, 12, 9, 4, 800)...)
	file := rewrite(t, run)
	if want := `"tokens":12,"text_tokens":9,"chunks":4,`; !bytes.Contains(file, []byte(want)) {
		t.Errorf("got %s, want %s in it", file, want)
	}
	equal(t, "run", asText(read(t, bytes.NewReader(file))), asText(run))
}

func TestCheckMergeable(t *testing.T) {
	// file returns a run with samples of its first series in some rounds.
	file := func(change func(*Header), rounds ...int) *Run {
		h := savedHeader()
		h.ID = "another"
		change(&h)
		run := newRun(h)
		for _, round := range rounds {
			run.Series[0].add(Outcome{Round: round, Attempts: 1, Latency: 1})
		}
		return run
	}
	const hint = "only runs of the same request, sent in the same way, can be merged"
	for name, test := range map[string]struct {
		change     func(*Header)
		rounds     []int
		want, hint string
	}{
		"a place":      {func(h *Header) { h.Vantage = "北京" }, []int{1, 2}, "", ""},
		"the rest":     {func(h *Header) { h.Seed, h.Requests, h.Reference = 8, 9, "hongkong" }, []int{1, 2}, "", ""},
		"a label":      {func(h *Header) { h.Nodes[0].Label = "" }, nil, "", ""},
		"other nodes":  {func(h *Header) { h.Nodes = []Node{{Name: "qwen", API: "chat", Connection: Cold}} }, []int{1}, "", ""},
		"a connection": {func(h *Header) { h.Nodes[0].Connection = Reused; h.ID = "6f1d20" }, []int{1, 2}, "", ""},
		"a half":       {func(h *Header) { h.ID = "6f1d20" }, []int{4, 0, 7}, "", ""},
		"a round twice, as of two warm-ups that were refused": {func(h *Header) { h.ID = "6f1d20" }, []int{0, 0}, "", ""},

		"prompt":      {func(h *Header) { h.PromptSHA256 = "aa" }, nil, "they differ in prompt (9b74 and aa)", hint},
		"tokens":      {func(h *Header) { h.MaxTokens = 4096 }, nil, "they differ in max_tokens (100 and 4096)", hint},
		"stream":      {func(h *Header) { h.Stream = false }, nil, "they differ in stream (true and false)", hint},
		"attempts":    {func(h *Header) { h.Attempts = 1 }, nil, "they differ in attempts (3 and 1)", hint},
		"policy":      {func(h *Header) { h.Policy = "backoff" }, nil, "they differ in retry_policy (none and backoff)", hint},
		"delay":       {func(h *Header) { h.RetryDelay = time.Second }, nil, "they differ in retry_delay (none and 1s)", hint},
		"timeout":     {func(h *Header) { h.Timeout = time.Minute }, nil, "they differ in timeout (none and 1m0s)", hint},
		"connect":     {func(h *Header) { h.ConnectTimeout = time.Second }, nil, "they differ in connect_timeout (none and 1s)", hint},
		"idle":        {func(h *Header) { h.IdleTimeout = time.Second }, nil, "they differ in idle_timeout (none and 1s)", hint},
		"concurrency": {func(h *Header) { h.Concurrency = 5 }, nil, "they differ in concurrency (2 and 5)", hint},
		"warm-up":     {func(h *Header) { h.Warmup = 0 }, nil, "they differ in warmup (1 and 0)", hint},
		"race":        {func(h *Header) { h.Race = true }, nil, "they differ in race (false and true)", hint},
		"rate":        {func(h *Header) { h.Rate = 2.5 }, nil, "they differ in rate (0 and 2.5)", hint},
		"HTTP/3":      {func(h *Header) { h.Nodes[1].HTTP3 = "only" }, nil, "they differ in http3 of hongkong (none and only)", hint},
		"host":        {func(h *Header) { h.Nodes[1].Host = "hk2.example.com" }, nil, "they differ in url_host of hongkong (hk.example.com and hk2.example.com)", hint},
		"API":         {func(h *Header) { h.Nodes[2].API = "chat" }, nil, "they differ in api of hongkong (messages and chat)", hint},
		"model":       {func(h *Header) { h.Nodes[0].Model = "" }, nil, "they differ in model of direct (claude-haiku-5-5 and none)", hint},
		"proxy":       {func(h *Header) { h.Nodes[0].Proxy = "http://proxy.example.com" }, nil, "they differ in proxy of direct (none and http://proxy.example.com)", hint},
		"limit":       {func(h *Header) { h.Nodes[0].Limit = "50/min" }, nil, "they differ in limit of direct (none and 50/min)", hint},
		"request":     {func(h *Header) { h.Nodes[0].RequestSHA256 = "0123456789abcdef" }, nil, "they differ in request_sha256 of direct (none and 0123456789ab)", hint},
		"all of them": {func(h *Header) { h.MaxTokens, h.Timeout, h.Nodes[0].API = 4, time.Second, "chat" }, nil, "they differ in max_tokens (100 and 4), timeout (none and 1s), api of direct (messages and chat)", hint},

		"the same attempts": {func(h *Header) { h.ID = "6f1d20" }, []int{9, 0, 2}, "both contain round 2 of direct (cold) of the same run", "name each run once"},
	} {
		first := file(func(h *Header) { h.ID = "6f1d20" }, 3, 2, 1)
		middle := file(func(h *Header) { h.ID = "third"; h.Nodes = h.Nodes[:1] }, 1, 2, 3)
		err := checkMergeable([]*Run{first, middle, file(test.change, test.rounds...)}, []string{"a", "b", "c"})
		var want any
		if test.want != "" {
			want = "a and c cannot be merged: " + test.want
		}
		equal(t, name, []any{err, text.Hint(err)}, []any{want, test.hint})
	}
	for _, runs := range [][]*Run{nil, {file(func(*Header) {})}} {
		equal(t, fmt.Sprint("error with runs: ", len(runs)), checkMergeable(runs, []string{"a"}), nil)
	}
}
