package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/limit"
	"ferry/pkg/text"
)

// setLimit gives an endpoint the rate limit of its address. Nodes with the same address share it, even if it cannot be
// shared with other processes. It touches no file.
func (s *settings) setLimit(e *endpoint, rate limit.Rate) {
	folder, noHome := s.limitsDir()
	key := fmt.Sprintf("%s %v %d", limit.AddressKey(e.address()), rate, rate.Burst)
	bucket := s.limiters[key]
	if bucket == nil {
		bucket, _ = limit.NewBucket(folder, e.address(), rate, limitClock(s.Clock)) // the configuration has checked the rate
		if s.noStore || noHome != nil {
			bucket.Alone()
		}
		bucket.OnDegraded = func(why error) {
			s.limitWarning.Do(func() { s.note("the limit of %v applies only to this ferry process: %s", rate, why) })
		}
		s.limiters[key] = bucket
	}
	if noHome != nil && !s.noStore {
		bucket.OnDegraded(noHome)
	}
	e.Limiter = bucket
}

// setBudget gives an endpoint the budget of its address. It touches no file.
func (s *settings) setBudget(e *endpoint, tokens int64) {
	name := "(a URL)" // its address is not stored
	if e.config.InFile || e.demo != nil || e.Name == "direct" {
		name = e.Name
	}
	folder, noHome := s.limitsDir()
	e.Budget = &client.Budget{
		Ledger: limit.NewLedger(folder, e.address(), name, tokens, limitClock(s.Clock)),
		Degraded: func(why error) {
			s.budgetWarning.Do(func() { s.note("other processes do not see the tokens that this one uses: %s", why) })
		},
		Unchecked: s.budgetUnchecked,
		OnError:   func(err error) { s.note("the tokens used are not counted: %s", err) },
	}
	if s.noStore || noHome != nil {
		e.Budget.Ledger.Alone()
	}
	if !s.noStore {
		e.Budget.NoFolder = noHome
	}
}

// address identifies the server that the node's limits apply to. Each demo node has its own.
func (e *endpoint) address() string {
	if e.demo != nil {
		return "demo:" + e.Name
	}
	return e.URL.String()
}

// limitsDir returns the directory of buckets, budgets and usage.
func (e Env) limitsDir() (string, error) {
	dir, err := e.stateDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "limits"), nil
}

// limitClock returns the clock of limits and budgets: the system clock, unless a test provides one that jumps.
func limitClock(clock client.Clock) limit.Clock {
	if c, ok := clock.(limit.Clock); ok {
		return c
	}
	return limit.NewClock()
}

// pauses counts the current waits of a run's requests, for its display.
type pauses struct{ limit, retry atomic.Int64 }

// wait waits between attempts or for the rate limit. When sending ends, it stops waiting for the rate limit.
func (w *pauses) wait(ctx, sending context.Context, p client.Pause, sleep func(context.Context, time.Duration) error) error {
	count := &w.retry
	if p.Limit != "" {
		count = &w.limit
	}
	count.Add(1)
	defer count.Add(-1)
	if p.Limit != "" && sending != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(sending, cancel)()
	}
	return p.Sleep(ctx, sleep)
}

// status describes what a run waits for, "" if nothing. since is how long ago the run began.
func (w *pauses) status(answered bool, since time.Duration) string {
	limited, retrying := w.limit.Load(), w.retry.Load()
	return joinParts("; ",
		part{!answered && since >= showWaitAfter, "waiting for the first answer… " + text.Seconds(since.Truncate(time.Second))},
		part{limited > 0, fmt.Sprintf("%d waiting for the rate limit", limited)},
		part{retrying > 0, fmt.Sprintf("%d waiting to retry", retrying)},
	)
}
