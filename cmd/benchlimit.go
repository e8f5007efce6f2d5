package cmd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/client"
	"ferry/pkg/limit"
	"ferry/pkg/text"
)

// share is what the series behind one bucket ask of it: both kinds of connection and all nodes of an address.
type share struct {
	rate   limit.Rate
	name   string // of the first node
	series int
}

// shares groups the series by their buckets, in their order.
func (c *benchPlan) shares() []*share {
	var all []*share
	by := map[client.Limiter]*share{}
	for i, n := range c.plan.Header.Nodes {
		limiter := c.series[i].Limiter
		if limiter == nil {
			continue
		}
		if by[limiter] == nil {
			by[limiter] = &share{rate: limiter.Rate(), name: n.Name}
			all = append(all, by[limiter])
		}
		by[limiter].series++
	}
	return all
}

// fits refuses a plan that the limits of its nodes leave no time for.
func (c *benchPlan) fits(timeout time.Duration) error {
	for _, s := range c.shares() {
		if err := s.fits(c.plan.Header, timeout); err != nil {
			return err
		}
	}
	return nil
}

func (s *share) fits(h bench.Header, timeout time.Duration) error {
	perSecond := float64(s.rate.Events) / s.rate.Per.Seconds()
	if asked := h.Rate * float64(s.series); asked > perSecond*(1+1e-9) {
		most := fmt.Sprintf("--rate %.4g/min is the most", 60*perSecond/float64(s.series))
		return usagef(most, "--rate asks %s for %.4g requests a minute, more than the limit of %v%s",
			s.name, 60*asked, s.rate, s.shared())
	}
	each, bound, flag := h.Requests, timeout, "--timeout"
	if h.Duration > 0 {
		bound, flag = h.Duration, "-d"
	}
	if each > 0 && h.Rate == 0 {
		n := (each + h.Warmup) * s.series
		if needs := s.rate.Needs(n); needs > bound {
			hint := "a smaller -r fits"
			if needs < longestTime {
				hint = fmt.Sprintf("-d %s allows it, or a smaller -r", text.Brief(needs.Truncate(time.Minute)+time.Minute))
			}
			return usagef(hint,
				"the limit of %v lets %s to %s take at least %s, longer than the %s of %s%s",
				s.rate, text.Count(n, "request"), s.name, needs.Round(time.Second), flag, bound, s.shared())
		}
	}
	if h.Rate == 0 {
		n := h.Concurrency * s.series
		if waits := s.rate.Needs(n); waits > timeout {
			return usagef("a smaller -c waits less, a longer --timeout allows it",
				"the limit of %v lets %s at once to %s wait up to %s, longer than the --timeout of %s%s",
				s.rate, text.Count(n, "request"), s.name, waits.Round(time.Second), timeout, s.shared())
		}
	}
	return nil
}

// shared says that more than one series draws from the bucket.
func (s *share) shared() string {
	if s.series == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d rows of the report have its address)", s.series)
}

// affords refuses a run of which the budget of a node would let nothing out.
func (c *benchPlan) affords(ctx context.Context) error {
	for i, e := range c.nodes {
		if e.Budget == nil || slices.ContainsFunc(c.nodes[:i], func(other *endpoint) bool { return other.Budget == e.Budget }) {
			continue
		}
		if err := e.Budget.Check(ctx, client.Call{Request: c.request, Timeout: c.timeout}.To(&e.Endpoint)); err != nil {
			return err
		}
	}
	return nil
}

// wait waits between attempts and for turns. A turn is not waited for any more once the run has been told to end.
func (c *benchPlan) wait(ctx context.Context, p client.Pause) error {
	return waitSending(ctx, c.sending, p, c.plan.Clock.Sleep)
}
