package client

import (
	"context"

	"ferry/pkg/limit"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Budget is the tokens that an endpoint may use.
type Budget struct {
	Ledger *limit.Ledger
	// NoFolder is why there is no folder for the ledger; nil where there is one or none is wanted.
	NoFolder error
	// Unchecked lets a call be sent that cannot be written down for other processes.
	Unchecked bool
	// Degraded is told why other processes do not see what is counted, as often as that is so.
	Degraded func(why error)
	// OnError is told why a call could not be counted; nothing has failed by it yet.
	OnError func(err error)
}

// Reserve sets apart the most that a call may use. After an error nothing is to be sent.
func (b *Budget) Reserve(ctx context.Context, call *Call) (*limit.Hold, error) {
	reserved, err := b.Ledger.Hold(ctx, EstimateInput(call.Request)+int64(call.Request.MostTokens()), call.Timeout)
	why := b.degraded()
	if err != nil || why == nil {
		return reserved, err
	}
	if !b.Unchecked {
		_ = reserved.Release() // it is in memory alone
		return nil, text.Errorf("make the folder writable, or send without a count by --budget-unchecked",
			"the budget of %s cannot be written down, and nothing was sent: %w", call.Endpoint.Name, why)
	}
	b.Degraded(why)
	return reserved, nil
}

func (b *Budget) degraded() error {
	if b.NoFolder != nil {
		return b.NoFolder
	}
	return b.Ledger.Degraded()
}

// Check fails as Reserve would, and reserves nothing.
func (b *Budget) Check(ctx context.Context, call *Call) error {
	reserved, err := b.Reserve(ctx, call)
	if err != nil {
		return err
	}
	return reserved.Release()
}

// Charge counts what a call used. What the server does not say is counted at the most that it can be.
func (b *Budget) Charge(reserved *limit.Hold, call *Call, result *Result) error {
	defer func() {
		if why := b.degraded(); why != nil {
			b.Degraded(why)
		}
	}()
	var input, output int64
	reported := false // a request that cost nothing by its server's word is one all the same
	for _, at := range result.Attempts {
		in, out := at.billed(EstimateInput(call.Request), int64(call.Request.MostTokens()))
		input, output = input+in, output+out
		reported = reported || at.Usage != nil
	}
	if input+output == 0 && !reported {
		return reserved.Release()
	}
	return reserved.Spend(input, output)
}

// EstimateInput guesses how many tokens a request brings.
func EstimateInput(r wire.Request) int64 {
	n := wire.EstimateTokens(r.System) + wire.EstimateTokens(r.Prompt)
	for _, turn := range r.Turns {
		n += wire.EstimateTokens(turn.Text)
	}
	for _, f := range r.AllFiles() {
		n += f.Tokens()
	}
	return int64(n)
}

// budgetStage reserves what a call may use before it, and charges what it used after it.
type budgetStage struct{ next Doer }

func (s *budgetStage) Do(ctx context.Context, call *Call) (*Result, error) {
	b := call.Endpoint.Budget
	if b == nil {
		return s.next.Do(ctx, call)
	}
	reserved, err := b.Reserve(ctx, call)
	if err != nil {
		return &Result{Node: call.Endpoint.Name, API: call.Endpoint.API, Model: call.Request.Model}, err
	}
	result, err := s.next.Do(ctx, call)
	if result.Uncounted = b.Charge(reserved, call, result); result.Uncounted != nil {
		b.OnError(result.Uncounted)
	}
	return result, err
}
