package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ferry/pkg/wire"
)

// bench of files for batches.
type batchTrial struct {
	t        *testing.T
	in, out  string
	settings map[string]string
	again    bool
	shard    Shard
	run      BatchRun
	ask      func(ctx context.Context, item Item) asked
	price    func(Item) Price

	mu    sync.Mutex
	asked []string
}

func newBatchTrial(t *testing.T, input string) *batchTrial {
	t.Helper()
	dir := t.TempDir()
	b := &batchTrial{t: t, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	b.write(b.in, input)
	b.ask = func(_ context.Context, item Item) asked {
		b.mu.Lock()
		b.asked = append(b.asked, item.ID)
		b.mu.Unlock()
		return whole(item)
	}
	b.price = func(Item) Price { return Price{Input: 5, Output: 5} }
	var items sync.Map // by their calls
	b.run = BatchRun{
		Workers: 1, Attempts: 1, Sending: t.Context(),
		Call: func(item Item) *Call {
			call := &Call{}
			items.Store(call, item)
			return call
		},
		Chain: doerFunc(func(ctx context.Context, call *Call) (*Result, error) {
			item, _ := items.Load(call)
			ended := b.ask(ctx, item.(Item))
			return ended.result, ended.err
		}),
	}
	return b
}

// doerFunc is a function as a Doer.
type doerFunc func(ctx context.Context, call *Call) (*Result, error)

func (f doerFunc) Do(ctx context.Context, call *Call) (*Result, error) { return f(ctx, call) }

// asked is how the call of an item ended.
type asked struct {
	result *Result
	err    error
}

// whole is an answer to an item.
func whole(item Item) asked {
	usage := &wire.Usage{Input: 3, Output: 4}
	return asked{result: &Result{
		Node: "n", Model: "m",
		Answer: wire.Answer{Text: "to " + item.Prompt, Usage: usage}, Attempts: []*Attempt{{Number: 1, Usage: usage}},
	}}
}

// missing is a failure of an item.
func missing(status int, ambiguous bool) asked {
	err := &Error{Class: classOfStatus(status), Status: status, Err: errors.New("no")}
	return asked{&Result{Node: "n", Attempts: []*Attempt{{Number: 1, Err: err, Ambiguous: ambiguous}}}, err}
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
	return OpenBatch(BatchFiles{In: in, InName: "IN", Out: b.out, Settings: b.settings, Shard: b.shard, Again: b.again,
		Price: b.price})
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
