package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// savedHeader is of a run with three contestants, two of them one node.
func savedHeader() Header {
	return Header{
		Schema: Schema, ID: "6f1d20", Started: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), Vantage: "上海",
		PromptSHA256: "9b74", MaxTokens: 100, Requests: 20, Concurrency: 2, Warmup: 1, Attempts: 3, Stream: true,
		Connections: "both", Seed: 7, Program: "1.0.0", Reference: "direct",
		Nodes: []Node{
			{"direct", "直连", "api.example.com", "messages", "claude-haiku-5-5", Cold},
			{"hongkong", "", "hk.example.com", "messages", "claude-haiku-5-5", Cold},
			{"hongkong", "", "hk.example.com", "messages", "claude-haiku-5-5", Reused},
		},
	}
}

const savedHead = `{"kind":"ferry bench","schema":1,"id":"6f1d20","started":"2026-11-02T09:30:00Z","vantage":"上海",` +
	`"prompt_sha256":"9b74","max_tokens":100,"requests":20,"concurrency":2,"warmup":1,"attempts":3,"stream":true,` +
	`"connections":"both","seed":7,"program":"1.0.0","reference":"direct","nodes":[` +
	`{"node":"direct","label":"直连","url_host":"api.example.com","api":"messages","model":"claude-haiku-5-5","connection":"cold"},` +
	`{"node":"hongkong","url_host":"hk.example.com","api":"messages","model":"claude-haiku-5-5","connection":"cold"},` +
	`{"node":"hongkong","url_host":"hk.example.com","api":"messages","model":"claude-haiku-5-5","connection":"reused"}]}` + "\n"

const savedFoot = `{"end":true,"elapsed_ns":9000000000,"stopped":"interrupted","scheduling_delay_ns":150000,` +
	`"clock_jump_ns":-2000000,"ended":{"1":"HTTP 401"},"unsent":{"2":4}}` + "\n"

// savedRequests are records with everything in them that there can be, and the lines that they make.
var savedRequests = []struct {
	record record
	lines  string
}{
	{
		record{
			Node: 0, Round: 0, Start: 1234 * time.Microsecond, Latency: 800*time.Millisecond + 3, TTFT: 300*time.Microsecond + 999,
			Phases: Phases{1, 2, 3, 4, 5}, Tokens: 12, Attempts: 1,
		},
		`{"node":0,"round":0,"start_ns":1200000,"latency_ns":800000003,"ttft_ns":300000,"tokens":12,"attempts":1,` +
			`"phases_ns":{"dns":1,"connect":2,"tls":3,"wait":4,"transfer":5}}` + "\n",
	},
	{
		record{
			Node: 2, Round: 0, Latency: 5 * time.Second, Lag: 7 * time.Microsecond, Phases: Phases{Wait: 9}, Attempts: 3, Fresh: true,
			Earlier: []Attempt{{"http_503", time.Second}, {"connect", 20}},
		},
		`{"more":true,"node":2,"round":0,"attempt":1,"class":"http_503","latency_ns":1000000000}` + "\n" +
			`{"more":true,"node":2,"round":0,"attempt":2,"class":"connect","latency_ns":20}` + "\n" +
			`{"node":2,"round":0,"start_ns":0,"latency_ns":5000000000,"lag_ns":7000,"attempts":3,"fresh":true,"phases_ns":{"wait":9}}` + "\n",
	},
	{
		record{Node: 1, Round: 19, Start: time.Second, Latency: 2, Class: "reset", Detail: "reset by <peer>\n\"连接\"", Attempts: 1},
		`{"node":1,"round":19,"start_ns":1000000000,"latency_ns":2,"class":"reset","detail":"reset by <peer>\n\"连接\"","attempts":1}` + "\n",
	},
}

// writes keeps each call's bytes.
type writes struct {
	mu   sync.Mutex
	all  []string
	room int // how many calls succeed, 0 for all
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	if w.room > 0 && len(w.all) > w.room {
		return 0, fmt.Errorf("full at call %d", len(w.all))
	}
	return len(p), nil
}

// measured is the run that an engine would have in memory, and what it has saved of it.
func measured(t testing.TB, w io.Writer) *Run {
	t.Helper()
	run := &Run{Header: savedHeader(), Elapsed: 9 * time.Second, Stopped: "interrupted",
		SchedulingDelay: 150 * time.Microsecond, ClockJump: -2 * time.Millisecond}
	for _, n := range run.Header.Nodes {
		run.Series = append(run.Series, newSeries(n, run.Header.Vantage))
	}
	run.Series[1].Ended, run.Series[2].Unsent = "HTTP 401", 4
	saved, err := NewWriter(w, run.Header)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range savedRequests {
		run.Series[r.record.Node].add(r.record.rounded())
		if err := saved.request(r.record); err != nil {
			t.Fatal(err)
		}
	}
	if err := saved.end(run); err != nil || saved.Err() != nil {
		t.Fatal(err, saved.Err())
	}
	return run
}

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
	if s := run.Series[2]; s.Len() != workers*each || s.Earlier["connect"] != workers*each {
		t.Errorf("%d requests, earlier %v", s.Len(), s.Earlier)
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
	if err := saved.end(&Run{}); err == nil || err != saved.Err() || err.Error() != "full at call 3" {
		t.Errorf("end: %v, kept %v", err, saved.Err())
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
		once, plain, rounded := r.rounded(), newSeries(Node{}, ""), newSeries(Node{}, "")
		if twice := once.rounded(); !reflect.DeepEqual(once, twice) {
			t.Errorf("%+v rounded is %+v, and again %+v", r, once, twice)
		}
		r.Latency = max(0, r.Latency)
		plain.add(r)
		rounded.add(once)
		if a, b := plain.chunks[0][0], rounded.chunks[0][0]; a != b {
			t.Errorf("%+v is %+v, rounded %+v", r, a, b)
		}
		if s := rounded.chunks[0][0]; s.Start() != once.Start || s.TTFT() != once.TTFT || s.Lag() != once.Lag {
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

// sameRun compares two runs by all that they have but their notes.
func sameRun(a, b *Run) error {
	ha, hb := a.Header, b.Header
	if !ha.Started.Equal(hb.Started) {
		return fmt.Errorf("started %v and %v", ha.Started, hb.Started)
	}
	ha.Started, hb.Started = time.Time{}, time.Time{}
	if !reflect.DeepEqual(ha, hb) || len(a.Series) != len(b.Series) {
		return fmt.Errorf("headers\n%+v\n%+v", ha, hb)
	}
	if a.Elapsed != b.Elapsed || a.Stopped != b.Stopped || a.SchedulingDelay != b.SchedulingDelay || a.ClockJump != b.ClockJump {
		return fmt.Errorf("runs\n%+v\n%+v", a, b)
	}
	for i, s := range a.Series {
		o := b.Series[i]
		if s.Node != o.Node || s.Vantage != o.Vantage || s.Ended != o.Ended || s.Unsent != o.Unsent || s.Phases != o.Phases {
			return fmt.Errorf("series %d\n%+v\n%+v", i, s, o)
		}
		if !maps.Equal(s.Details, o.Details) || !maps.Equal(s.Earlier, o.Earlier) {
			return fmt.Errorf("failures of %d: %v %v and %v %v", i, s.Details, s.Earlier, o.Details, o.Earlier)
		}
		was, is := slices.Collect(s.All()), slices.Collect(o.All())
		if !slices.Equal(was, is) {
			return fmt.Errorf("samples of %d\n%+v\n%+v", i, was, is)
		}
		for j := range was {
			if s.Class(was[j]) != o.Class(is[j]) {
				return fmt.Errorf("sample %d of %d: %q and %q", j, i, s.Class(was[j]), o.Class(is[j]))
			}
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	var file bytes.Buffer
	want := measured(t, &file)
	got, err := Read(iotest.OneByteReader(&file), "run.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if err := sameRun(want, got); err != nil {
		t.Error(err)
	}
	if len(got.Notes) != 0 {
		t.Errorf("notes %q", got.Notes)
	}
	if s := got.Series[2]; s.Len() != 1 || s.Earlier["http_503"] != 1 || s.Phases.Wait != 9 || s.Phases.N != 1 {
		t.Errorf("the retried request is %+v", s)
	}
	if got.Series[1].Details["reset"] != savedRequests[2].record.Detail {
		t.Errorf("details %q", got.Series[1].Details)
	}
}

// TestReadVersion1 holds the format: a file that an earlier ferry wrote stays readable.
func TestReadVersion1(t *testing.T) {
	file, err := os.Open("testdata/saved-v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := Read(file, "saved-v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if err := sameRun(measured(t, io.Discard), got); err != nil {
		t.Error(err)
	}
}

// TestReadCut cuts a file after each of its bytes: what stands before is used, whole requests only.
func TestReadCut(t *testing.T) {
	var out writes
	measured(t, &out)
	file := strings.Join(out.all, "")
	// requests[i] is how many are whole once line i+1 is; the earlier attempts of one are not.
	requests := []int{0, 1, 1, 1, 2, 3, 3}
	lines, end := 0, 0
	for size := range file {
		for lines < len(out.all) && size >= end+len(out.all[lines]) {
			end += len(out.all[lines])
			lines++
		}
		run, err := Read(strings.NewReader(file[:size]), "run.jsonl")
		if lines == 0 {
			if err == nil {
				t.Errorf("%d bytes of the header are enough", size)
			}
			continue
		}
		if err != nil {
			t.Errorf("at byte %d: %v", size, err)
			continue
		}
		got := 0
		for _, s := range run.Series {
			got += s.Len()
		}
		waiting := map[int]int{3: 1, 4: 2}[lines] // earlier attempts whose request is gone
		if got, want := run.Series[2].Earlier["http_503"] == 1, lines >= 5; got != want {
			t.Errorf("at byte %d: earlier %v", size, run.Series[2].Earlier)
		}
		if got != requests[lines-1] {
			t.Errorf("at byte %d: %d requests, want %d", size, got, requests[lines-1])
		}
		notes := []string{"run.jsonl: the run did not come to its end by itself; what it had measured is used"}
		switch {
		case size > end:
			notes = append([]string{fmt.Sprintf("run.jsonl: line %d is cut; the other %d are used", lines+1, lines-waiting)}, notes...)
		case waiting > 0:
			notes = append([]string{fmt.Sprintf("run.jsonl: the request of line %d is cut; the other %d lines are used", lines, lines-waiting)}, notes...)
		}
		if !slices.Equal(run.Notes, notes) {
			t.Errorf("at byte %d: notes %q, want %q", size, run.Notes, notes)
		}
		// The longest one is from 0 to 5 s.
		want := []time.Duration{0, 801200003, 801200003, 801200003, 5 * time.Second, 5 * time.Second}[lines-1]
		if run.Elapsed != want {
			t.Errorf("at byte %d: elapsed %v, want %v", size, run.Elapsed, want)
		}
	}
}

// TestReadGarbledEnd is of a last line that has its end, as after a crash that left zeros.
func TestReadGarbledEnd(t *testing.T) {
	for _, end := range []string{"\x00\x00\x00\x00", "\x00\x00\n", `{"node":0,"rou` + "\n", "x"} {
		run, err := Read(strings.NewReader(savedHead+savedRequests[0].lines+end), "a")
		if err != nil || run.Series[0].Len() != 1 || run.Notes[0] != "a: line 3 is cut; the other 2 are used" {
			t.Errorf("%q: %v, %+v", end, err, run)
		}
	}
	// Empty lines are nobody's fault.
	run, err := Read(strings.NewReader(savedHead+"\r\n"+savedRequests[0].lines+savedFoot+"\n \n"), "a")
	if err != nil || len(run.Notes) != 0 || run.Series[0].Len() != 1 {
		t.Errorf("empty lines: %v, %+v", err, run)
	}
}

func TestReadRefuses(t *testing.T) {
	ok := savedRequests[0].lines
	line := func(text string) string { return savedHead + text + "\n" + ok }
	const request = `{"node":0,"round":0,"latency_ns":1,"attempts":1`
	for _, test := range []struct{ file, want string }{
		{"", "a: it does not begin with the header of a saved run"},
		{"\n", "a: line 1: it does not begin with the header of a saved run"},
		{strings.TrimSuffix(savedHead, "\n"), "a: line 1: it does not begin with the header of a saved run"},
		{`{"schema":1,"model":"m","nodes":[]}` + "\n", "a: line 1: it does not begin with the header of a saved run"},
		{ok + savedHead, "a: line 1: it does not begin with the header of a saved run"},
		{strings.Replace(savedHead, `"schema":1`, `"schema":2`, 1), "a: line 1: it is a saved run of version 2, and this ferry reads version 1"},
		{`{"kind":"ferry bench","schema":2,"nodes":"elsewhere"}` + "\n", "a: line 1: it is a saved run of version 2, and this ferry reads version 1"},
		{`{"kind":"ferry bench"}` + "\n", "a: line 1: it is a saved run of version 0, and this ferry reads version 1"},
		{`{"kind":"ferry bench","schema":1,"id":"x"}` + "\n", "a: line 1: the header cannot be right: it has no nodes"},
		{`{"kind":"ferry bench","schema":1,"nodes":[{}]}` + "\n", "a: line 1: the header cannot be right: it has no ID"},
		{strings.Replace(savedHead, `"warmup":1`, `"warmup":-1`, 1), "a: line 1: the header cannot be right: one of the plan's numbers is below 0"},
		{`{"kind":"ferry bench","schema":1,"id":"x","nodes":[` + strings.Repeat(`{},`, maxNodes) + `{}]}` + "\n", "a: line 1: the header cannot be right: it has 1001 nodes, and 1000 are the most"},
		{`{"kind":"ferry bench","schema":1,"id":"x","nodes":[{"node":3}]}` + "\n", "a: line 1: the header cannot be understood: json: "},
		{line(`{"node":0,`), "a: line 2: it cannot be understood: unexpected end of JSON input"},
		{line(`{"node":"hk"}`), "a: line 2: it cannot be understood: json: "},
		{savedHead + `{"node":"hk"}` + "\n", "a: line 2: it cannot be understood: json: "},
		{line(`[]`), "a: line 2: it cannot be understood: json: "},
		{line(`{}`), "a: line 2: a request has at least 1 attempt, and no fewer tokens than 0"},
		{line(`{"node":3,"round":0,"attempts":1}`), "a: line 2: there is no node 3 in the header"},
		{line(`{"node":-1,"round":0,"attempts":1}`), "a: line 2: there is no node -1 in the header"},
		{line(`{"node":0,"round":20,"attempts":1}`), "a: line 2: there is no round 20 in the plan"},
		{line(`{"node":0,"round":-1,"attempts":1}`), "a: line 2: there is no round -1 in the plan"},
		{strings.Replace(line(`{"node":0,"round":4294967296,"attempts":1}`), `"requests":20`, `"requests":0`, 1), "a: line 2: there is no round 4294967296 in the plan"},
		{line(request + `,"start_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(request + `,"latency_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(request + `,"latency_ns":9007199254740993}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(request + `,"ttft_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(request + `,"lag_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(request + `,"phases_ns":{"tls":-1}}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(request + `,"tokens":-1}`), "a: line 2: a request has at least 1 attempt, and no fewer tokens than 0"},
		{line(`{"more":true,"node":0,"round":0,"attempt":2,"latency_ns":1}`), "a: line 2: attempt 2 comes where attempt 1 is due"},
		{line(`{"more":true,"node":0,"round":0,"attempt":1,"latency_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(`{"more":true,"node":1,"round":0,"attempt":1}`), "a: line 3: the request of the line before has no last attempt"},
		{line(`{"more":true,"node":0,"round":1,"attempt":1}`), "a: line 3: the request of the line before has no last attempt"},
		{savedHead + `{"more":true,"node":0,"round":0,"attempt":1}` + "\n" + savedFoot, "a: line 3: the request of the line before has no last attempt"},
		{savedHead + ok + savedFoot + savedHead, "a: line 4: a second header: files have been joined here"},
		{savedHead + ok + savedFoot + ok, "a: line 4: it stands behind the end of the run"},
		{savedHead + savedFoot + savedFoot, "a: line 3: it stands behind the end of the run"},
		{line(`{"end":true,"elapsed_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(`{"end":true,"scheduling_delay_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(`{"end":true,"ended":{"3":"x"}}`), "a: line 2: there is no node 3 in the header"},
		{line(`{"end":true,"unsent":{"-1":2}}`), "a: line 2: 2 requests unsent to node -1 cannot be right"},
		{line(`{"end":true,"unsent":{"0":-2}}`), "a: line 2: -2 requests unsent to node 0 cannot be right"},
		{line(strings.Repeat(" ", maxLine)), "a: line 2: it is longer than 1048576 bytes"},
		{savedHead + strings.Repeat("x", maxLine), "a: line 2: it is longer than 1048576 bytes"},
		{strings.Repeat("x", maxLine+1), "a: line 1: it is longer than 1048576 bytes"},
	} {
		run, err := Read(strings.NewReader(test.file), "a")
		var bad *FileError
		if run != nil || !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), test.want) || bad.Name != "a" {
			t.Errorf("%.150s\nis %v, want %s", strings.TrimPrefix(test.file, savedHead), err, test.want)
		}
	}
}

// TestReadHints holds what a user gets told where he can do something.
func TestReadHints(t *testing.T) {
	for file, want := range map[string]string{
		"{}\n": "a saved run is the lines that ferry bench keeps of every attempt, not its report",
		`{"kind":"ferry bench","schema":2}` + "\n": "a newer ferry wrote it, and reads it",
		savedHead + savedFoot + savedHead:          "name the files one after the other instead",
		savedHead + "[]\n":                         "",
	} {
		_, err := Read(strings.NewReader(file), "a")
		var bad *FileError
		if !errors.As(err, &bad) || bad.Hint() != want {
			t.Errorf("%v has the hint %q, want %q", err, bad.Hint(), want)
		}
	}
}

// TestReadLongLine takes a line far above 64 KiB: it is only odd.
func TestReadLongLine(t *testing.T) {
	long := `{"node":0,"round":0,"latency_ns":1,"attempts":1,"later":"` + strings.Repeat("x", 900_000) + `"}` + "\n"
	run, err := Read(strings.NewReader(savedHead+long+savedRequests[0].lines+savedFoot), "a")
	if err != nil || run.Series[0].Len() != 2 {
		t.Errorf("%v, %+v", err, run)
	}
}

// TestReadError holds an error of the system's apart from the end of the file.
func TestReadError(t *testing.T) {
	broken := errors.New("input/output error")
	for _, before := range []string{"", savedHead[:20], savedHead, savedHead + savedRequests[0].lines[:9]} {
		_, err := Read(io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken)), "a")
		var bad *FileError
		if !errors.As(err, &bad) || !errors.Is(err, broken) || bad.Error() != "a: it cannot be read: input/output error" {
			t.Errorf("after %d bytes: %v", len(before), err)
		}
	}
}

// endless gives the same line over and over, n times.
type endless struct {
	line string
	n    int
	left string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == "" {
		if e.n == 0 {
			return 0, io.EOF
		}
		e.n--
		e.left = e.line
	}
	n := copy(p, e.left)
	e.left = e.left[n:]
	return n, nil
}

// TestReadMemory holds a run in memory to 40 bytes a sample, failures included, however its lines look.
func TestReadMemory(t *testing.T) {
	const n = 30_000
	head := strings.Replace(savedHead, `"requests":20`, `"requests":0`, 1)
	for _, line := range []string{savedRequests[0].lines, savedRequests[1].lines, savedRequests[2].lines} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.GC() // the second empties the pools
		runtime.ReadMemStats(&before)
		run, err := Read(io.MultiReader(strings.NewReader(head), &endless{line: line, n: n}), "a")
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		kept := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / n
		if kept < 30 || kept > 40 {
			t.Errorf("%.1f bytes a sample of %s", kept, line)
		}
		runtime.KeepAlive(run)
	}
}

// rewrite saves a run that was read. What a run keeps only in sums stands with its first requests.
func rewrite(t testing.TB, run *Run) []byte {
	var file bytes.Buffer
	saved, err := NewWriter(&file, run.Header)
	if err != nil {
		t.Fatalf("a header that was read cannot be written: %v", err)
	}
	for i, s := range run.Series {
		var earlier []Attempt
		for class, n := range s.Earlier {
			for range n {
				earlier = append(earlier, Attempt{Class: class})
			}
		}
		sum, left := s.Phases, time.Duration(s.Phases.N)
		for sample := range s.All() {
			r := record{
				Node: i, Round: int(sample.Round), Start: sample.Start(), Latency: sample.Latency, TTFT: sample.TTFT(),
				Lag: sample.Lag(), Tokens: int64(sample.Tokens), Class: s.Class(sample), Attempts: int(sample.Attempts),
				Earlier: earlier, Fresh: sample.Fresh,
			}
			r.Detail, earlier = s.Details[r.Class], nil
			if sample.OK() {
				p := Phases{sum.DNS / left, sum.Connect / left, sum.TLS / left, sum.Wait / left, sum.Transfer / left}
				sum.add(Phases{-p.DNS, -p.Connect, -p.TLS, -p.Wait, -p.Transfer})
				r.Phases = p
				left--
			}
			if err := saved.request(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := saved.end(run); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// FuzzRead reads anything without a panic and without more memory than it has lines, and what it accepts is the same once
// written and read again.
func FuzzRead(f *testing.F) {
	var file bytes.Buffer
	measured(f, &file)
	f.Add(file.Bytes())
	f.Add(file.Bytes()[:file.Len()-20])
	f.Add([]byte(`{"kind":"ferry bench","schema":1,"id":"x","nodes":[{}]}` + "\n" + `{"attempts":900,"class":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Read(bytes.NewReader(data), "a")
		if err != nil {
			var bad *FileError
			if run != nil || !errors.As(err, &bad) || bad.Name != "a" || bad.Line > bytes.Count(data, []byte("\n"))+1 {
				t.Fatalf("%v, %+v", err, run)
			}
			return
		}
		samples := 0
		for _, s := range run.Series {
			samples += s.Len()
			for class, detail := range s.Details {
				if words(class) != class || words(detail) != detail {
					return // longer than a Writer makes them
				}
			}
			for class := range s.Earlier {
				if words(class) != class {
					return
				}
			}
		}
		if lines := bytes.Count(data, []byte("\n")); samples > lines || len(run.Notes) > 2 {
			t.Fatalf("%d samples in %d lines, notes %q", samples, lines, run.Notes)
		}
		again, err := Read(bytes.NewReader(rewrite(t, run)), "b")
		if err != nil {
			t.Fatal(err)
		}
		if err := sameRun(run, again); err != nil || len(again.Notes) != 0 {
			t.Fatalf("%v, notes %q", err, again.Notes)
		}
	})
}

func TestMixable(t *testing.T) {
	// file is a run with samples of its first contestant in some rounds.
	file := func(change func(*Header), rounds ...int) *Run {
		run := &Run{Header: savedHeader()}
		run.Header.ID = "another"
		change(&run.Header)
		for _, n := range run.Header.Nodes {
			run.Series = append(run.Series, newSeries(n, run.Header.Vantage))
		}
		for _, round := range rounds {
			run.Series[0].add(record{Round: round, Attempts: 1, Latency: 1})
		}
		return run
	}
	const hint = "only runs of the same request, asked in the same way, can be merged"
	for name, test := range map[string]struct {
		change     func(*Header)
		rounds     []int
		want, hint string
	}{
		"a place":      {func(h *Header) { h.Vantage = "北京" }, []int{1, 2}, "", ""},
		"the rest":     {func(h *Header) { h.Seed, h.Requests, h.Warmup, h.Reference = 8, 9, 0, "hongkong" }, []int{1, 2}, "", ""},
		"a label":      {func(h *Header) { h.Nodes[0].Label = "" }, nil, "", ""},
		"other nodes":  {func(h *Header) { h.Nodes = []Node{{Name: "qwen", API: "chat", Connection: Cold}} }, []int{1}, "", ""},
		"a connection": {func(h *Header) { h.Nodes[0].Connection = Reused; h.ID = "6f1d20" }, []int{1, 2}, "", ""},
		"a half":       {func(h *Header) { h.ID = "6f1d20" }, []int{4, 0, 7}, "", ""},
		"a round twice, as of two warm-ups that were refused": {func(h *Header) { h.ID = "6f1d20" }, []int{0, 0}, "", ""},

		"schema":   {func(h *Header) { h.Schema = 2 }, nil, "their versions are 1 and 2", hint},
		"prompt":   {func(h *Header) { h.PromptSHA256 = "aa" }, nil, "their prompts differ", hint},
		"tokens":   {func(h *Header) { h.MaxTokens = 4096 }, nil, "max_tokens is 100 and 4096", hint},
		"stream":   {func(h *Header) { h.Stream = false }, nil, "only one of them streamed", hint},
		"attempts": {func(h *Header) { h.Attempts = 1 }, nil, "a request had up to 3 and up to 1 attempts", hint},
		"loop":     {func(h *Header) { h.Rate = 2 }, nil, "only one of them sent at a fixed rate", hint},
		"host":     {func(h *Header) { h.Nodes[1].Host = "hk2.example.com" }, nil, "the host of hongkong is hk.example.com and hk2.example.com", hint},
		"API":      {func(h *Header) { h.Nodes[2].API = "chat" }, nil, "the API of hongkong is messages and chat", hint},
		"model":    {func(h *Header) { h.Nodes[0].Model = "" }, nil, "the model of direct is claude-haiku-5-5 and none", hint},

		"the same attempts": {func(h *Header) { h.ID = "6f1d20" }, []int{9, 0, 2}, "both hold round 2 of direct (cold) of the same run", "name each run once"},
	} {
		first := file(func(h *Header) { h.ID = "6f1d20" }, 3, 2, 1)
		middle := file(func(h *Header) { h.ID = "third"; h.Nodes = h.Nodes[:1] }, 1, 2, 3)
		err := Mixable([]*Run{first, middle, file(test.change, test.rounds...)}, []string{"a", "b", "c"})
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var mix *MixError
		if !errors.As(err, &mix) || err.Error() != "a and c cannot be merged: "+test.want || mix.Hint() != test.hint {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	fast, faster := file(func(h *Header) { h.Rate = 2 }), file(func(h *Header) { h.Rate = 2.5; h.ID = "x" })
	if err := Mixable([]*Run{fast, faster}, []string{"a", "b"}); err == nil || err.Error() != "a and b cannot be merged: they sent at 2 and 2.5 requests per second" {
		t.Errorf("rates: %v", err)
	}
	if err := Mixable(nil, nil); err != nil {
		t.Errorf("no runs: %v", err)
	}
	if err := Mixable([]*Run{fast}, []string{"a"}); err != nil {
		t.Errorf("one run: %v", err)
	}
}

func BenchmarkRequest(b *testing.B) {
	saved, err := NewWriter(io.Discard, savedHeader())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := saved.request(savedRequests[0].record); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	lines := &endless{line: savedRequests[0].lines, n: b.N}
	if _, err := Read(io.MultiReader(strings.NewReader(savedHead), lines), "a"); err != nil {
		b.Fatal(err)
	}
}

// TestSavedFields holds every field of a record to be in a saved run: one that is added and left out would be lost.
func TestSavedFields(t *testing.T) {
	text, err := json.Marshal(requestLine{savedRequests[1].record, savedPhases{}})
	if err != nil {
		t.Fatal(err)
	}
	var l anyLine
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	want := savedRequests[1].record
	want.Phases, want.Earlier = Phases{}, nil // in lines and words of their own
	if !reflect.DeepEqual(l.record, want) {
		t.Errorf("%+v, want %+v", l.record, want)
	}
}
