package bench

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// rewrite saves a run that was read. What a run keeps only in sums stands with its first requests.
func rewrite(t testing.TB, run *Run) []byte {
	var file bytes.Buffer
	saved, err := NewWriter(&file, run.Header)
	if err != nil {
		t.Fatalf("a header that was read cannot be written: %v", err)
	}
	for i, s := range run.Series {
		sum, left := s.Phases, time.Duration(s.Phases.N)
		for sample := range s.All() {
			r := record{
				Node: i, Round: int(sample.Round), Start: sample.Start(), Latency: sample.Latency, TTFT: sample.TTFT(),
				Lag: sample.Lag(), Tokens: int64(sample.Tokens), Class: s.Class(sample), Attempts: int(sample.Attempts),
				Fresh: sample.Fresh,
			}
			r.Detail = s.Details[r.Class]
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
			var line int
			_, _ = fmt.Sscanf(err.Error(), "a: line %d:", &line)
			if run != nil || !strings.HasPrefix(err.Error(), "a: ") || line > bytes.Count(data, []byte("\n"))+1 {
				t.Fatalf("got %v, %+v, want an error of a line that is there", err, run)
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
