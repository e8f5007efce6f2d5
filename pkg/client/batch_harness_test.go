package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ferry/pkg/wire"
)

// batchTrial is a batch in its own folder. Items are identified by their prompts. An item costs 9 output tokens and one
// input token for every four letters.
type batchTrial struct {
	t       *testing.T
	in, out string
	request BatchRequest
	again   bool
	shard   Shard
	run     BatchRun
	ask     func(ctx context.Context, prompt string) asked

	mu    sync.Mutex
	asked []string // the prompts sent
}

func newBatchTrial(t *testing.T, input string) *batchTrial {
	t.Helper()
	dir := t.TempDir()
	b := &batchTrial{t: t, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	b.write(b.in, input)
	b.request = BatchRequest{Dir: dir, Endpoint: &Endpoint{MaxTokens: 9}, Clock: &fakeClock{}}
	b.ask = func(_ context.Context, prompt string) asked { return whole(prompt) }
	b.run = BatchRun{Workers: 1, Sending: t.Context(), Redact: strings.Clone, Chain: doerFunc(func(ctx context.Context, call *Call) (*Result, error) {
		b.mu.Lock()
		b.asked = append(b.asked, call.Request.Prompt)
		b.mu.Unlock()
		ended := b.ask(ctx, call.Request.Prompt)
		return ended.result, ended.err
	})}
	return b
}

// doerFunc makes a function a Doer.
type doerFunc func(ctx context.Context, call *Call) (*Result, error)

func (f doerFunc) Do(ctx context.Context, call *Call) (*Result, error) { return f(ctx, call) }

// asked is the outcome of an item's call.
type asked struct {
	result *Result
	err    error
}

// whole returns a complete answer to a prompt.
func whole(prompt string) asked {
	usage := &wire.Usage{Input: 3, Output: 4}
	return asked{result: &Result{
		Node: "n", Model: "m",
		Answer: wire.Answer{Text: "to " + prompt, Usage: usage}, Attempts: []*Attempt{{Number: 1, Usage: usage}},
	}}
}

// missing returns a failure.
func missing(status int, ambiguous bool) asked {
	err := &Error{Class: classOfStatus(status), Status: status, Err: fmt.Errorf("status %d", status)}
	return asked{&Result{Node: "n", Attempts: []*Attempt{{Number: 1, Err: err, Ambiguous: ambiguous}}}, err}
}

func (b *batchTrial) write(path, text string) {
	b.t.Helper()
	check(b.t, os.WriteFile(path, []byte(text), 0o600))
}

func (b *batchTrial) read(path string) string {
	b.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	return string(text)
}

// input opens the input with the name IN, which messages use.
func (b *batchTrial) input() *BatchInput {
	b.t.Helper()
	in := must(OpenBatchInput(b.in, b.out, nil))(b.t)
	b.t.Cleanup(in.Close)
	in.Name = "IN"
	return in
}

func (b *batchTrial) open() (*Batch, error) {
	b.t.Helper()
	return OpenBatch(BatchFiles{In: b.input(), Out: b.out, Request: &b.request, Shard: b.shard, Resend: b.again})
}

// do opens and runs the batch. asked has the prompts sent.
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
	return batch.Plan, tally, strings.Join(b.asked, " "), err
}

// send opens and runs the batch, which must end without an error.
func (b *batchTrial) send() {
	b.t.Helper()
	_, _, _, err := b.do()
	check(b.t, err)
}
