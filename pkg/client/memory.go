package client

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

const (
	// smallBody is how much of each body is not counted.
	smallBody = 32 << 10
	// sharedMemory is how much the counted bodies may take together.
	sharedMemory = 16 << 20
	// mostClipped is how much is kept of what a failed attempt brought.
	mostClipped = 256 << 10
)

// Memory bounds what the bodies of calls that are made at the same time take together. What finds no more room among the
// others is read alone, one body at a time.
type Memory struct {
	shared atomic.Int64
	alone  chan struct{}
}

// NewMemory is the bound for one command's calls.
func NewMemory() *Memory { return &Memory{alone: make(chan struct{}, 1)} }

// MemoryShare is one call's part of a Memory, nil for a call that is bounded by itself alone.
type MemoryShare struct {
	of    *Memory
	taken int64
	alone bool
}

// Share begins a call's part. Release ends it, once the call's result is no longer used.
func (m *Memory) Share() *MemoryShare { return &MemoryShare{of: m} }

// take has room for a body of size bytes in all, and waits for it where other bodies have it. A share that is alone never
// waits, so that there is no deadlock.
func (s *MemoryShare) take(ctx context.Context, size int) error {
	if s == nil || s.alone || size <= smallBody {
		return nil
	}
	more := int64(size) - s.taken
	if s.of.shared.Add(more) <= sharedMemory {
		s.taken += more
		return nil
	}
	s.of.shared.Add(-more)
	select {
	case s.of.alone <- struct{}{}:
		s.of.shared.Add(-s.taken)
		s.taken, s.alone = 0, true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release gives back what was taken.
func (s *MemoryShare) Release() {
	if s == nil {
		return
	}
	s.of.shared.Add(-s.taken)
	if s.alone {
		<-s.of.alone
	}
	s.taken, s.alone = 0, false
}

// clip drops all but the beginning of what a failed attempt brought, before another one is made.
func (r *Result) clip() {
	short := func(body *[]byte) {
		if len(*body) > mostClipped {
			*body = slices.Clone(text.WholeRunes((*body)[:mostClipped]))
		}
	}
	short(&r.Body)
	if len(r.Answer.Text) > mostClipped {
		r.Answer.Text = string(text.WholeRunes([]byte(r.Answer.Text[:mostClipped])))
	}
	last := r.last()
	if last == nil {
		return
	}
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	var malformed *wire.MalformedError
	switch {
	case errors.As(last.Err, &apiErr):
		short(&apiErr.Body)
	case errors.As(last.Err, &none):
		short(&none.Body)
	case errors.As(last.Err, &malformed):
		short(&malformed.Body)
	}
}
