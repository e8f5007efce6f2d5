package cmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/client"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// benchPlan is a bench that is ready to begin.
type benchPlan struct {
	plan bench.Plan
	// nodes are the endpoints as they are configured, and series are the plan's targets: each node over each kind of
	// connection.
	nodes, series []*endpoint
	request       wire.Request
	timeout       time.Duration
	memory        *client.Memory // of all requests in flight
	// input and output are what one request is sent and may be answered, in tokens.
	input, output int64
	// sending ends with the first signal.
	sending context.Context
}

func (c *benchPlan) close() {
	for _, e := range append(c.nodes, c.series...) {
		e.close()
	}
}

// benchPlan prepares the nodes and the plan. Nothing is sent.
func (a *app) benchPlan(ctx context.Context, s *settings, names []string, o *benchOptions) (*benchPlan, error) {
	prompt, err := a.benchPrompt(ctx, o)
	if err != nil {
		return nil, err
	}
	filter, err := s.loadFilter(callOptions{})
	if err == nil {
		err = filter.CheckRequest(wire.Request{Prompt: prompt})
	}
	if err != nil {
		return nil, err
	}
	if names, err = benchNodes(s, names); err != nil {
		return nil, err
	}
	if err := o.report.names(names); err != nil {
		return nil, err
	}
	if err := enoughFiles(o.Concurrency * len(names) * len(kinds(o.Connections))); err != nil {
		return nil, err
	}
	c := &benchPlan{timeout: s.values.Timeout, memory: client.NewMemory(), plan: bench.Plan{
		Clock: a.Clock, MaxTokens: o.tokenCap, Header: o.Header,
	}}
	sum := sha256.Sum256([]byte(prompt))
	h := &c.plan.Header
	h.PromptSHA256, h.Program, h.Reference = hex.EncodeToString(sum[:]), version, cmp.Or(o.report.reference, names[0])
	c.input, c.output = int64(wire.EstimateTokens(nonceSample+prompt)), int64(o.MaxTokens)
	c.plan.PerRequest = (c.input + c.output) * int64(o.Attempts)
	c.request = wire.Request{Prompt: prompt, MaxTokens: o.MaxTokens, Stream: o.Stream}
	if err = a.addNodes(ctx, s, c, names, o); err == nil {
		err = c.suits(o)
	}
	if err == nil {
		err = c.fits(s.values.Timeout)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// nonceSample is what stands before the prompt of each request, for its length.
const nonceSample = "0123456789abcdef "

// addNodes adds the nodes, over each kind of connection that is asked for.
func (a *app) addNodes(ctx context.Context, s *settings, c *benchPlan, names []string, o *benchOptions) error {
	options := endpointOptions{unread: o.dryRun}
	if o.Stream {
		options.most = maxStream
	}
	demo := false
	for _, name := range names {
		node, err := s.selectNode(name)
		if err != nil {
			return err
		}
		e, err := s.endpoint(ctx, node, options)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, e)
		demo = demo || e.demo != nil
		if _, err := e.Prepare(client.Call{Request: c.request}.To(&e.Endpoint)); err != nil {
			return &client.Error{Class: client.Usage, Node: name, Err: err}
		}
	}
	if demo {
		a.note("the demo nodes' answers are made up here, and so are their times")
	}
	env := a.clientEnv()
	env.Wait = c.wait
	for _, kind := range kinds(o.Connections) {
		for i, e := range c.nodes {
			if err := a.addSeries(c, bench.Node{Name: names[i], Label: e.config.Label, Connection: kind}, e, env, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// addSeries adds a node over one kind of connection.
func (a *app) addSeries(c *benchPlan, node bench.Node, e *endpoint, env client.Env, o *benchOptions) error {
	over, err := e.over(node.Connection, o)
	if err != nil {
		return err
	}
	c.series = append(c.series, over)
	node.Host, node.API, node.Model = e.URL.Host, string(e.API), e.Model
	h := &c.plan.Header
	h.Nodes = append(h.Nodes, node)
	if via := e.options.Proxy; via != nil && !strings.Contains(h.Proxy, via.Host) {
		h.Proxy = strings.TrimPrefix(h.Proxy+", "+via.Scheme+"://"+via.Host, ", ")
	}
	c.plan.Targets = append(c.plan.Targets, a.target(c, over, env))
	return nil
}

func kinds(connections string) []bench.Connection {
	if connections == "both" {
		return []bench.Connection{bench.Cold, bench.Reused}
	}
	return []bench.Connection{bench.Connection(connections)}
}

// over is the same endpoint on connections of one kind, for one bench's requests.
func (e *endpoint) over(kind bench.Connection, o *benchOptions) (*endpoint, error) {
	again := *e
	again.demo = nil // the first one's to close
	again.options.Cold = kind == bench.Cold
	again.options.Connections = o.Concurrency
	again.Rule.Attempts = o.Attempts
	var err error
	again.Transport, err = transport.New(again.options)
	return &again, err
}

// suits refuses what can be seen to lead nowhere before it costs something.
func (c *benchPlan) suits(o *benchOptions) error {
	nodes := c.plan.Header.Nodes
	differs := slices.ContainsFunc(nodes, func(n bench.Node) bool { return n.Model != nodes[0].Model })
	if differs && o.report.output == "best" {
		return usagef("-m MODEL asks all nodes for one", "nodes on different models cannot be ranked")
	}
	least := int64(len(nodes)) * c.plan.PerRequest
	if o.tokenCap > 0 && o.tokenCap < least {
		return usagef("", "--max-tokens-total %d is less than one round may cost (%d)", o.tokenCap, least)
	}
	return nil
}

// benchNodes are the nodes to measure: those that are named, or all of the file.
func benchNodes(s *settings, names []string) ([]string, error) {
	if len(names) == 0 {
		names = nodeNames(s.file)
	}
	if len(names) == 0 {
		return nil, usagef("name some, as in: ferry bench demo/direct demo/hongkong", "the file has no nodes to measure")
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, usagef("", "the node %s is named twice", name)
		}
	}
	return names, nil
}

func (a *app) benchPrompt(ctx context.Context, o *benchOptions) (string, error) {
	if len(o.files) > 0 {
		return a.readPrompt(ctx, promptOptions{files: o.files, noStdin: true})
	}
	return a.readPrompt(ctx, promptOptions{args: []string{o.prompt}, noStdin: true})
}

// parseRate reads requests per second: 2, 2/s, 50/min or 1000/h. None is 0.
func parseRate(text string) (float64, bool) {
	if text == "" {
		return 0, true
	}
	count, unit, _ := strings.Cut(text, "/")
	per := map[string]time.Duration{"": time.Second, "s": time.Second, "min": time.Minute, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.ParseFloat(count, 64)
	rate := n / per.Seconds()
	return rate, err == nil && per > 0 && rate >= 1.0/3600 && rate <= 100_000
}

// parsePrecision reads a share such as 5%. None is 0.
func parsePrecision(text string) (float64, bool) {
	if text == "" {
		return 0, true
	}
	share, ok := bench.ParseShare(text)
	return share, ok && share >= 0.001
}

// estimate says what the run will send, before it does.
func (c *benchPlan) estimate() string {
	h := c.plan.Header
	nodes := len(h.Nodes)
	rounds := c.plan.Rounds()
	each := fmt.Sprintf("about %d tokens in and at most %d out each", c.input, c.output)
	if h.Attempts > 1 {
		each += fmt.Sprintf(", up to %d attempts", h.Attempts)
	}
	what := text.Count(nodes, "node")
	if h.Connections == "both" {
		what = text.Count(nodes/2, "node") + " over cold and reused connections"
	}
	if rounds == 0 {
		return fmt.Sprintf("requests to %s for %s, up to %d at once: %s", what, h.Duration, nodes*h.Concurrency, each)
	}
	requests := nodes * (rounds + h.Warmup)
	tokens := int64(requests) * c.plan.PerRequest
	if c.plan.MaxTokens > 0 {
		tokens = min(tokens, c.plan.MaxTokens)
	}
	return fmt.Sprintf("%s to %s, %d of them to warm up: %s, at most about %d tokens in all",
		text.Count(requests, "request"), what, nodes*h.Warmup, each, tokens)
}

// describe is what --dry-run prints.
func (c *benchPlan) describe() string {
	var b strings.Builder
	nodes := c.plan.Header.Nodes
	for i, e := range c.series {
		n := nodes[i]
		fmt.Fprintf(&b, "%s  %s  %s  %s  %s\n", n.Name, shownURL(e.URL), n.API, n.Model, n.Connection)
	}
	return b.String() + c.estimate() + "\n"
}

// shownURL is an address without a user's name and password.
func shownURL(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}
