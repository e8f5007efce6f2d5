package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/wire"
)

func TestParseItem(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"hello", `3 "hello" "" 0`},
		{" hello\t\r", `3 " hello\t" "" 0`},
		{"\ufeffhello", `3 "\ufeffhello" "" 0`}, // a mark is one at the start of the file alone
		{"[1]", `3 "[1]" "" 0`},
		{`{"prompt":"p"}`, `3 "p" "" 0`},
		{`  {"id":"a","prompt":"p","model":"m","max_tokens":5,"system":null}` + "\r", `a "p" "m" 5`},
		{`{"id":7,"prompt":"p"}`, `7 "p" "" 0`},
		{`{"id":-7,"prompt":"p"}`, `-7 "p" "" 0`},
		{`{"id":null,"prompt":"p"}`, `3 "p" "" 0`},
		{"", "blank"},
		{" \t\r", "blank"},
		{`{`, "line 3: no valid object: it is cut"},
		{`{"prompt":"p"} x`, "line 3: something stands behind the object"},
		{`{"prompt":"p","promt":"q"}`, `line 3: no valid object: unknown field "promt"`},
		{`{"prompt":5}`, "line 3: no valid object: prompt cannot be a number"},
		{`{"id":"a"}`, "line 3: the object has no prompt"},
		{`{"prompt":" "}`, "line 3: the prompt is empty"},
		{`{"prompt":"\u0000"}`, "line 3: the prompt has a NUL byte"},
		{`{"prompt":"p","max_tokens":0}`, "line 3: max_tokens wants a whole number above 0"},
		{`{"prompt":"p","max_tokens":1.5}`, "line 3: no valid object: max_tokens cannot be a number 1.5"},
		{`{"prompt":"p","id":1.5}`, "line 3: the id wants a text or a whole number"},
		{`{"prompt":"p","id":["a"]}`, "line 3: the id wants a text or a whole number"},
		{`{"prompt":"p","id":""}`, "line 3: the id wants 1 to 512 bytes"},
		{`{"prompt":"p","id":"` + strings.Repeat("x", 513) + `"}`, "line 3: the id wants 1 to 512 bytes"},
		{"caf\xe9", "line 3: is not UTF-8"},
		{"a\x00b", "line 3: has a NUL byte"},
	} {
		item, blank, err := parseItem(3, []byte(c.line))
		got := fmt.Sprintf("%s %q %q %d", item.ID, item.Prompt, item.Model, item.MaxTokens)
		switch {
		case err != nil:
			got = err.Error()
		case blank:
			got = "blank"
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.line, got, c.want)
		}
	}
	if item, _, err := parseItem(1, []byte("\ufeff{\"prompt\":\"p\"}")); err != nil || item.Prompt != "p" {
		t.Errorf("with a byte order mark: %+v, %v", item, err)
	}
}

func FuzzParseItem(f *testing.F) {
	f.Add([]byte("hello"))
	f.Add([]byte(`{"id":"a","prompt":"p","max_tokens":5}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		item, blank, err := parseItem(2, line)
		if err == nil && !blank && (strings.TrimSpace(item.Prompt) == "" || item.ID == "" || len(item.ID) > maxID) {
			t.Errorf("%q became %+v", line, item)
		}
	})
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	in := newLineReader(strings.NewReader("a\n\n"+long+"\n"+long+long+"\nlast"), 200_001)
	for i, want := range []string{"a", "", long, "long", "last"} {
		line, ended, err := in.next()
		got := string(line)
		if errors.Is(err, errLong) {
			got, err = "long", nil
		}
		if got != want || err != nil || ended != (want != "last") || in.number != i+1 {
			t.Errorf("line %d: %d bytes, %t, %v", i+1, len(got), ended, err)
		}
	}
	if _, _, err := in.next(); err != io.EOF || in.read != 600_005 {
		t.Errorf("%v, %d bytes up to the last line end", err, in.read)
	}
}

// bench of files for batches.
type batchTrial struct {
	t        *testing.T
	in, out  string
	settings map[string]string
	again    bool
	run      BatchRun

	mu    sync.Mutex
	asked []string
}

func newBatchTrial(t *testing.T, input string) *batchTrial {
	t.Helper()
	dir := t.TempDir()
	b := &batchTrial{t: t, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	b.write(b.in, input)
	b.run = BatchRun{Workers: 1, Attempts: 1, Ask: func(_ context.Context, item Item) Asked {
		b.mu.Lock()
		b.asked = append(b.asked, item.ID)
		b.mu.Unlock()
		return whole(item)
	}}
	return b
}

// whole is an answer to an item.
func whole(item Item) Asked {
	return Asked{Node: "n", Model: "m", Result: &Result{
		Answer: wire.Answer{Text: "to " + item.Prompt, Usage: &wire.Usage{Input: 3, Output: 4}}, Attempts: []*Attempt{{Number: 1}},
	}}
}

// missing is a failure of an item.
func missing(status int, ambiguous bool) Asked {
	err := &Error{Class: classOfStatus(status), Status: status, Err: errors.New("no")}
	return Asked{Node: "n", Err: err, Result: &Result{Attempts: []*Attempt{{Number: 1, Err: err, Ambiguous: ambiguous}}}}
}

func (b *batchTrial) write(path, text string) {
	b.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *batchTrial) read(path string) string {
	b.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *batchTrial) open() (*Batch, error) {
	b.t.Helper()
	in, err := os.Open(b.in)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { in.Close() })
	return OpenBatch(BatchFiles{In: in, InName: "IN", Out: b.out, Settings: b.settings, Again: b.again,
		Price: func(Item) (int64, int64) { return 5, 5 }})
}

// do opens and runs, and returns what was asked.
func (b *batchTrial) do() (plan Plan, tally Tally, asked string, err error) {
	b.t.Helper()
	b.asked = nil
	batch, err := b.open()
	if err != nil {
		return plan, tally, "", err
	}
	defer batch.Close()
	tally, err = batch.Run(b.t.Context(), b.run)
	slices.Sort(b.asked)
	return batch.Plan(), tally, strings.Join(b.asked, " "), err
}

// Whatever a kill leaves of both files, the next run opens them, keeps every whole line of OUT, asks nothing twice and
// says what was in flight.
func TestBatchCutAnywhere(t *testing.T) {
	b := newBatchTrial(t, "one\ntwo\nthree\n")
	if _, tally, asked, err := b.do(); err != nil || asked != "1 2 3" || tally.Answered != 3 {
		t.Fatalf("%+v, %q, %v", tally, asked, err)
	}
	out, journal := b.read(b.out), b.read(b.out+".journal")
	header := strings.Index(journal, "\n") + 1
	for _, cutOut := range cuts(out, 0) {
		lines := strings.Count(out[:cutOut], "\n")
		for _, cut := range cuts(journal, header) {
			sent := strings.Count(journal[header:cut], "\n")
			if sent < lines {
				continue // the intent comes first
			}
			b.write(b.out, out[:cutOut])
			b.write(b.out+".journal", journal[:cut])
			plan, tally, asked, err := b.do()
			if err != nil || plan.Done != lines || plan.Ambiguous != sent-lines || tally.Answered != 3-sent ||
				strings.Count(b.read(b.out), "\n") != 3-plan.Ambiguous || !strings.HasPrefix(b.read(b.out), out[:strings.LastIndex(out[:cutOut], "\n")+1]) {
				t.Fatalf("OUT cut at %d, journal at %d: %+v, %+v, asked %q, %v", cutOut, cut, plan, tally, asked, err)
			}
		}
	}
	for _, cut := range cuts(journal[:header-1], 0) {
		b.write(b.out, "")
		b.write(b.out+".journal", journal[:cut])
		if _, _, asked, err := b.do(); err != nil || asked != "1 2 3" {
			t.Fatalf("a header cut at %d: %q, %v", cut, asked, err)
		}
	}
}

// cuts are places to cut a text at, from a start: around each line's ends, and inside it.
func cuts(text string, start int) []int {
	found := []int{start, len(text)}
	for i := start; i < len(text); i++ {
		if text[i] == '\n' || i%60 == 1 {
			found = append(found, i, i+1)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestBatchGoesOn(t *testing.T) {
	b := newBatchTrial(t, "one\ntwo\nthree\n\n{\"bad\n")
	answers := map[string]Asked{"1": missing(503, false), "2": missing(503, true)}
	ask := b.run.Ask
	b.run.Ask = func(ctx context.Context, item Item) Asked {
		asked := ask(ctx, item)
		if special, ok := answers[item.ID]; ok {
			return special
		}
		return asked
	}
	step := func(wantAsked, wantFailed string, wantAmbiguous int) {
		t.Helper()
		plan, _, asked, err := b.do()
		var failed []string
		for line := range strings.Lines(b.read(b.out + ".failed")) {
			id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"id":"`), `"`)
			failed = append(failed, id)
		}
		slices.Sort(failed)
		if err != nil || asked != wantAsked || strings.Join(failed, " ") != wantFailed || plan.Ambiguous != wantAmbiguous {
			t.Errorf("%+v, asked %q, failed %q, %v", plan, asked, failed, err)
		}
	}
	step("1 2 3", " 1 2", 0)
	step("1", " 1 2", 1) // 2 may have been carried out
	delete(answers, "1")
	step("1", " 2", 1)
	b.again = true
	step("2", " 2", 1)
	delete(answers, "2")
	step("2", "", 1)
	step("", "", 0)
	if got := b.read(b.out); strings.Count(got, "\n") != 3 {
		t.Errorf("OUT: %s", got)
	}
}

func TestBatchRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		input  string
		change func(b *batchTrial)
		want   string
	}{
		"ids":                                 {`{"id":"a","prompt":"p"}` + "\nx\n" + `{"id":"a","prompt":"q"}`, nil, `lines 1 and 3 have the same id "a"`},
		"an id that is a later line's number": {`{"id":2,"prompt":"p"}` + "\nx\n", nil, `lines 1 and 2 have the same id "2"`},
		"another input":                       {"one\n", func(b *batchTrial) { b.write(b.in, "two\n") }, "belongs to another input than IN"},
		"another setting": {"one\n", func(b *batchTrial) { b.settings = map[string]string{"--model": "m"} },
			"was begun with another --model"},
		"OUT of something else":   {"one\n", func(b *batchTrial) { os.Remove(b.out + ".journal") }, "has no journal"},
		"no OUT":                  {"one\n", func(b *batchTrial) { os.Remove(b.out) }, "and its results in"},
		"a journal of another":    {"one\n", func(b *batchTrial) { b.write(b.out+".journal", "notes"); os.Remove(b.out) }, "is no journal"},
		"a journal with a change": {"one\n", func(b *batchTrial) { b.write(b.out+".journal", b.read(b.out+".journal")+"x 1\n") }, "line 3 cannot be read"},
		"OUT with a change":       {"one\n", func(b *batchTrial) { b.write(b.out, b.read(b.out)+"{}\n") }, "line 2 is no result"},
		"OUT with a line twice":   {"one\n", func(b *batchTrial) { b.write(b.out, b.read(b.out)+b.read(b.out)) }, "line 2 is the second for line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatchTrial(t, c.input)
			if c.change != nil {
				if _, _, _, err := b.do(); err != nil {
					t.Fatal(err)
				}
				c.change(b)
			}
			journal := b.read(b.out + ".journal")
			_, _, asked, err := b.do()
			if err == nil || !strings.Contains(err.Error(), c.want) || asked != "" {
				t.Errorf("asked %q, %v, want %s", asked, err, c.want)
			}
			if left := b.read(b.out + ".journal"); left != journal {
				t.Errorf("the journal became %q", left)
			}
			if _, err := os.Stat(b.out + ".journal"); c.change == nil && err == nil {
				t.Error("an empty journal is left behind")
			}
		})
	}
}

func TestBatchLock(t *testing.T) {
	b := newBatchTrial(t, "one\n")
	first, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := b.do(); err == nil || !strings.Contains(err.Error(), "another ferry is working on this batch") {
		t.Errorf("%v", err)
	}
	first.Close()
	if _, _, asked, err := b.do(); err != nil || asked != "1" {
		t.Errorf("%q, %v", asked, err)
	}
}

func TestBatchStops(t *testing.T) {
	many := strings.Repeat("p\n", 20)
	t.Run("401", func(t *testing.T) {
		b := newBatchTrial(t, many)
		b.run.Ask = func(context.Context, Item) Asked { return missing(401, false) }
		_, tally, _, err := b.do()
		var failed *Error
		if !errors.As(err, &failed) || failed.Status != 401 || tally.Failed != 1 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
	t.Run("failures in a row", func(t *testing.T) {
		b := newBatchTrial(t, many)
		b.run.MaxFailures = 3
		calls := 0
		b.run.Ask = func(_ context.Context, item Item) Asked {
			if calls++; calls == 3 {
				return whole(item)
			}
			return missing(500, false)
		}
		_, tally, _, err := b.do()
		var many *TooManyFailuresError
		if !errors.As(err, &many) || tally.Failed != 5 || tally.Answered != 1 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
	t.Run("tokens", func(t *testing.T) {
		b := newBatchTrial(t, many)
		b.run.MaxTokens, b.run.Workers = 30, 3 // 10 at worst, 7 in fact
		_, tally, _, err := b.do()
		var over *TokenCapError
		if !errors.As(err, &over) || over.Used != 21 || tally.Answered != 3 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
	t.Run("asked to", func(t *testing.T) {
		b := newBatchTrial(t, many)
		stop := make(chan struct{})
		b.run.Stop = stop
		b.run.Ask = func(_ context.Context, item Item) Asked {
			if item.Line == 4 {
				close(stop)
			}
			return whole(item)
		}
		_, tally, _, err := b.do()
		if err != nil || tally.Answered != 4 || strings.Count(b.read(b.out), "\n") != 4 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
	t.Run("the input changes", func(t *testing.T) {
		b := newBatchTrial(t, strings.Repeat(strings.Repeat("p", 1000)+"\n", 500))
		b.run.Ask = func(_ context.Context, item Item) Asked {
			if item.Line == 1 {
				b.write(b.in, "other\n")
			}
			return whole(item)
		}
		_, tally, _, err := b.do()
		if !errors.Is(err, errChanged) || tally.Answered > 200 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
}

// fakeFile is a disk that may be full, and notes when it was synced.
type fakeFile struct {
	bytes.Buffer
	mu     sync.Mutex
	room   int
	synced []time.Time
	fails  error
}

func (f *fakeFile) Write(p []byte) (int, error) {
	if f.room > 0 && f.Len()+len(p) > f.room {
		n, _ := f.Buffer.Write(p[:f.room-f.Len()])
		return n, syscall.ENOSPC
	}
	return f.Buffer.Write(p)
}

func (f *fakeFile) Truncate(size int64) error { f.Buffer.Truncate(int(size)); return nil }
func (f *fakeFile) Close() error              { return nil }
func (f *fakeFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = append(f.synced, time.Now())
	return f.fails
}

func TestLineFileOnAFullDisk(t *testing.T) {
	disk := &fakeFile{room: 10}
	l := &lineFile{path: "OUT", file: disk}
	if err := l.put([]byte("12345\n")); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"123456\n", "1\n"} { // the second would fit, and comes too late
		if err := l.put([]byte(line)); !errors.Is(err, syscall.ENOSPC) || err.Error() != "OUT: cannot write: no space left on device" {
			t.Errorf("%v", err)
		}
	}
	if disk.String() != "12345\n" {
		t.Errorf("left %q", disk)
	}
}

// What is written is on the disk 100 ms later, the last of it before the run returns; nothing is synced for nothing; a
// disk that fails ends the sending.
func TestBatchSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disks := []*fakeFile{{}, {}, {}}
		r := &running{ctx: t.Context(), halted: make(chan struct{}), journal: &lineFile{file: disks[0]}, out: &lineFile{file: disks[1]}, failed: &lineFile{file: disks[2], size: 1}}
		stop := r.keepSyncing()
		var written []time.Time
		for range 40 {
			written = append(written, time.Now())
			_ = r.out.put([]byte("x\n"))
			waitFor(t, 17*time.Millisecond)
		}
		waitFor(t, time.Second)
		if n := len(disks[1].synced); n > 15 || len(disks[0].synced) != 0 {
			t.Errorf("synced %d and %d times", n, len(disks[0].synced))
		}
		for _, at := range written {
			if !slices.ContainsFunc(disks[1].synced, func(s time.Time) bool { return !s.Before(at) && s.Sub(at) <= 100*time.Millisecond }) {
				t.Errorf("what was written at %s was not synced soon", at)
			}
		}
		disks[0].fails = syscall.EIO
		_ = r.journal.put([]byte("s 1\n"))
		stop()
		if !r.stopped() || !errors.Is(r.why, syscall.EIO) {
			t.Errorf("%v", r.why)
		}
	})
}

// waitFor lets the bubble's time pass.
func waitFor(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	<-timer.C
}
