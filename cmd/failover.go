package cmd

import (
	"context"
	"fmt"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/wire"
)

// order is the nodes of a call: the first one, and those that are asked in their turn where it gives up.
type order struct {
	names []string // as they were asked for
	nodes []config.Node
	// across lets a prompt go on in another zone.
	across bool
	// reach readies the crossing to a later node; its secrets are looked up only here.
	reach func(ctx context.Context, i int) (*crossing, error)
}

// order finds the nodes. What is wrong with any of them is found now: before anything is sent.
func (a *app) order(s *settings, names []string) (order, error) {
	o := order{names: names, across: s.values.Across()}
	for _, name := range names {
		node, err := a.selectNode(s, name)
		if err != nil {
			return o, err
		}
		if len(o.nodes) > 0 && node.API != o.nodes[0].API && s.values.Given("model") {
			return o, usagef("leave it away, and each node is asked for its own model", "%s names one model, and %s speaks %s but %s %s",
				strings.TrimPrefix(s.values.Origin("model"), "flag "), o.nodes[0].Name, o.nodes[0].API, node.Name, node.API)
		}
		o.nodes = append(o.nodes, node)
	}
	return o, nil
}

// suits refuses a request that a node of the order could not be sent.
func (o order) suits(s *settings, request wire.Request) error {
	for _, node := range o.nodes {
		own, err := o.request(s, node, request)
		if err != nil {
			return err
		}
		own.Version = node.Version
		if _, err := wire.API(node.API).Encode(own); err != nil {
			return &client.Error{Class: client.Usage, Node: node.Name, Err: err}
		}
	}
	return nil
}

// request is the same request as the node is to get it.
func (o order) request(s *settings, node config.Node, request wire.Request) (wire.Request, error) {
	var err error
	request.Model, err = s.values.Model(node)
	request.MaxTokens = s.values.MaxTokens(node)
	return request, err
}

// laterNodes says how the nodes behind the first are reached.
func (a *app) laterNodes(s *settings, cross *crossing, conversation *talk, o callOptions) {
	cross.order.reach = func(ctx context.Context, i int) (*crossing, error) {
		next, err := a.prepare(ctx, s, cross.order.nodes[i], o)
		if err != nil {
			return nil, err
		}
		next.request, err = cross.order.request(s, cross.order.nodes[i], cross.request)
		conversation.stick(next)
		next.client.Since = cross.client.Since
		a.watch(next, o.verbose)
		return next, err
	}
}

// failover makes the call to the first node, and to the next where one gives up. The crossing is then that to the node
// which was asked last.
func (a *app) failover(ctx context.Context, cross *crossing, call func(*crossing) (*client.Result, error)) (*client.Result, error) {
	nodes := cross.order.nodes
	if len(nodes) < 2 {
		return charged(cross, call)
	}
	legs := make([]client.Leg, len(nodes))
	for i, node := range nodes {
		legs[i] = client.Leg{Node: node.Name, Zone: node.Zone, Ask: func(ctx context.Context) (*client.Result, error) {
			if i > 0 {
				next, err := cross.order.reach(ctx, i)
				if err != nil {
					return nil, err
				}
				if next.held, err = next.hold(ctx, next.request); err != nil {
					next.close()
					return nil, err
				}
				a.settle(cross)
				cross.turnTo(next)
			}
			if !cross.request.Stream {
				cross.client.Behind = len(nodes) - 1 - i
			}
			return charged(cross, call)
		}}
	}
	sequence := client.Failover{
		Across: cross.order.across,
		OnHandover: func(failed *client.Error, next client.Leg) {
			where := next.Node
			if next.Zone != "" && cross.order.across {
				where += " (zone " + next.Zone + ")"
			}
			a.note("%s %s; asking %s", failed.Node, failed.Ending(), where)
		},
		OnSkip: func(skipped client.Leg, err error) { a.note("%s cannot be asked: %s", skipped.Node, err) },
	}
	return sequence.Ask(ctx, legs)
}

// charged makes the call and remembers what came of it, for the budget: what a result gets from other nodes later is not
// part of it.
func charged(c *crossing, call func(*crossing) (*client.Result, error)) (*client.Result, error) {
	c.sending()
	result, err := call(c)
	own := *result
	c.used = &own
	return result, err
}

// settle charges a node's budget for the call that it held something for.
func (a *app) settle(c *crossing) {
	if c.used == nil {
		c.used = &client.Result{}
	}
	if err := c.spend(c.held, c.request, c.used); err != nil {
		a.note("what this used is not counted: %s", err)
	}
	c.held, c.used = nil, nil
}

// turnTo makes the crossing that to another node.
func (c *crossing) turnTo(next *crossing) {
	c.close()
	c.node, c.client, c.options, c.request = next.node, next.client, next.options, next.request
	c.inProcess, c.demo, c.sticky = next.inProcess, next.demo, next.sticky
	c.turns, c.tab, c.held = next.turns, next.tab, next.held
}

// comment names the nodes behind the first, for a dry run; "" for none.
func (o order) comment() string {
	if len(o.nodes) < 2 {
		return ""
	}
	var names []string
	first, stop := o.nodes[0], ""
	for _, node := range o.nodes[1:] {
		if node.Zone != first.Zone && !o.across {
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
