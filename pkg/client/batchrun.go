package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"ferry/pkg/text"
)

// syncEvery is how often what was written is put on the disk: with the time that this takes, at least every 100 ms.
const syncEvery = 50 * time.Millisecond

// BatchRun says how a batch is run.
type BatchRun struct {
	// Chain asks for the answer of an item, and Call is the item's call.
	Chain Doer
	Call  func(item Item) *Call
	// Attach reads the files of an item into its call, which are held until the share is released.
	Attach func(ctx context.Context, item Item, call *Call, memory *MemoryShare) error
	// Workers is how many items are in flight at once.
	Workers int
	// MaxFailures in a row end the run; 0 is no bound.
	MaxFailures int
	// MaxTokens is what all requests together may be billed, 0 for no bound; Attempts is how often each may be sent.
	MaxTokens int64
	Attempts  int
	// Sending ends the sending; what is in flight is waited for.
	Sending context.Context
	// NotUTF8 is told the line of an item whose answer has bytes that are not UTF-8, which OUT cannot have.
	NotUTF8 func(line int)
	// Untaken gets the line of an answer that OUT did not take, in pieces: it was paid for. One line comes at a time.
	Untaken func(piece []byte)
}

// Tally counts the results of a run.
type Tally struct {
	// Answered and Failed items were sent by this run; Ambiguous ones of the failed may have been carried out.
	Answered, Failed, Ambiguous int
	// Input and Output are the tokens that were reported.
	Input, Output int64
	// InFlight names the first of the ambiguous.
	InFlight []string
	// FirstFailure is the first item's that failed, in words.
	FirstFailure string
}

// TooManyFailuresError ends a batch that gets nowhere.
type TooManyFailuresError struct {
	Count int
	Last  error
	text.Advice
}

func (e *TooManyFailuresError) Error() string {
	return fmt.Sprintf("%d items in a row failed, so no more were sent; the last: %s", e.Count, e.Last)
}

// TokenCapError ends a batch that could be billed for more than it may.
type TokenCapError struct{ Cap, Used int64 }

func (e *TokenCapError) Error() string {
	return fmt.Sprintf("the next item could pass --max-tokens-total %d, so no more were sent; %d were counted", e.Cap, e.Used)
}

// Progress is how far the run is.
func (b *Batch) Progress() Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally
}

// running is a run of a batch.
type running struct {
	*Batch
	BatchRun
	ctx                  context.Context
	journal, out, failed *lineFile
	// sending ends when no more is to be sent, halt ends it. The first reason is its cause.
	sending context.Context
	halt    context.CancelCauseFunc
	memory  *Memory
	// fileMemory is a bound of its own: a call that holds files may wait for room for its answer.
	fileMemory *Memory

	// The batch's mu guards these. row counts the failures since the last success, spent the tokens that were billed, and
	// reserved those that may be billed for items in flight.
	row             int
	spent, reserved int64
	settled         chan struct{} // gets a value when reserved has changed
}

// pricedItem is an item with its price, which stays the same when a file changes.
type pricedItem struct {
	Item
	price Price
}

// Run asks the items that are not done, and returns when nothing is in flight any more. The error is why it sent no more
// before the end, nil also where Sending ended: that shows in the numbers.
func (b *Batch) Run(ctx context.Context, how BatchRun) (Tally, error) {
	sending, halt := context.WithCancelCause(how.Sending)
	defer halt(nil)
	r := &running{
		Batch: b, BatchRun: how, ctx: ctx, sending: sending, halt: halt, memory: NewMemory(), fileMemory: NewMemory(), settled: make(chan struct{}, 1),
	}
	if err := r.begin(); err != nil {
		return Tally{}, err
	}
	stopSyncing := r.keepSyncing()
	items := make(chan pricedItem)
	var workers sync.WaitGroup
	for range how.Workers {
		workers.Go(func() {
			var line bytes.Buffer
			for item := range items {
				r.one(item, &line)
			}
		})
	}
	if err := r.dispatch(items); err != nil {
		halt(err)
	}
	close(items)
	workers.Wait()
	stopSyncing()
	why := context.Cause(sending)
	if errors.Is(why, context.Cause(how.Sending)) {
		why = nil // the caller knows
	}
	return b.Progress(), why
}

// begin opens the files for writing. The results come first: a journal without them would be refused.
func (r *running) begin() error {
	r.ran = true
	_, err := os.Lstat(r.files.Out)
	r.outMade = errors.Is(err, fs.ErrNotExist)
	if r.out, err = openLines(r.files.Out, os.O_RDWR, r.record.outEnd); err != nil {
		return err
	}
	if r.journal, err = appendTo(r.files.Out+".journal", r.Batch.journal, r.record.journalEnd); err != nil {
		return err
	}
	if r.record.header == nil {
		header, err := json.Marshal(r.header)
		if err == nil {
			err = r.journal.putLine(append(header, '\n'))
		}
		if err == nil {
			err = r.journal.sync() // results without it would be refused
		}
		if err != nil {
			return err
		}
	}
	r.failed, err = openLines(r.files.Out+".failed", os.O_WRONLY, 0)
	return err
}

// keepSyncing puts the files on the disk again and again, and once more when it is stopped.
func (r *running) keepSyncing() (stop func()) {
	flush := func() {
		for _, f := range []*lineFile{r.journal, r.out, r.failed} { // in any order
			r.check(f.sync())
		}
	}
	ticker := time.NewTicker(syncEvery)
	ended := make(chan struct{})
	var syncing sync.WaitGroup
	syncing.Go(func() {
		for {
			select {
			case <-ticker.C:
				flush()
			case <-ended:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(ended)
		syncing.Wait()
		flush()
		empty := r.failed.size == 0
		for _, f := range []*lineFile{r.out, r.failed} {
			if err := f.file.Close(); err != nil {
				r.halt(fileError(f.path, "cannot write", err))
			}
		}
		if empty {
			_ = os.Remove(r.failed.path) // best effort: an empty one says the same
		}
	}
}

// check ends the sending where something could not be written, and reports whether all is well.
func (r *running) check(err error) bool {
	if err != nil {
		r.halt(err)
	}
	return err == nil
}

// stopped reports whether no more is to be sent.
func (r *running) stopped() bool { return r.sending.Err() != nil }

// errStopped ends the reading of the input.
var errStopped = errors.New("stopped")

// dispatch hands the items to the workers until there are no more or the run is stopped.
func (r *running) dispatch(items chan<- pricedItem) error {
	err := r.input.items(io.Discard, nil, func(item Item, fault *ItemError) error {
		switch {
		case r.stopped():
			return errStopped
		case fault != nil:
			return r.report(resultLine{Line: fault.Line, Error: &resultError{Class: Usage, Message: fault.Msg}}, &bytes.Buffer{})
		case r.record.done.has(item.Line):
			return nil
		case r.record.sent.has(item.Line) && !r.files.Again:
			return r.report(resultLine{ID: item.ID, Line: item.Line, Error: &resultError{
				Class: Ambiguous, Ambiguous: true, Message: "was in flight when an earlier run ended; --again asks it again",
			}}, &bytes.Buffer{})
		}
		priced := pricedItem{Item: item}
		if r.MaxTokens > 0 {
			priced.price = r.files.Price(item)
		}
		if err := r.reserve(priced); err != nil {
			return err
		}
		select {
		case items <- priced:
			return nil
		case <-r.sending.Done():
			return errStopped
		}
	})
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// one asks an item and keeps the result. The line is the worker's, to be used again.
func (r *running) one(item pricedItem, line *bytes.Buffer) {
	if r.stopped() {
		return
	}
	call := r.Call(item.Item)
	if len(item.Files) > 0 {
		held := r.fileMemory.Share()
		defer held.Release()
		err := r.Attach(r.sending, item.Item, call, held)
		switch {
		case r.stopped(): // while it waited for room: the next run asks it
			r.settle(item, &Result{})
			return
		case err != nil: // the journal does not have it yet
			r.settle(item, &Result{})
			failed := &Error{Class: Usage, Err: err, Unsent: true}
			r.missed(resultLine{ID: item.ID, Line: item.Line}, &Result{}, failed, line)
			return
		}
	}
	if !r.check(r.journal.note('s', item.Line)) {
		return
	}
	call.Memory = r.memory.Share()
	defer call.Memory.Release() // also after a panic
	asked, err := r.Chain.Do(r.ctx, call)
	if len(asked.Attempts) > 0 {
		r.sent.Store(true)
	}
	if asked.Answer.NotUTF8 {
		r.NotUTF8(item.Line)
	}
	r.settle(item, asked)
	result := resultLine{
		ID: item.ID, Line: item.Line, Node: asked.Node, Model: cmp.Or(asked.Answer.Model, asked.Model),
		Text: asked.Answer.Text, StopReason: asked.Answer.StopReason, Usage: asked.Answer.Usage,
		Attempts: len(asked.Attempts), LatencyMS: float64(asked.Latency.Microseconds()) / 1000,
	}
	if err == nil {
		r.answered(result, line)
		return
	}
	if r.stopped() && len(asked.Attempts) == 0 && isClass(err, Cancelled) {
		// It was still waiting for the rate limit. It is no failure: the next run asks it.
		r.check(r.journal.note('f', item.Line))
		return
	}
	result.Text = text.Shown(result.Text, text.MostShown)
	if ambiguous := r.missed(result, asked, err, line); !ambiguous {
		r.check(r.journal.note('f', item.Line))
	}
}

// answered keeps an answer.
func (r *running) answered(result resultLine, line *bytes.Buffer) {
	pieces := encodeResult(result, line)
	written := r.check(r.out.put(pieces))
	r.mu.Lock()
	defer r.mu.Unlock()
	if !written {
		if r.Untaken != nil {
			pieces(func(piece []byte) bool { r.Untaken(piece); return true })
		}
		// In the journal it stays in flight: it was carried out, and OUT does not have it.
		r.tally.Failed++
		r.ambiguous(result.ID)
		return
	}
	r.row = 0
	r.tally.Answered++
	if u := result.Usage; u != nil {
		r.tally.Input += int64(u.Input)
		r.tally.Output += int64(u.Output)
	}
}

// missed keeps a failure, and reports whether the item may have been carried out: the journal then leaves it in flight.
func (r *running) missed(result resultLine, asked *Result, why error, line *bytes.Buffer) (ambiguous bool) {
	class, status := Class(""), 0
	var failed *Error
	if errors.As(why, &failed) {
		class, status = failed.Class, failed.Status
	}
	for _, at := range asked.Attempts {
		ambiguous = ambiguous || at.Ambiguous
	}
	result.Error = &resultError{Class: class, Status: status, Message: why.Error(), Ambiguous: ambiguous}
	r.check(r.report(result, line))
	r.mu.Lock()
	r.tally.Failed++
	if r.tally.FirstFailure == "" {
		r.tally.FirstFailure = why.Error()
	}
	if ambiguous {
		r.ambiguous(result.ID)
	}
	r.row++
	row := r.row
	r.mu.Unlock()
	switch {
	case status == 401 || status == 403 || !isCall(why): // nothing further can be sent
		r.halt(why)
	case r.MaxFailures > 0 && row >= r.MaxFailures:
		r.halt(&TooManyFailuresError{row, why, "the same command goes on; --max-failures allows more, and 0 any number"})
	}
	return ambiguous
}

// ambiguous counts an item that may have been carried out. The caller holds mu.
func (r *running) ambiguous(id string) {
	if r.tally.Ambiguous++; len(r.tally.InFlight) < mostNamed {
		r.tally.InFlight = append(r.tally.InFlight, id)
	}
}

// report writes a line of OUT.failed.
func (r *running) report(result resultLine, line *bytes.Buffer) error {
	return r.failed.put(encodeResult(result, line))
}

// worst is what an item may be billed.
func (r *running) worst(price Price) int64 {
	return (price.Input + price.Output) * int64(max(1, r.Attempts))
}

// reserve waits until the item fits under the cap on tokens, and says when it never will.
func (r *running) reserve(item pricedItem) error {
	if r.MaxTokens == 0 {
		return nil
	}
	worst := r.worst(item.price)
	for {
		r.mu.Lock()
		spent, inFlight := r.spent, r.reserved > 0
		fits := spent+r.reserved+worst <= r.MaxTokens
		if fits {
			r.reserved += worst
		}
		r.mu.Unlock()
		switch {
		case fits:
			return nil
		case !inFlight:
			return &TokenCapError{r.MaxTokens, spent}
		}
		select {
		case <-r.settled:
		case <-r.sending.Done():
			return errStopped
		}
	}
}

// settle counts what an item was billed in place of what was reserved for it.
func (r *running) settle(item pricedItem, asked *Result) {
	if r.MaxTokens == 0 {
		return
	}
	var billed int64
	for _, at := range asked.Attempts {
		input, output := at.billed(item.price.Input, item.price.Output)
		billed += input + output
	}
	r.mu.Lock()
	r.spent, r.reserved = r.spent+billed, r.reserved-r.worst(item.price)
	r.mu.Unlock()
	select {
	case r.settled <- struct{}{}:
	default:
	}
}
