package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ferry/pkg/text"
)

// A run that is read equals the run that was measured, and a file of version 1 stays readable.
func TestReadWhatWasMeasured(t *testing.T) {
	var file bytes.Buffer
	want := measured(t, &file)
	for name, saved := range map[string]string{"version 1": savedFile, "today's": file.String()} {
		got := read(t, iotest.OneByteReader(strings.NewReader(saved)))
		equal(t, name, asText(got), asText(want))
		equal(t, name+": notes", got.Notes, []Message{})
	}
}

// TestReadCut cuts a file after each of its bytes. Only complete requests before the cut are used.
func TestReadCut(t *testing.T) {
	var out writes
	measured(t, &out)
	file := strings.Join(out.all, "")
	// requests[i] is the number of complete requests in the first i+1 lines. The earlier attempts of an incomplete
	// request do not count.
	requests := []int{0, 1, 1, 1, 2, 3, 3}
	lines, end := 0, 0
	for size := range file {
		for lines < len(out.all) && size >= end+len(out.all[lines]) {
			end += len(out.all[lines])
			lines++
		}
		run, err := Read(strings.NewReader(file[:size]), "a")
		if (err != nil) != (lines == 0) {
			t.Errorf("at byte %d, in line %d: got %v, want an error within the header alone", size, lines+1, err)
		}
		if err != nil {
			continue
		}
		got := 0
		for _, s := range run.Series {
			got += s.samples.len()
		}
		waiting := map[int]int{3: 1, 4: 2}[lines] // earlier attempts whose request is missing
		notes := []string{"a: the run did not finish; the requests saved so far are used"}
		switch {
		case size > end:
			notes = append([]string{fmt.Sprintf("a: line %d is incomplete; the other %d lines are used", lines+1, lines-waiting)}, notes...)
		case waiting > 0:
			notes = append([]string{fmt.Sprintf("a: the request of line %d is incomplete; the other %d lines are used", lines, lines-waiting)}, notes...)
		}
		// The longest request is from 0 to 5 s.
		elapsed := []time.Duration{0, 801200003, 801200003, 801200003, 5 * time.Second, 5 * time.Second}[lines-1]
		equal(t, fmt.Sprintf("requests, elapsed and notes at byte %d", size),
			[]any{got, run.Elapsed, notes}, []any{requests[lines-1], elapsed, run.Notes})
	}
}

// read reads a complete saved run.
func read(t *testing.T, r io.Reader) *Run {
	t.Helper()
	run, err := Read(r, "a")
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestReadGarbledEnd reads a last line with garbage at its end, such as zeros after a crash.
func TestReadGarbledEnd(t *testing.T) {
	for _, end := range []string{"\x00\x00\x00\x00", "\x00\x00\n", `{"node":0,"rou` + "\n", "x"} {
		run := read(t, strings.NewReader(savedHead+requestLines[0]+end))
		equal(t, end, []any{run.Series[0].samples.len(), run.Notes[0]}, []any{1, "a: line 3 is incomplete; the other 2 lines are used"})
	}
	run := read(t, strings.NewReader(savedHead+"\r\n"+requestLines[0]+savedFoot+"\n \n"))
	equal(t, "requests and notes between empty lines", []any{run.Series[0].samples.len(), len(run.Notes)}, []any{1, 0})
}

func TestReadRefuses(t *testing.T) {
	ok := requestLines[0]
	line := func(line string) string { return savedHead + line + "\n" + ok }
	const request = `{"node":0,"round":0,"latency_ns":1,"attempts":1`
	for _, test := range []struct{ file, want string }{
		{"", "a: it does not begin with the header of a saved run"},
		{"\n", "a: line 1: it does not begin with the header of a saved run"},
		{strings.TrimSuffix(savedHead, "\n"), "a: line 1: it does not begin with the header of a saved run"},
		{`{"schema":1,"model":"m","nodes":[]}` + "\n", "a: line 1: it does not begin with the header of a saved run"},
		{ok + savedHead, "a: line 1: it does not begin with the header of a saved run"},
		{strings.Replace(savedHead, `"schema":2`, `"schema":3`, 1), "a: line 1: it is a saved run of version 3, and this ferry reads versions 1 to 2"},
		{`{"kind":"ferry bench","schema":3,"nodes":"elsewhere"}` + "\n", "a: line 1: it is a saved run of version 3, and this ferry reads versions 1 to 2"},
		{`{"kind":"ferry bench"}` + "\n", "a: line 1: it is a saved run of version 0, and this ferry reads versions 1 to 2"},
		{`{"kind":"ferry bench","schema":1,"id":"x"}` + "\n", "a: line 1: the header is invalid: it has no nodes"},
		{`{"kind":"ferry bench","schema":1,"nodes":[{}]}` + "\n", "a: line 1: the header is invalid: it has no ID"},
		{strings.Replace(savedHead, `"warmup":1`, `"warmup":-1`, 1), "a: line 1: the header is invalid: one of the plan's numbers is below 0"},
		{`{"kind":"ferry bench","schema":1,"id":"x","nodes":[` + strings.Repeat(`{},`, maxNodes) + `{}]}` + "\n", "a: line 1: the header is invalid: it has 1001 nodes, and the maximum is 1000"},
		{`{"kind":"ferry bench","schema":1,"id":"x","nodes":[{"node":3}]}` + "\n", "a: line 1: the header cannot be parsed: json: "},
		{line(`{"node":0,`), "a: line 2: it cannot be parsed: unexpected end of JSON input"},
		{line(`{"node":"hk"}`), "a: line 2: it cannot be parsed: json: "},
		{savedHead + `{"node":"hk"}` + "\n", "a: line 2: it cannot be parsed: json: "},
		{line(`[]`), "a: line 2: it cannot be parsed: json: "},
		{line(`{}`), "a: line 2: a request needs at least 1 attempt, and its tokens cannot be below 0"},
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
		{line(request + `,"tokens":-1}`), "a: line 2: a request needs at least 1 attempt, and its tokens cannot be below 0"},
		{line(`{"more":true,"node":0,"round":0,"attempt":2,"latency_ns":1}`), "a: line 2: attempt 2 is here, but attempt 1 is expected"},
		{line(`{"more":true,"node":0,"round":0,"attempt":1,"latency_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(`{"more":true,"node":1,"round":0,"attempt":1}`), "a: line 3: the request before this line has no last attempt"},
		{line(`{"more":true,"node":0,"round":1,"attempt":1}`), "a: line 3: the request before this line has no last attempt"},
		{savedHead + `{"more":true,"node":0,"round":0,"attempt":1}` + "\n" + savedFoot, "a: line 3: the request before this line has no last attempt"},
		{savedHead + ok + savedFoot + savedHead, "a: line 4: a second header: several files were joined"},
		{savedHead + ok + savedFoot + ok, "a: line 4: it comes after the end of the run"},
		{savedHead + savedFoot + savedFoot, "a: line 3: it comes after the end of the run"},
		{line(`{"end":true,"elapsed_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(`{"end":true,"scheduling_delay_ns":-1}`), "a: line 2: a time is below 0, or longer than 2501h59m59.254740992s"},
		{line(`{"end":true,"ended":{"3":"x"}}`), "a: line 2: there is no node 3 in the header"},
		{line(`{"end":true,"unsent":{"-1":2}}`), "a: line 2: 2 unsent requests for node -1 are invalid"},
		{line(`{"end":true,"unsent":{"0":-2}}`), "a: line 2: -2 unsent requests for node 0 are invalid"},
		{line(strings.Repeat(" ", maxLine)), "a: line 2: it is longer than 1048576 bytes"},
		{savedHead + strings.Repeat("x", maxLine), "a: line 2: it is longer than 1048576 bytes"},
		{strings.Repeat("x", maxLine+1), "a: line 1: it is longer than 1048576 bytes"},
	} {
		run, err := Read(strings.NewReader(test.file), "a")
		if run != nil || err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%.150s\ngot %v, want %s", strings.TrimPrefix(test.file, savedHead), err, test.want)
			continue
		}
		hint := ""
		for what, advice := range map[string]string{
			"does not begin": "use the file that ferry bench --save wrote, not a report",
			"of version 3":   "a newer ferry wrote it: use that version to read it",
			"second header":  "give the files as separate arguments instead",
		} {
			if strings.Contains(test.want, what) {
				hint = advice
			}
		}
		if got := text.Hint(err); got != hint {
			t.Errorf("%v: got the hint %q, want %q", err, got, hint)
		}
	}
}

// TestReadLongLine reads a line far above 64 KiB, which is allowed.
func TestReadLongLine(t *testing.T) {
	long := `{"node":0,"round":0,"latency_ns":1,"attempts":1,"later":"` + strings.Repeat("x", 900_000) + `"}` + "\n"
	equal(t, "requests", read(t, strings.NewReader(savedHead+long+requestLines[0]+savedFoot)).Series[0].samples.len(), 2)
}

// TestReadError checks that a system error is not treated as the end of the file.
func TestReadError(t *testing.T) {
	broken := errors.New("input/output error")
	for _, before := range []string{"", savedHead[:20], savedHead, savedHead + requestLines[0][:9]} {
		_, err := Read(io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken)), "a")
		if !errors.Is(err, broken) || err.Error() != "a: it cannot be read: input/output error" {
			t.Errorf("after %d bytes: got %v, want %v", len(before), err, broken)
		}
	}
}

// TestReadMemory checks that a run in memory needs at most 40 bytes a sample, failures included, whatever its lines,
// and that two merged runs need at most 64 with their report.
func TestReadMemory(t *testing.T) {
	skipIfShort(t, "90,000 lines, weighed")
	const n = 30_000
	head := strings.Replace(savedHead, `"requests":20`, `"requests":0`, 1)
	for _, lines := range requestLines {
		file := head + strings.Repeat(lines, n)
		before := heap()
		run := read(t, strings.NewReader(file))
		if kept := (heap() - before) / n; kept < 30 || kept > 40 {
			t.Errorf("got %.1f bytes a sample of %s, want 30 to 40", kept, lines)
		}
		other := read(t, strings.NewReader(strings.Replace(file, "6f1d20", "second", 1)))
		merged := Summarise([]*Run{run, other})
		if kept := (heap() - before) / (2 * n); kept > 64 {
			t.Errorf("got %.1f bytes a sample of %s merged, want at most 64", kept, lines)
		}
		runtime.KeepAlive(run)
		runtime.KeepAlive(other)
		runtime.KeepAlive(merged)
		runtime.KeepAlive(file)
	}
}

// heap returns how many bytes are in use.
func heap() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // the second empties the pools
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// rewrite saves a run that was read. Values that a run has only as sums are saved with its first requests.
func rewrite(t testing.TB, run *Run) []byte {
	var file bytes.Buffer
	saved, err := NewWriter(&file, run.Header)
	if err != nil {
		t.Fatalf("a header that was read cannot be written: %v", err)
	}
	for i, s := range run.Series {
		sum := s.Phases
		for sample := range s.samples.all() {
			r := Outcome{
				Node: i, Round: int(sample.Round), Start: sample.Start(), Latency: sample.Latency, TTFT: sample.TTFT(),
				Lag: sample.Lag(), OutputTokens: int64(sample.Tokens()), Class: s.Class(sample), Attempts: int(sample.Attempts()),
				Fresh: sample.Fresh(), TextTokens: int64(sample.textTokens()), Chunks: int64(sample.chunks()),
			}
			r.Detail = s.Details[r.Class]
			if sample.OK() {
				r.Phases = sum
				p := r.rounded().Phases // not more than one request may have
				sum.add(Phases{-p.DNS, -p.Connect, -p.TLS, -p.Wait, -p.Transfer})
			}
			saved.request(r.rounded())
		}
	}
	if err := saved.end(run); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// FuzzRead reads any data without a panic, and never returns more samples than there are lines. A run that it accepts
// is the same after it was written and read again.
func FuzzRead(f *testing.F) {
	var file bytes.Buffer
	measured(f, &file)
	f.Add(file.Bytes())
	f.Add(file.Bytes()[:file.Len()-20])
	f.Add([]byte(`{"kind":"ferry bench","schema":1,"id":"x","nodes":[{}]}` + "\n" + `{"attempts":900,"class":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Read(bytes.NewReader(data), "a")
		if err != nil {
			var line int
			_, _ = fmt.Sscanf(err.Error(), "a: line %d:", &line)
			if run != nil || !strings.HasPrefix(err.Error(), "a: ") || line > bytes.Count(data, []byte("\n"))+1 {
				t.Fatalf("got %v, %+v, want an error of a line that is there", err, run)
			}
			return
		}
		samples := 0
		for _, s := range run.Series {
			samples += s.samples.len()
			for class, detail := range s.Details {
				if validText(class) != class || validText(detail) != detail {
					return // longer than the lines of a Writer
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
		equal(t, "the same run, written and read again", asText(again), asText(run))
		equal(t, "its notes", again.Notes, []Message{})
	})
}

// TestFiles writes runs to files and reads them again: all, or only the runs from one place.
func TestFiles(t *testing.T) {
	var names []string
	for i, vantage := range []string{"上海", "北京"} {
		name := filepath.Join(t.TempDir(), "run.jsonl")
		h := savedHeader()
		h.ID, h.Vantage = strconv.Itoa(i), vantage
		w, err := Create(name, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range savedRequests {
			w.request(r.rounded())
		}
		if err := cmp.Or(w.err, w.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(name, h); err == nil || text.Hint(err) == "" {
			t.Errorf("a second run in %s: got %v, want an error with a hint", name, err)
		}
		names = append(names, name)
	}
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if w, err := Create(empty, savedHeader()); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(empty); err == nil {
		t.Error("a run without a request was kept")
	}
	if n := SavedSamples(append(names, empty)); n < 2 {
		t.Errorf("got %d samples, want more", n)
	}
	for _, tt := range []struct {
		names, vantages []string
		runs            int
		want            string
	}{
		{names, []string{"北京"}, 1, ""},
		{names, []string{"广州"}, 0, "none of the runs is from 广州"},
		{[]string{empty}, nil, 0, "cannot read " + empty},
	} {
		runs, err := ReadFiles(tt.names, tt.vantages)
		if len(runs) != tt.runs || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %d runs, %v; want %d, %q", tt.vantages, len(runs), err, tt.runs, tt.want)
		}
	}
}
