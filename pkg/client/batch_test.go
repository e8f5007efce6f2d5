package client

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

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
	answers := map[string]asked{"1": missing(503, false), "2": missing(503, true)}
	ask := b.ask
	b.ask = func(ctx context.Context, item Item) asked {
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
		b.ask = func(context.Context, Item) asked { return missing(401, false) }
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
		b.ask = func(_ context.Context, item Item) asked {
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
		var stop context.CancelFunc
		b.run.Sending, stop = context.WithCancel(t.Context())
		b.ask = func(_ context.Context, item Item) asked {
			if item.Line == 4 {
				stop()
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
		b.ask = func(_ context.Context, item Item) asked {
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

// withFiles gives every item of a trial a file.
func withFiles(lines int) string { return strings.Repeat(`{"prompt":"p","files":["f"]}`+"\n", lines) }

// TestBatchAttachStops ends the sending while an item waits for room for its files: it is not sent, is no failure, and is
// not in flight for the next run.
func TestBatchAttachStops(t *testing.T) {
	b := newBatchTrial(t, withFiles(2))
	var stop context.CancelFunc
	b.run.Sending, stop = context.WithCancel(t.Context())
	b.run.Attach = func(ctx context.Context, _ Item, _ *Call, _ *MemoryShare) error {
		stop()
		return ctx.Err() // which ends with the sending
	}
	_, tally, asked, err := b.do()
	if err != nil || asked != "" || tally.Failed != 0 || b.read(b.out+".failed") != "" || b.run.Sending.Err() == nil {
		t.Errorf("%+v, asked %q, %v, failed %s", tally, asked, err, b.read(b.out+".failed"))
	}
	b.run.Sending = t.Context()
	b.run.Attach = func(context.Context, Item, *Call, *MemoryShare) error { return nil }
	if plan, _, asked, err := b.do(); err != nil || asked != "1 2" || plan.Ambiguous != 0 {
		t.Errorf("the next run: %+v, asked %q, %v", plan, asked, err)
	}
}

// TestBatchAttachFirst reads the files of an item before the journal says that it is sent.
func TestBatchAttachFirst(t *testing.T) {
	b := newBatchTrial(t, withFiles(2))
	sent := func() int { return strings.Count(b.read(b.out+".journal"), "\ns ") }
	b.run.Attach = func(_ context.Context, item Item, _ *Call, _ *MemoryShare) error {
		if n := sent(); n != 0 {
			t.Errorf("%d items are sent when the files of line %d are read, want none", n, item.Line)
		}
		if item.Line == 1 {
			return errors.New("unreadable")
		}
		return nil
	}
	_, tally, asked, err := b.do()
	if err != nil || asked != "2" || tally.Failed != 1 || sent() != 1 || strings.Contains(b.read(b.out+".journal"), "\nf ") {
		t.Errorf("%+v, asked %q, %v, journal %s", tally, asked, err, b.read(b.out+".journal"))
	}
}

// TestBatchPriceStays charges an item what was reserved for it, though its files change meanwhile.
func TestBatchPriceStays(t *testing.T) {
	b := newBatchTrial(t, strings.Repeat("p\n", 3))
	b.run.MaxTokens = 30
	var grown sync.Map // by their lines
	b.price = func(item Item) Price {
		if _, ok := grown.Load(item.Line); ok {
			return Price{Input: 1000, Output: 5}
		}
		return Price{Input: 5, Output: 5}
	}
	b.ask = func(_ context.Context, item Item) asked {
		grown.Store(item.Line, true)
		failed := missing(503, true) // the price counts
		failed.result.Attempts[0].Usage = nil
		return failed
	}
	_, tally, _, err := b.do()
	if err != nil || tally.Failed != 3 {
		t.Errorf("%+v, %v, want that the 30 tokens are enough for 3 items of 10", tally, err)
	}
}
