package client

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"ferry/pkg/wire"
)

// TestMemoryShares checks that only bodies that do not fit among the others wait for each other.
func TestMemoryShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		var reading, most atomic.Int64
		for range 50 { // each takes half of sharedMemory, then more than all of it
			go func() {
				share := memory.Share()
				defer share.Release()
				for _, size := range []int{sharedMemory / 2, 2 * sharedMemory} {
					if err := share.acquire(t.Context(), size); err != nil {
						t.Error(err)
					}
				}
				most.Store(max(most.Load(), reading.Add(1)))
				defer reading.Add(-1)
			}()
		}
		synctest.Wait()
		errorIf(t, most.Load() != 1, "%d long bodies at once, want 1", most.Load())
		if left := memory.shared.Load(); left != 0 || len(memory.exclusive) != 0 {
			t.Errorf("%d bytes and %d places are still taken, want none", left, len(memory.exclusive))
		}

		alone := memory.Share()
		check(t, alone.acquire(t.Context(), 2*sharedMemory))
		small := memory.Share()
		if err := small.acquire(t.Context(), sharedMemory); err != nil {
			t.Errorf("a body that fits is read beside one that is alone: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error)
		go func() { waited <- memory.Share().acquire(ctx, smallBody+1) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Errorf("a body for which there is no room did not wait: %v", err)
		default:
		}
		cancel()
		if err := <-waited; !errors.Is(err, context.Canceled) {
			t.Errorf("the wait ended with %v, want that it was cancelled", err)
		}
		small.Release()
		small.Release() // the second call does nothing
		if err := memory.Share().acquire(t.Context(), sharedMemory); err != nil {
			t.Errorf("what was given back can be taken: %v", err)
		}
	})
	var none *MemoryShare
	if err := none.acquire(t.Context(), 1<<40); err != nil {
		t.Errorf("without a share: %v", err)
	}
	none.Release()
}

// TestMemoryFreed checks that a waiting body is read as soon as it fits among the others, even if another is read
// alone.
func TestMemoryFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		take := func(size int) *MemoryShare {
			share := memory.Share()
			if err := share.acquire(t.Context(), size); err != nil {
				t.Error(err)
			}
			return share
		}
		defer take(2 * sharedMemory).Release() // is read alone
		most := take(sharedMemory)
		var read atomic.Int64
		for range 3 {
			go func() {
				defer take(sharedMemory / 4).Release()
				read.Add(1)
				<-t.Context().Done()
			}()
		}
		synctest.Wait()
		if n := read.Load(); n != 0 {
			t.Errorf("%d bodies are read without room, want none", n)
		}
		most.Release()
		synctest.Wait()
		if n := read.Load(); n != 3 {
			t.Errorf("%d of 3 bodies are read where there is room for all", n)
		}
	})
}

// TestClip checks that the beginning of a failed attempt's body is kept, cut at a character boundary.
func TestClip(t *testing.T) {
	long := strings.Repeat("€", maxClipped)
	for name, result := range map[string]*Result{
		"an error":      {Attempts: []*Attempt{{Err: &wire.APIError{Body: []byte(long)}}}},
		"no answer":     {Attempts: []*Attempt{{Err: &wire.NotAnswerError{Body: []byte(long)}}}},
		"a broken line": {Attempts: []*Attempt{{Err: &wire.MalformedError{Body: []byte(long)}}}},
		"no attempt":    {},
	} {
		result.Body, result.Answer.Text = []byte(long), long
		result.clip()
		kept := []string{string(result.Body), result.Answer.Text}
		if last := result.last(); last != nil {
			kept = append(kept, string(*quotedBody(last.Err)))
		}
		for i, text := range kept {
			if want := long[:maxClipped-maxClipped%3]; text != want {
				t.Errorf("%s: %d bytes of text %d are kept, want %d", name, len(text), i, len(want))
			}
		}
	}
}
