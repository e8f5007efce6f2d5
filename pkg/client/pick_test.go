package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeWay is a transport that is ready after a delay, or fails then.
type fakeWay struct {
	http.RoundTripper
	after time.Duration
	err   error
}

func (w fakeWay) Ready(ctx context.Context) error {
	select {
	case <-time.After(w.after):
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestPick checks the order of the candidates in fake time. after is the time until a connection is ready.
func TestPick(t *testing.T) {
	type node struct {
		name, zone string
		after      time.Duration
		err        error // of the connection
		unknown    error // of the endpoint
	}
	const ms, never = time.Millisecond, time.Hour
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		nodes   []node
		slow    bool // in failover order
		across  bool
		asked   time.Duration // until each candidate fails
		want    []string
		started time.Duration // when the first candidate was given
	}{
		"by the order":           {nodes: []node{{name: "a", after: 50 * ms}, {name: "b", after: ms}}, slow: true, want: []string{"a", "b"}},
		"the second is ready":    {nodes: []node{{name: "a", after: 50 * ms}, {name: "b", after: ms}}, want: []string{"b", "a"}, started: ms},
		"the first is ready":     {nodes: []node{{name: "a", after: ms}, {name: "b", after: 50 * ms}}, want: []string{"a", "b"}, started: ms},
		"a dead one":             {nodes: []node{{name: "a", after: never}, {name: "b", after: 20 * ms}}, want: []string{"b", "a"}, started: 20 * ms},
		"a refused one":          {nodes: []node{{name: "a", after: ms, err: refused}, {name: "b", after: 20 * ms}}, want: []string{"b", "a"}, started: 20 * ms},
		"none":                   {nodes: []node{{name: "a", after: ms, err: refused}, {name: "b", after: 2 * ms, err: refused}}, want: []string{"a", "b"}, started: 2 * ms},
		"the others by the same": {nodes: []node{{name: "a", after: 90 * ms}, {name: "b", after: 60 * ms}, {name: "c", after: 30 * ms}}, asked: 100 * ms, want: []string{"c", "b", "a"}, started: 30 * ms},
		"the others as they are": {nodes: []node{{name: "a", after: 90 * ms}, {name: "b", after: 60 * ms}, {name: "c", after: 30 * ms}}, want: []string{"c", "a", "b"}, started: 30 * ms},
		"another zone":           {nodes: []node{{name: "a", zone: "x", after: 90 * ms}, {name: "b", zone: "y", after: ms}}, want: []string{"a", "b"}, started: 90 * ms},
		"across zones":           {nodes: []node{{name: "a", zone: "x", after: 90 * ms}, {name: "b", zone: "y", after: ms}}, across: true, want: []string{"b", "a"}, started: ms},
		"one without a key":      {nodes: []node{{name: "a", unknown: refused}, {name: "b", after: ms}}, want: []string{"b", "a"}, started: ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				f := Failover{Fastest: !test.slow, Across: test.across, OnReady: func(r ConnectResult) { told = append(told, r.Node) }}
				for _, n := range test.nodes {
					f.Candidates = append(f.Candidates, Candidate{Name: n.name, Zone: n.zone, Endpoint: func(context.Context) (*Endpoint, error) {
						return &Endpoint{Transport: fakeWay{after: n.after, err: n.err}}, n.unknown
					}})
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := time.Now()
				order := f.pick(ctx, time.Now)
				var got []string
				for len(order.remaining) > 0 {
					c := order.next()
					if len(got) == 0 && time.Since(began) != test.started {
						t.Errorf("the first was given after %v, want %v", time.Since(began), test.started)
					}
					got = append(got, c.Name)
					time.Sleep(test.asked)
					synctest.Wait()
				}
				errorIf(t, !slices.Equal(got, test.want), "%v, want %v; told %v", got, test.want, told)
			})
		})
	}
}
