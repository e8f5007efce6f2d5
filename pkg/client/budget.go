package client

import (
	"context"

	"ferry/pkg/limit"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Budget limits the tokens that an endpoint may use.
type Budget struct {
	Ledger *limit.Ledger
	// NoFolder is the reason why the ledger has no folder; nil if it has one or needs none.
	NoFolder error
	// Unchecked allows a call even if it cannot be recorded for other processes.
	Unchecked bool
	// Degraded is called with the reason each time that other processes cannot see the count.
	Degraded func(why error)
	// OnError is called with the reason why a call could not be charged. The call itself does not fail because of it.
	OnError func(err error)
}

// Reserve reserves the maximum that a call may use. After an error nothing may be sent.
func (b *Budget) Reserve(ctx context.Context, call *Call) (*limit.BudgetReservation, error) {
	reserved, err := b.Ledger.Reserve(ctx, EstimateInput(call.Request)+int64(call.Request.MaxAnswerTokens()), call.Timeout)
	why := b.degraded()
	if err != nil || why == nil {
		return reserved, err
	}
	if !b.Unchecked {
		_ = reserved.Release() // it is only in memory
		return nil, text.Errorf("make the folder writable, or send without counting with --budget-unchecked",
			"the budget of %s cannot be recorded, and nothing was sent: %w", call.Endpoint.Name, why)
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

// Check fails if Reserve would fail, but leaves no reservation.
func (b *Budget) Check(ctx context.Context, call *Call) error {
	reserved, err := b.Reserve(ctx, call)
	if err != nil {
		return err
	}
	return reserved.Release()
}

// Charge counts the tokens that a call used. If the server may have carried out a request and reports no usage, Charge
// counts the maximum of that request.
func (b *Budget) Charge(reserved *limit.BudgetReservation, call *Call, result *Result) error {
	defer func() {
		if why := b.degraded(); why != nil {
			b.Degraded(why)
		}
	}()
	var input, output int64
	reported := false // a request with a reported usage of 0 still counts as a request
	for _, at := range result.Attempts {
		in, out := at.billedTokens(EstimateInput(call.Request), int64(call.Request.MaxAnswerTokens()))
		input, output = input+in, output+out
		reported = reported || at.Usage != nil
	}
	if input+output == 0 && !reported {
		return reserved.Release()
	}
	return reserved.Charge(input, output)
}

// EstimateInput estimates the input tokens of a request. The schema and the params count too, because APIs bill the
// fields that the model reads, such as tools.
func EstimateInput(r wire.Request) int64 {
	n := wire.EstimateTokens(r.System) + wire.EstimateTokens(r.Prompt) + wire.EstimateTokens(string(r.Schema))
	for _, value := range r.Params {
		n += wire.EstimateTokens(string(value))
	}
	for _, turn := range r.Turns {
		n += wire.EstimateTokens(turn.Text)
	}
	for _, f := range r.AllFiles() {
		n += f.Tokens()
	}
	return int64(n)
}

// budgetStage reserves the maximum before a call, and charges the actual usage after it.
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
