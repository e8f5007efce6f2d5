package cmd

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/limit"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// shared is what one run shares of its nodes' rate limits: nodes with one address have one bucket, also where it cannot be
// shared with other processes.
type shared struct {
	limiters                    map[string]*rateLimiter
	limitWarning, budgetWarning sync.Once
}

// rateLimiter is a bucket that says so when other processes no longer count with it.
type rateLimiter struct {
	*limit.Bucket
	degraded func(error)
}

// Reserve takes the next reservation.
func (l *rateLimiter) Reserve(ctx context.Context, most time.Duration) (*limit.Reservation, error) {
	reserved, err := l.Bucket.Reserve(ctx, most)
	if why := l.Degraded(); why != nil {
		l.degraded(why)
	}
	return reserved, err
}

// limit gives an endpoint the bucket and the budget of its address, where it has a rate limit or a budget. It touches no
// file.
func (a *app) limit(s *settings, e *endpoint) error {
	rate, budget := e.config.Rate, e.config.Budget
	if rate == "" && budget == "" {
		return nil
	}
	folder, homeless := a.limitsDir()
	address := e.URL.String()
	if e.demo != nil {
		address = "demo:" + e.Name // they share no server
	}
	if rate != "" {
		var err error
		if e.limiter, err = a.rateLimiter(s, folder, address, rate, e.config.Burst); err != nil {
			return err
		}
		if homeless != nil && !s.noStore {
			e.limiter.degraded(homeless)
		}
		e.Limiter = e.limiter
	}
	if budget == "" {
		return nil
	}
	b, err := limit.ParseBudget(budget)
	if err != nil {
		return err
	}
	ledger := limit.NewLedger(folder, address, s.nameOf(e.config), b, a.limitClock())
	e.Budget = &client.Budget{
		Ledger: ledger,
		Degraded: func(why error) {
			s.shared.budgetWarning.Do(func() { a.note("other processes do not see what this one uses of the budget: %s", why) })
		},
		Unchecked: s.budgetUnchecked,
		OnError:   func(err error) { a.note("what this used is not counted: %s", err) },
	}
	if s.noStore || homeless != nil {
		ledger.Alone()
	}
	if !s.noStore {
		e.Budget.Homeless = homeless
	}
	return nil
}

// nameOf is the name under which a node's tokens are listed. The address of one that is given as a URL is not kept.
func (s *settings) nameOf(node config.Node) string {
	if node.InFile || node.IsDemo() || node.Name == "direct" {
		return node.Name
	}
	return "(a URL)"
}

// rateLimiter finds the bucket of an address and a rate, or makes it.
func (a *app) rateLimiter(s *settings, folder, address, text string, burst int) (*rateLimiter, error) {
	rate, err := limit.ParseRate(text)
	if err != nil {
		return nil, err
	}
	rate.Burst = burst
	key := limit.Place(address) + " " + rate.String()
	if known := s.shared.limiters[key]; known != nil {
		return known, nil
	}
	bucket, err := limit.NewBucket(folder, address, rate, a.limitClock())
	if err != nil {
		return nil, err
	}
	if s.noStore || folder == "" {
		bucket.Alone()
	}
	l := &rateLimiter{Bucket: bucket, degraded: func(why error) {
		s.shared.limitWarning.Do(func() { a.note("the limit of %v holds for this ferry alone: %s", rate, why) })
	}}
	s.shared.limiters[key] = l
	return l, nil
}

// limitsDir is where buckets, budgets and usage are kept.
func (a *app) limitsDir() (string, error) {
	dir, err := a.stateDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "limits"), nil
}

// limitClock is the clock of limits and budgets: the machine's, unless a test brought one that jumps.
func (a *app) limitClock() limit.Clock {
	if c, ok := a.Clock.(limit.Clock); ok {
		return c
	}
	return limit.NewClock()
}

// leastShown is the shortest wait for a turn that is worth a line.
const leastShown = 100 * time.Millisecond

// waitTurn waits for the turn that a limit gives, and says so. A signal ends the wait before it kills, so that the turn
// is given back.
func (a *app) waitTurn(ctx context.Context, p client.Pause) error {
	ctx, stop := a.Catch(ctx)
	defer stop()
	var err error
	switch {
	case a.quiet || p.Wait < leastShown:
		err = p.Sleep(ctx, a.Clock.Sleep)
	case a.err.Plain || p.Wait <= time.Second:
		a.note("%s: waiting %s for the limit of %s", p.Node, text.Seconds(p.Wait), p.Limit)
		err = p.Sleep(ctx, a.Clock.Sleep)
	default:
		text := "ferry: " + p.Node + ": sending, by the limit of " + p.Limit + ","
		err = term.Countdown(ctx, a.err, p.Turn.Left, text, func(ctx context.Context, d time.Duration) error {
			return p.Turn.Sleep(ctx, d, a.Clock.Sleep)
		})
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// waitSending waits between attempts and for turns; for a turn only until sending ends.
func waitSending(ctx, sending context.Context, p client.Pause, sleep func(context.Context, time.Duration) error) error {
	if p.Limit != "" && sending != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(sending, cancel)()
	}
	return p.Sleep(ctx, sleep)
}
