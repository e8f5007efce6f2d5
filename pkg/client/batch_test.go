package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBatchCutAnywhere checks that the next run can open both files wherever a kill has cut them, keeps every complete
// line of OUT, sends no item twice and reports the items in flight.
func TestBatchCutAnywhere(t *testing.T) {
	b := newBatchTrial(t, "one\ntwo\nthree\n")
	if _, tally, asked, err := b.do(); err != nil || asked != "one three two" || tally.Answered != 3 {
		t.Fatalf("%+v, %q, %v", tally, asked, err)
	}
	out, journal := b.read(b.out), b.read(b.out+".journal")
	header := strings.Index(journal, "\n") + 1
	for _, cutOut := range cuts(out, 0) {
		lines := strings.Count(out[:cutOut], "\n")
		for _, cut := range cuts(journal, header) {
			sent := strings.Count(journal[header:cut], "\n")
			if sent < lines {
				continue // the "s" line is written first
			}
			b.write(b.out, out[:cutOut])
			b.write(b.out+".journal", journal[:cut])
			plan, tally, asked, err := b.do()
			if err != nil || plan.Done != lines || plan.Ambiguous.Count != sent-lines || tally.Answered != 3-sent ||
				strings.Count(b.read(b.out), "\n") != 3-plan.Ambiguous.Count || !strings.HasPrefix(b.read(b.out), out[:strings.LastIndex(out[:cutOut], "\n")+1]) {
				t.Fatalf("OUT cut at %d, journal at %d: %+v, %+v, asked %q, %v", cutOut, cut, plan, tally, asked, err)
			}
		}
	}
	for _, cut := range cuts(journal[:header-1], 0) {
		b.write(b.out, "")
		b.write(b.out+".journal", journal[:cut])
		if _, _, asked, err := b.do(); err != nil || asked != "one three two" {
			t.Fatalf("a header cut at %d: %q, %v", cut, asked, err)
		}
	}
}

// cuts returns positions from start on where to cut text: around each line end, and inside lines.
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
	answers := map[string]asked{"one": missing(503, false), "two": missing(503, true)}
	b.ask = func(_ context.Context, prompt string) asked {
		if special, ok := answers[prompt]; ok {
			return special
		}
		return whole(prompt)
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
		if err != nil || asked != wantAsked || strings.Join(failed, " ") != wantFailed || plan.Ambiguous.Count != wantAmbiguous {
			t.Errorf("%+v, asked %q, failed %q, %v", plan, asked, failed, err)
		}
	}
	step("one three two", "1 2 5", 0)
	step("one", "1 2 5", 1) // 2 may have been carried out
	delete(answers, "one")
	step("one", "2 5", 1)
	b.again = true
	step("two", "2 5", 1)
	answers["two"] = missing(503, false)
	step("two", "2 5", 1)
	b.again = false
	step("", "2 5", 1) // its first request may still have been carried out
	b.again = true
	delete(answers, "two")
	step("two", "5", 1)
	step("", "5", 0)
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
		"another setting":                     {"one\n", func(b *batchTrial) { b.request.Endpoint.Model = "m" }, "was started with another --model"},
		"another shard":                       {"one\n", func(b *batchTrial) { b.shard = Shard{2, 3} }, "was started with another --shard"},
		"OUT of something else":               {"one\n", func(b *batchTrial) { os.Remove(b.out + ".journal") }, "has no batch journal"},
		"no OUT":                              {"one\n", func(b *batchTrial) { os.Remove(b.out) }, "but its results in"},
		"a journal of another":                {"one\n", func(b *batchTrial) { b.write(b.out+".journal", "notes"); os.Remove(b.out) }, "is not a batch journal"},
		"a journal with a change":             {"one\n", func(b *batchTrial) { b.write(b.out+".journal", b.read(b.out+".journal")+"x 1\n") }, "line 3 cannot be read"},
		"OUT with a change":                   {"one\n", func(b *batchTrial) { b.write(b.out, b.read(b.out)+"{}\n") }, "line 2 is not a batch result"},
		"OUT with a line twice":               {"one\n", func(b *batchTrial) { b.write(b.out, b.read(b.out)+b.read(b.out)) }, "line 2 is the second result for line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatchTrial(t, c.input)
			if c.change != nil {
				b.send()
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
	first := must(b.open())(t)
	if _, _, _, err := b.do(); err == nil || !strings.Contains(err.Error(), "another ferry process is working on this batch") {
		t.Errorf("%v", err)
	}
	first.Close()
	if _, _, asked, err := b.do(); err != nil || asked != "one" {
		t.Errorf("%q, %v", asked, err)
	}
}

// TestBatchStops checks why a run ends before all items are sent, and that OUT has the answers.
func TestBatchStops(t *testing.T) {
	many := strings.Repeat("p\n", 20)
	for name, c := range map[string]struct {
		input  string
		change func(b *batchTrial)
		want   string
	}{
		"401": {many, func(b *batchTrial) {
			b.ask = func(context.Context, string) asked { return missing(401, false) }
		}, "answered 0, failed 1: status 401"},
		"failures in a row": {many, func(b *batchTrial) {
			b.run.MaxFailures = 3
			b.ask = func(_ context.Context, prompt string) asked {
				if len(b.asked) == 3 {
					return whole(prompt)
				}
				return missing(500, false)
			}
		}, "answered 1, failed 5: 3 items in a row failed"},
		"tokens": {many, func(b *batchTrial) {
			b.run.MaxTokens, b.run.Workers = 30, 3 // 10 at most per item, 7 actually billed
		}, "failed 0: the next item could exceed --max-tokens-total 30, so no more were sent; 21 were counted"},
		"asked to": {many, func(b *batchTrial) {
			var stop context.CancelFunc
			b.run.Sending, stop = context.WithCancel(t.Context())
			b.ask = func(_ context.Context, prompt string) asked {
				if len(b.asked) == 4 {
					stop()
				}
				return whole(prompt)
			}
		}, "answered 4, failed 0: <nil>"},
		"the input changes": {strings.Repeat(strings.Repeat("p", 1000)+"\n", 500), func(b *batchTrial) {
			b.ask = func(_ context.Context, prompt string) asked {
				b.write(b.in, "other\n")
				return whole(prompt)
			}
		}, "failed 0: IN: cannot read: " + errChanged.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatchTrial(t, c.input)
			c.change(b)
			_, tally, _, err := b.do()
			got := fmt.Sprintf("answered %d, failed %d: %v", tally.Answered, tally.Failed, err)
			errorIf(t, !strings.Contains(got, c.want) || tally.Answered > 200, "got %s, want %s", got, c.want)
			kept := strings.Count(b.read(b.out), "\n")
			errorIf(t, kept != tally.Answered, "OUT has %d answers, want %d", kept, tally.Answered)
		})
	}
}

// withFiles writes items that each have their own prompt and file: p1 and f1, p2 and f2.
func withFiles(b *batchTrial, items int) {
	input := ""
	for i := range items {
		input += fmt.Sprintf(`{"prompt":"p%[1]d","files":["f%[1]d"]}`+"\n", i+1)
		b.write(b.file(i+1), "text")
	}
	b.write(b.in, input)
}

func (b *batchTrial) file(item int) string {
	return filepath.Join(filepath.Dir(b.in), fmt.Sprint("f", item))
}

// notifyingClock calls a function on each call of Now: when an item's call is made, and when its files have been read.
type notifyingClock struct {
	fakeClock
	told func()
}

func (c *notifyingClock) Now() time.Time {
	c.told()
	return c.fakeClock.Now()
}

// TestBatchAttachStops ends the sending before the files of an item have been read. The item must not be sent, must not
// count as a failure, and must not be in flight for the next run.
func TestBatchAttachStops(t *testing.T) {
	b := newBatchTrial(t, "")
	withFiles(b, 2)
	batch := must(b.open())(t)
	var stop context.CancelFunc
	b.run.Sending, stop = context.WithCancel(t.Context())
	b.request.Clock = &notifyingClock{told: stop} // on the call of the first item
	tally, err := batch.Run(t.Context(), b.run)
	batch.Close()
	if err != nil || len(b.asked) > 0 || tally.Failed != 0 || b.read(b.out+".failed") != "" || b.run.Sending.Err() == nil {
		t.Errorf("%+v, asked %q, %v, failed %s", tally, b.asked, err, b.read(b.out+".failed"))
	}
	b.run.Sending = t.Context()
	if plan, _, asked, err := b.do(); err != nil || asked != "p1\n\ntext p2\n\ntext" || plan.Ambiguous.Count != 0 {
		t.Errorf("the next run: %+v, asked %q, %v", plan, asked, err)
	}
}

// TestBatchAttachFirst checks that the files of an item are read before its "s" line is written to the journal.
func TestBatchAttachFirst(t *testing.T) {
	b := newBatchTrial(t, "")
	withFiles(b, 2)
	os.Remove(b.file(1))
	sent := func() int { return strings.Count(b.read(b.out+".journal"), "\ns ") }
	b.request.Clock = &notifyingClock{told: func() {
		if n := sent(); n != 0 {
			t.Errorf("%d items are sent when files are read, want none", n)
		}
	}}
	_, tally, asked, err := b.do()
	if err != nil || asked != "p2\n\ntext" || tally.Failed != 1 || sent() != 1 || strings.Contains(b.read(b.out+".journal"), "\nf ") {
		t.Errorf("%+v, asked %q, %v, journal %s", tally, asked, err, b.read(b.out+".journal"))
	}
}

// TestBatchPriceStays checks that an item is charged the reserved tokens even if its file changes in between.
func TestBatchPriceStays(t *testing.T) {
	b := newBatchTrial(t, "")
	withFiles(b, 3)
	price := b.request.Price(Item{Prompt: "p1", Files: []string{"f1"}})
	b.run.MaxTokens = 3 * (price.Input + price.Output)
	b.ask = func(context.Context, string) asked {
		b.write(b.file(len(b.asked)), strings.Repeat("text ", 1000))
		return missing(503, true) // no usage, so the price is charged
	}
	_, tally, _, err := b.do()
	if err != nil || tally.Failed != 3 || price.Input < 2 {
		t.Errorf("%+v, %v, want that the tokens of 3 items are enough for them", tally, err)
	}
}
