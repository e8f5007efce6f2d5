package client

import "sync"

// tokenBudget holds requests to a number of tokens: what may come of those in flight counts until it is known.
type tokenBudget struct {
	mu                   sync.Mutex
	cap, spent, reserved int64
	settled              chan struct{}
}

func newTokenBudget(most int64) *tokenBudget {
	return &tokenBudget{cap: most, settled: make(chan struct{})}
}

// take reserves tokens. Where they do not fit, settled is closed when that may have changed; nil is never.
func (b *tokenBudget) take(tokens int64) (fits bool, settled <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+b.reserved+tokens <= b.cap {
		b.reserved += tokens
		return true, nil
	}
	if b.reserved == 0 {
		return false, nil
	}
	return false, b.settled
}

func (b *tokenBudget) settle(reserved, spent int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved, b.spent = b.reserved-reserved, b.spent+spent
	close(b.settled)
	b.settled = make(chan struct{})
}

func (b *tokenBudget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// worst is what an item may be billed.
func (r *running) worst(item Item) int64 {
	input, output := r.files.Price(item)
	return (input + output) * int64(max(1, r.Attempts))
}

// reserve waits until the item fits under the cap on tokens, and says when it never will.
func (r *running) reserve(item Item) error {
	if r.MaxTokens == 0 {
		return nil
	}
	worst := r.worst(item)
	for {
		fits, settled := r.budget.take(worst)
		switch {
		case fits:
			return nil
		case settled == nil:
			return &TokenCapError{r.MaxTokens, r.budget.used()}
		}
		select {
		case <-settled:
		case <-r.halted:
			return errStopped
		case <-r.Stop:
			return errStopped
		case <-r.ctx.Done():
			return errStopped
		}
	}
}

// billed is what an item counts against the cap: what its node says, the worst where it may have worked and does not say,
// and nothing where it refused.
func (r *running) billed(item Item, asked *Result) int64 {
	input, output := r.files.Price(item)
	var sum int64
	for _, at := range asked.Attempts {
		switch {
		case at.Usage != nil:
			sum += at.Usage.Total()
		case at.Err == nil || at.Ambiguous:
			sum += input + output
		}
		if at.Reconnected { // the request that got no answer
			sum += input + output
		}
	}
	return sum
}
