package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"ferry/pkg/limit"
	"ferry/pkg/text"
)

// syncEvery is the pause between syncs. Together with the duration of a sync, files are synced at least every 100 ms.
const syncEvery = 50 * time.Millisecond

// BatchRun has the options of a run.
type BatchRun struct {
	// Chain carries out the call of an item.
	Chain Doer
	// Workers is the number of items in flight at the same time.
	Workers int
	// MaxFailures is the number of consecutive failures that ends the run; 0 is no limit.
	MaxFailures int
	// MaxTokens is the maximum number of tokens billed for all requests; 0 is no limit.
	MaxTokens int64
	// Sending ends when no more items may be sent. The run then waits for the items in flight.
	Sending context.Context
	// Wait waits for the rate limit instead of the clock; it may be nil.
	Wait func(ctx context.Context, p Pause) error
	// NotUTF8 is called with the line of an item whose answer has bytes that are not UTF-8. OUT cannot have such bytes.
	NotUTF8 func(line int)
	// Unwritten must not be nil. It receives, in pieces, the line of an answer that could not be written to OUT, because
	// the answer is billed. Lines do not overlap.
	Unwritten func(piece []byte)
	// Redact must not be nil. It removes secrets and personal data from the messages of OUT.failed.
	Redact func(string) string
}

// Tally counts the results of a run.
type Tally struct {
	// Answered and Failed count the items of this run. A failed item may not have been sent, for example if its files
	// cannot be read. Ambiguous are failed items that may have been carried out.
	// Unwritten are failed items whose answer could not be written to OUT.
	Answered, Failed int
	Unwritten        int
	Ambiguous        Names
	// Input and Output are the reported tokens.
	Input, Output int64
	// FirstFailure is the error message of the first failed item.
	FirstFailure string
}

// Progress returns the results so far.
func (b *Batch) Progress() Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally
}

// runState is the state of a run.
type runState struct {
	*Batch
	BatchRun
	ctx                  context.Context
	journal, out, failed *lineFile
	// sending ends when no more items may be sent; halt ends it. The first reason is its cause.
	sending context.Context
	halt    context.CancelCauseFunc
	memory  *Memory
	// fileMemory is a separate bound: a call that has loaded its files may wait for memory for its answer.
	fileMemory *Memory

	// The batch's mu guards the fields below. consecutiveFailures is the number of failures since the last success.
	// spent is the number of billed tokens, reserved the maximum that may be billed for items in flight. changed is
	// signalled when one of them changes and when the sending ends. asking is the number of calls in progress. ended is
	// closed, and replaced, when one of them ends.
	consecutiveFailures int
	spent, reserved     int64
	changed             *sync.Cond
	asking              int
	ended               chan struct{}
}

// Run sends the items that are not done, and returns when no item is in flight. The error is the reason why it stopped
// early. It is nil if Sending ended; the Tally then shows what is missing.
func (b *Batch) Run(ctx context.Context, how BatchRun) (Tally, error) {
	sending, halt := context.WithCancelCause(how.Sending)
	defer halt(nil)
	r := &runState{
		Batch: b, BatchRun: how, ctx: ctx, sending: sending, halt: halt, memory: NewMemory(), fileMemory: NewMemory(),
		changed: sync.NewCond(&b.mu), ended: make(chan struct{}),
	}
	if err := r.begin(); err != nil {
		return Tally{}, err
	}
	defer context.AfterFunc(sending, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		r.changed.Broadcast()
	})()
	var syncing, workers sync.WaitGroup
	over := make(chan struct{})
	syncing.Go(func() { r.keepSynced(over) })
	items := make(chan Item)
	for range how.Workers {
		workers.Go(func() {
			for item := range items {
				r.runItem(item)
			}
		})
	}
	r.check(r.dispatch(items))
	close(items)
	workers.Wait()
	close(over)
	syncing.Wait()
	why := context.Cause(sending)
	if errors.Is(why, context.Cause(how.Sending)) {
		why = nil // the caller knows the reason
	}
	return b.Progress(), why
}

// begin opens the files for writing. It opens OUT first: a journal without OUT would be refused.
func (r *runState) begin() error {
	r.ran = true
	var err error
	if r.out, err = openLines(r.files.Out, os.O_RDWR, r.record.outEnd); err != nil {
		return err
	}
	if r.journal, err = appendTo(r.files.Out+".journal", r.Batch.journal, r.record.journalEnd); err != nil {
		return err
	}
	if r.record.header == nil {
		// Sync it: an OUT without a header would be refused.
		if err := cmp.Or(r.journal.putLine(text.EncodeLine(r.header)), r.journal.sync()); err != nil {
			return err
		}
	}
	r.failed, err = openLines(r.files.Out+".failed", os.O_WRONLY, 0)
	return err
}

// keepSynced syncs the files repeatedly until the run ends, then once more.
func (r *runState) keepSynced(over <-chan struct{}) {
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ticker.C:
		case <-over:
			ended = true
		}
		for _, f := range []*lineFile{r.journal, r.out, r.failed} { // in any order
			r.check(f.sync())
		}
	}
	empty := r.failed.size == 0
	for _, f := range []*lineFile{r.out, r.failed} {
		if err := f.file.Close(); err != nil {
			r.halt(fileError(f.path, "cannot write", err))
		}
	}
	if empty {
		_ = os.Remove(r.failed.path) // best effort: an empty file has no effect
	}
}

// check ends the sending if err is a write error, and reports whether err is nil.
func (r *runState) check(err error) bool {
	if err != nil {
		r.halt(err)
	}
	return err == nil
}

// stopped reports whether no more items may be sent.
func (r *runState) stopped() bool { return r.sending.Err() != nil }

// errStopped stops reading the input after the sending has ended.
var errStopped = errors.New("stopped")

// dispatch sends the items to the workers until there are no more or the run is stopped.
func (r *runState) dispatch(items chan<- Item) error {
	return r.files.In.items(io.Discard, nil, func(item Item) error {
		switch {
		case r.stopped():
			return errStopped
		case item.fault != "":
			return r.report(item, &Result{}, resultError{Class: Usage, Message: item.fault})
		case r.record.done.has(item.Line):
			return nil
		case r.record.sent.has(item.Line) && !r.files.Resend:
			return r.report(item, &Result{}, resultError{
				Class: Ambiguous, Ambiguous: true, Message: "was in flight when an earlier run ended; --again sends it again",
			})
		}
		if r.MaxTokens > 0 {
			item.price = r.files.Request.Price(item)
			if err := r.reserve(item); err != nil {
				return err
			}
		}
		select {
		case items <- item:
			return nil
		case <-r.sending.Done():
			return errStopped
		}
	})
}

// runItem sends one item and stores its result.
func (r *runState) runItem(item Item) {
	asked := &Result{}
	defer func() { r.charge(item, asked) }()
	if r.stopped() {
		return
	}
	call := r.files.Request.Call(item)
	if len(item.Files) > 0 {
		held := r.fileMemory.Share()
		defer held.Release()
		err := r.files.Request.Attach(r.sending, item, call, held)
		switch {
		case r.stopped(): // during the wait for memory: the next run sends it
			return
		case err != nil: // the journal does not have this item yet
			r.recordFailure(item, asked, &Error{Class: Usage, Err: err, Unsent: true})
			return
		}
	}
	call.Memory = r.memory.Share()
	defer call.Memory.Release() // also after a panic
	asked, err := r.ask(item, call)
	if err == errStopped { // the next run sends it
		return
	}
	if len(asked.Attempts) > 0 {
		r.sent.Store(true)
	}
	if asked.Answer.NotUTF8 {
		r.NotUTF8(item.Line)
	}
	if err == nil {
		r.recordAnswer(item, asked)
		return
	}
	if !r.recordFailure(item, asked, err) {
		r.noteFailed(item)
	}
}

// noteFailed records in the journal that an item is not in flight. It does not do so if an earlier run left the item in
// flight, because that run's request may have been carried out.
func (r *runState) noteFailed(item Item) {
	if !r.record.sent.has(item.Line) {
		r.check(r.journal.note('f', item.Line))
	}
}

// ask writes the "s" line of an item to the journal and sends the item. Before the call's time limit starts, it waits
// for the rate limit and for budget tokens that other calls in progress have reserved. The error is errStopped if the
// sending ended before the item was sent.
func (r *runState) ask(item Item, call *Call) (*Result, error) {
	if !r.waitForRateLimit(call) {
		return &Result{}, errStopped
	}
	for {
		call.Deadline = r.files.Request.Clock.Now().Add(call.Timeout)
		if !r.check(r.journal.note('s', item.Line)) {
			return &Result{}, errStopped
		}
		asked, ended, err := r.askOnce(call)
		var spent *limit.SpentError
		if len(asked.Attempts) > 0 || !errors.As(err, &spent) || spent.Reserved == 0 || ended == nil {
			return asked, err
		}
		r.noteFailed(item)
		select {
		case <-ended:
		case <-r.sending.Done():
		}
		if r.stopped() {
			return asked, errStopped
		}
	}
}

// waitForRateLimit waits for the rate limit of the first endpoint. It returns false if the sending ended before that.
func (r *runState) waitForRateLimit(call *Call) bool {
	first := *call
	first.Endpoint, first.Deadline = r.files.Request.Endpoint, time.Time{}
	env := Env{Clock: r.files.Request.Clock, Wait: r.Wait}
	waited, failed := env.waitForLimit(r.sending, &first)
	if failed != nil {
		r.halt(failed)
		return false
	}
	call.waitedAt, call.waited = first.Endpoint, waited
	return true
}

// askOnce makes the call. ended is closed when another call ends that the result does not take into account, nil if no
// other call was in progress.
func (r *runState) askOnce(call *Call) (asked *Result, ended <-chan struct{}, err error) {
	r.mu.Lock()
	r.asking++
	before := r.ended
	r.mu.Unlock()
	asked, err = r.Chain.Do(r.ctx, call)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking--
	since := r.ended
	close(since)
	r.ended = make(chan struct{})
	switch {
	case since != before: // these calls have released the tokens that they did not use
		ended = before
	case r.asking > 0:
		ended = r.ended
	}
	return asked, ended, err
}

// resultOf returns the result line of an item.
func resultOf(item Item, asked *Result) resultLine {
	return resultLine{
		ID: item.ID, Line: item.Line, Node: asked.Node, Model: cmp.Or(asked.Answer.Model, asked.Model),
		Text: asked.Answer.Text, StopReason: asked.Answer.StopReason, Usage: asked.Answer.Usage,
		Attempts: len(asked.Attempts), LatencyMS: float64(asked.Latency.Microseconds()) / 1000,
	}
}

// recordAnswer stores an answer.
func (r *runState) recordAnswer(item Item, asked *Result) {
	pieces := resultOf(item, asked).encode()
	written := r.check(r.out.put(pieces))
	r.mu.Lock()
	defer r.mu.Unlock()
	if !written {
		for piece := range pieces {
			r.Unwritten(piece)
		}
		// The item stays in flight in the journal: it was carried out, and OUT does not have the answer.
		r.tally.Failed++
		r.tally.Unwritten++
		r.tally.Ambiguous.add(item.ID)
		return
	}
	r.consecutiveFailures = 0
	r.tally.Answered++
	if u := asked.Answer.Usage; u != nil {
		r.tally.Input += int64(u.Input)
		r.tally.Output += int64(u.Output)
	}
}

// recordFailure stores a failure. It reports whether the item may have been carried out; the journal then leaves it in
// flight.
func (r *runState) recordFailure(item Item, asked *Result, why error) (ambiguous bool) {
	failed := &Error{}
	errors.As(why, &failed)
	ambiguous = slices.ContainsFunc(asked.Attempts, func(at *Attempt) bool { return at.Ambiguous })
	r.check(r.report(item, asked, resultError{failed.Class, failed.Status, why.Error(), ambiguous}))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.Failed++
	r.tally.FirstFailure = cmp.Or(r.tally.FirstFailure, why.Error())
	if ambiguous {
		r.tally.Ambiguous.add(item.ID)
	}
	r.consecutiveFailures++
	switch {
	case failed.Status == 401 || failed.Status == 403 || !callMade(why): // every further request would fail too
		r.halt(why)
	case r.MaxFailures > 0 && r.consecutiveFailures >= r.MaxFailures:
		r.halt(text.Errorf("the same command resumes the batch; --max-failures allows more, and 0 any number",
			"%s in a row failed, so no more were sent; the last: %s", text.Count(r.consecutiveFailures, "item"), why))
	}
	return ambiguous
}

// report writes a line of OUT.failed.
func (r *runState) report(item Item, asked *Result, why resultError) error {
	result := resultOf(item, asked)
	result.Text = text.Shown(result.Text, text.MaxShown)
	why.Message = r.Redact(why.Message)
	result.Error = &why
	return r.failed.put(result.encode())
}

// reserve waits until the item fits under the cap on tokens. It returns an error if it never will.
func (r *runState) reserve(item Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.spent+r.reserved+item.price.All > r.MaxTokens {
		switch {
		case r.stopped():
			return errStopped
		case r.reserved == 0:
			return text.Errorf("a higher --max-tokens-total allows more; a lower --max-tokens or --attempts lowers the maximum of an item",
				"the next item could exceed --max-tokens-total %d, so no more were sent; %d were counted", r.MaxTokens, r.spent)
		}
		r.changed.Wait()
	}
	r.reserved += item.price.All
	return nil
}

// charge replaces the tokens reserved for an item by the billed tokens.
func (r *runState) charge(item Item, asked *Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserved -= item.price.All
	for _, at := range asked.Attempts {
		input, output := at.billedTokens(item.price.MaxInput, item.price.MaxOutput)
		r.spent += input + output
	}
	r.changed.Broadcast()
}
