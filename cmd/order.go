package cmd

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/wire"
)

// nodeOrder is the nodes of a call in their order of failover. Each is readied once, when it is first asked.
type nodeOrder struct {
	client.Failover
	nodes []config.Node
	names []string // as they were asked for
	// onReady sees each endpoint before it is asked; it may be nil.
	onReady func(*endpoint)

	first func(ctx context.Context) (*endpoint, error)
	mu    sync.Mutex
	ready []*endpoint
}

// order finds the nodes. What is wrong with any of them is found now: before anything is sent.
func (a *app) order(s *settings, names []string, o endpointOptions) (*nodeOrder, error) {
	order := &nodeOrder{names: names, Failover: client.Failover{Across: s.values.Across}}
	order.OnHandover = func(failed *client.Error, next client.Candidate) {
		where := next.Name
		if next.Zone != "" && order.Across {
			where += " (zone " + next.Zone + ")"
		}
		a.note("%s %s; asking %s", failed.Node, failed.Ending(), where)
	}
	order.OnSkip = func(skipped client.Candidate, err error) { a.note("%s cannot be asked: %s", skipped.Name, err) }
	for _, name := range names {
		node, err := a.selectNode(s, name)
		if err != nil {
			return nil, err
		}
		if len(order.nodes) > 0 && node.API != order.nodes[0].API && s.values.Given("model") {
			return nil, usagef("leave it away, and each node is asked for its own model", "%s names one model, and %s speaks %s but %s %s",
				strings.TrimPrefix(s.values.Origin("model"), "flag "), order.nodes[0].Name, order.nodes[0].API, node.Name, node.API)
		}
		a.addCandidate(s, order, node, o)
	}
	return order, nil
}

func (a *app) addCandidate(s *settings, order *nodeOrder, node config.Node, o endpointOptions) {
	var once sync.Once
	var e *endpoint
	var err error
	ready := func(ctx context.Context) (*endpoint, error) {
		once.Do(func() {
			if node.IsDemo() {
				a.note("%s is the demo node: its answers are made up here", node.Name)
			}
			if e, err = a.endpoint(ctx, s, node, o); err != nil {
				return
			}
			order.mu.Lock()
			order.ready = append(order.ready, e)
			order.mu.Unlock()
			if order.onReady != nil {
				order.onReady(e)
			}
		})
		return e, err
	}
	if len(order.nodes) == 0 {
		order.first = ready
	}
	order.nodes = append(order.nodes, node)
	order.Candidates = append(order.Candidates, client.Candidate{
		Name: node.Name, Zone: node.Zone, API: node.API, Model: node.Model,
		Endpoint: func(ctx context.Context) (*client.Endpoint, error) {
			e, err := ready(ctx)
			if err != nil {
				return nil, err
			}
			return &e.Endpoint, nil
		},
	})
}

// close ends the connections to all nodes that were asked.
func (order *nodeOrder) close() {
	order.mu.Lock()
	defer order.mu.Unlock()
	for _, e := range order.ready {
		e.close()
	}
}

// suits refuses a request that a node of the order could not be sent.
func (order *nodeOrder) suits(s *settings, request wire.Request) error {
	for _, node := range order.nodes {
		if err := node.CheckModel(); err != nil {
			return err
		}
		own := request
		own.Version, own.MaxTokens, own.Model = node.Version, node.MaxTokens, node.Model
		if _, err := node.API.Encode(own); err != nil {
			return &client.Error{Class: client.Usage, Node: node.Name, Err: err}
		}
	}
	return nil
}

// guarded reports whether a signal has to wait until what a request may have used is charged: there is a budget, or
// there are several nodes.
func (order *nodeOrder) guarded(s *settings) bool {
	for _, node := range order.nodes {
		if node.Budget != "" {
			return true
		}
	}
	return len(order.nodes) > 1
}

// comment names the nodes behind the first, for a dry run; "" for none.
func (order *nodeOrder) comment() string {
	if len(order.nodes) < 2 {
		return ""
	}
	var names []string
	first, stop := order.nodes[0], ""
	for _, node := range order.nodes[1:] {
		if node.Zone != first.Zone && !order.Across {
			stop = fmt.Sprintf("; not %s, which is in another zone (--across)", node.Name)
			break
		}
		names = append(names, node.Name)
	}
	if len(names) == 0 {
		names = []string{"no other"}
	}
	return fmt.Sprintf("# where %s gives up: %s%s\n", first.Name, strings.Join(names, ", then "), stop)
}
