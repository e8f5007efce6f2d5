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
	"ferry/pkg/wire"
)

// restraints are what one run shares of its nodes' limits and budgets: nodes with one address have one bucket, also
// where it cannot be shared with other processes.
type restraints struct {
	buckets       map[string]*turnstile
	limit, budget sync.Once // each is warned about once
}

// turnstile is a bucket that says so when others no longer count with it.
type turnstile struct {
	*limit.Bucket
	lost func(error)
}

// Reserve takes the next turn.
func (t *turnstile) Reserve(ctx context.Context, most time.Duration) (*limit.Reservation, error) {
	turn, err := t.Bucket.Reserve(ctx, most)
	if why := t.Degraded(); why != nil {
		t.lost(why)
	}
	return turn, err
}

// restrain gives a crossing the bucket and the ledger of its node's address, where there is a limit or a budget. It
// touches no file.
func (a *app) restrain(s *settings, node config.Node, c *crossing) error {
	rate, burst := s.values.LimitFor(node)
	budget := s.values.BudgetFor(node)
	if rate == "" && budget == "" {
		return nil
	}
	folder, homeless := a.limitsDir()
	address := c.node.URL.String()
	if c.inProcess {
		address = "demo:" + node.Name // they share no server
	}
	if rate != "" {
		t, err := a.turnstile(s, folder, address, rate, burst)
		if err != nil {
			return err
		}
		if homeless != nil && !s.noStore {
			t.lost(homeless)
		}
		c.client.Limit, c.turns = t, t
	}
	if budget == "" {
		return nil
	}
	b, err := limit.ParseBudget(budget)
	if err != nil {
		return err
	}
	ledger := limit.NewLedger(folder, address, s.nameOf(node), b, a.limitClock())
	c.tab = &tab{ledger: ledger, lost: a.lostBudget(s), unchecked: s.budgetUnchecked}
	if s.noStore || homeless != nil {
		ledger.Alone()
	}
	if !s.noStore {
		c.tab.homeless = homeless
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

// turnstile finds the bucket of an address and a rate, or makes it.
func (a *app) turnstile(s *settings, folder, address, text string, burst int) (*turnstile, error) {
	rate, err := limit.ParseRate(text)
	if err != nil {
		return nil, err
	}
	rate.Burst = burst
	key := limit.Place(address) + " " + rate.String()
	if known := s.shared.buckets[key]; known != nil {
		return known, nil
	}
	bucket, err := limit.NewBucket(folder, address, rate, a.limitClock())
	if err != nil {
		return nil, err
	}
	if s.noStore || folder == "" {
		bucket.Alone()
	}
	t := &turnstile{Bucket: bucket, lost: func(why error) {
		s.shared.limit.Do(func() { a.note("the limit of %v holds for this ferry alone: %s", rate, why) })
	}}
	s.shared.buckets[key] = t
	return t, nil
}

func (a *app) lostBudget(s *settings) func(error) {
	return func(why error) {
		s.shared.budget.Do(func() { a.note("other processes do not see what this one uses of the budget: %s", why) })
	}
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

// tab is what a node's budget is charged. A nil tab charges nothing.
type tab struct {
	ledger    *limit.Ledger
	lost      func(error)
	homeless  error // why there is no folder for it
	unchecked bool  // --budget-unchecked: it need not be written down
}

// hold sets the most that a request may use apart from the budget, before it is sent.
func (c *crossing) hold(ctx context.Context, request wire.Request) (*limit.Hold, error) {
	if c.tab == nil {
		return nil, nil
	}
	held, err := c.tab.ledger.Hold(ctx, estimateInput(request)+int64(request.MaxTokens), c.client.Timeout)
	why := c.tab.degraded()
	if err != nil || why == nil {
		return held, err
	}
	if !c.tab.unchecked {
		_ = held.Release() // it is in memory alone
		return nil, usagef("make the folder writable, or send without a count by --budget-unchecked",
			"the budget of %s cannot be written down, and nothing was sent: %s", c.node.Name, why)
	}
	c.tab.lost(why)
	return held, nil
}

// degraded is why other processes do not see what is counted, nil where they do.
func (t *tab) degraded() error {
	if t.homeless != nil {
		return t.homeless
	}
	return t.ledger.Degraded()
}

// look warns where other processes no longer see what is counted.
func (t *tab) look() {
	if why := t.degraded(); why != nil {
		t.lost(why)
	}
}

// spend charges what came of a request, once that has been shown. What the node does not say is charged at its worst.
func (c *crossing) spend(held *limit.Hold, request wire.Request, result *client.Result) error {
	if held == nil {
		return nil
	}
	defer c.tab.look()
	var input, output int64
	for _, at := range result.Attempts {
		switch {
		case at.Usage != nil:
			input, output = input+int64(at.Usage.Input), output+int64(at.Usage.Output)
		case at.Err == nil || at.Ambiguous:
			input, output = input+estimateInput(request), output+int64(request.MaxTokens)
		}
		if at.Reconnected { // the request that got no answer
			input, output = input+estimateInput(request), output+int64(request.MaxTokens)
		}
	}
	if input+output == 0 {
		return held.Release()
	}
	return held.Spend(input, output)
}

// estimateInput guesses how many tokens a request brings.
func estimateInput(r wire.Request) int64 {
	n := wire.EstimateTokens(r.System) + wire.EstimateTokens(r.Prompt)
	for _, turn := range r.Turns {
		n += wire.EstimateTokens(turn.Text)
	}
	return int64(n)
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
		a.note("%s: waiting %s for the limit of %s", p.Node, spellWait(p.Wait), p.Limit)
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
