package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"ferry/pkg/state"
)

// syncEvery is how often what was written is put on the disk: with the time that this takes, at least every 100 ms.
const syncEvery = 50 * time.Millisecond

// BatchRun says how a batch is run.
type BatchRun struct {
	// Chain asks for the answer of an item, and Call is the item's call.
	Chain Doer
	Call  func(item Item) *Call
	// Workers is how many items are in flight at once.
	Workers int
	// MaxFailures in a row end the run; 0 is no bound.
	MaxFailures int
	// MaxTokens is what all requests together may be billed, 0 for no bound; Attempts is how often each may be sent.
	MaxTokens int64
	Attempts  int
	// Stop ends the sending; what is in flight is waited for.
	Stop <-chan struct{}
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
}

func (e *TooManyFailuresError) Error() string {
	return fmt.Sprintf("%d items in a row failed, so no more were sent; the last: %s", e.Count, e.Last)
}

// Hint tells what to do about it.
func (e *TooManyFailuresError) Hint() string {
	return "the same command goes on; --max-failures allows more, and 0 any number"
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
	// halted is closed when no more is to be sent, for the reason in why.
	halted chan struct{}
	once   sync.Once
	why    error
	// row counts the failures since the last success. The batch's mu guards it.
	row    int
	budget *tokenBudget
	memory *Memory
}

// Run asks the items that are not done, and returns when nothing is in flight any more. The error is why it sent no more
// before the end, nil also where Stop said so: that shows in the numbers.
func (b *Batch) Run(ctx context.Context, how BatchRun) (Tally, error) {
	r := &running{Batch: b, BatchRun: how, ctx: ctx, halted: make(chan struct{}), memory: NewMemory()}
	r.budget = newTokenBudget(how.MaxTokens)
	if err := r.begin(); err != nil {
		return Tally{}, err
	}
	stopSyncing := r.keepSyncing()
	items := make(chan Item)
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
		r.halt(err)
	}
	close(items)
	workers.Wait()
	stopSyncing()
	return b.Progress(), r.why
}

// begin opens the files for writing. The results come first: a journal without them would be refused.
func (r *running) begin() error {
	r.ran = true
	_, err := os.Lstat(r.files.Out)
	r.outMade = errors.Is(err, fs.ErrNotExist)
	outFile, err := state.OpenPrivate(r.files.Out, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if r.out, err = appendTo(r.files.Out, outFile, r.record.outEnd); err != nil {
		return err
	}
	if r.journal, err = appendTo(r.record.journalPath, r.Batch.journal, r.record.journalEnd); err != nil {
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
	failedFile, err := state.OpenPrivate(r.record.failed, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return err
	}
	r.failed, err = appendTo(r.record.failed, failedFile, 0)
	return err
}

// keepSyncing puts the files on the disk again and again, and once more when it is stopped.
func (r *running) keepSyncing() (stop func()) {
	flush := func() {
		// The intents come first: an answer whose intent is lost would be no harm, the other way round neither.
		for _, f := range []*lineFile{r.journal, r.out, r.failed} {
			if err := f.sync(); err != nil {
				r.halt(err)
			}
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
				r.halt(&FileError{Path: f.path, Msg: "cannot write", Err: err})
			}
		}
		if empty {
			_ = os.Remove(r.failed.path) // best effort: an empty one says the same
		}
	}
}

// halt ends the sending. The first reason is the run's.
func (r *running) halt(why error) {
	r.once.Do(func() {
		r.why = why
		close(r.halted)
	})
}

// stopped reports whether no more is to be sent.
func (r *running) stopped() bool {
	select {
	case <-r.halted:
		return true
	case <-r.Stop:
		return true
	case <-r.ctx.Done():
		return true
	default:
		return false
	}
}

// errStopped ends the reading of the input.
var errStopped = errors.New("stopped")

// dispatch hands the items to the workers until there are no more or the run is stopped.
func (r *running) dispatch(items chan<- Item) error {
	r.input.rewind()
	_, err := r.input.items(r.input, func(item Item, fault *ItemError) error {
		if r.stopped() {
			return errStopped
		}
		if fault != nil {
			return r.report(resultLine{Line: fault.Line, Error: &resultError{Class: Usage, Message: fault.Msg}}, &bytes.Buffer{})
		}
		if r.record.done.has(item.Line) {
			return nil
		}
		if r.record.sent.has(item.Line) && !r.files.Again {
			return r.report(resultLine{ID: item.ID, Line: item.Line, Error: &resultError{
				Class: Ambiguous, Ambiguous: true, Message: "was in flight when an earlier run ended; --again asks it again",
			}}, &bytes.Buffer{})
		}
		if err := r.reserve(item); err != nil {
			return err
		}
		select {
		case items <- item:
			return nil
		case <-r.halted:
		case <-r.Stop:
		case <-r.ctx.Done():
		}
		return errStopped
	})
	var full *FileError
	var over *TokenCapError
	switch {
	case err == nil, errors.Is(err, errStopped):
		return nil
	case errors.As(err, &full), errors.As(err, &over):
		return err
	}
	return inputError(r.files.InName, err)
}
