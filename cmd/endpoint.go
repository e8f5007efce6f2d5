package cmd

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/demo"
	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// nodeOrder holds the nodes of a call in failover order. Each endpoint is built once, when it is first used.
type nodeOrder struct {
	client.Failover
	settings *settings
	options  endpointOptions
	nodes    []*orderedNode
	// catchSignals says that a signal must not kill the process at once: ferry first charges the budget, if there is
	// one, and reports what the requests to several nodes may cost.
	catchSignals bool
	// onEndpoint is called with each endpoint before it is used; it may be nil.
	onEndpoint func(*endpoint)
}

type orderedNode struct {
	config.Node
	once     sync.Once
	endpoint *endpoint
	err      error
}

// order selects the nodes. It reports an invalid name or setting of any of them before anything is sent. A key or a
// connection can fail only when its node is used.
func (s *settings) order(ctx context.Context, names []string, o endpointOptions) (*nodeOrder, error) {
	order := &nodeOrder{settings: s, options: o, catchSignals: len(names) > 1}
	order.Across, order.Unlimited = s.values.Across, true
	order.OnFailover = func(failed *client.Error, next client.Candidate) {
		where := next.Name
		if next.Zone != "" && order.Across {
			where += " (zone " + next.Zone + ")"
		}
		s.note("%s %s; trying %s", failed.Node, failed.Summary(), where)
	}
	order.OnSkip = func(skipped client.Candidate, err error) { s.note("%s cannot be used: %s", skipped.Name, err) }
	for i, name := range names {
		node, err := s.values.Select(name, s.api)
		if err == nil && strings.HasPrefix(node.System, "@") {
			node.System, err = s.systemPrompt(ctx, node.System)
		}
		if err != nil {
			return nil, err
		}
		order.nodes = append(order.nodes, &orderedNode{Node: node})
		if first := order.nodes[0]; node.API != first.API && s.values.Given("model") {
			return nil, usagef("leave it out to use each node's own model", "%s names one model, and %s speaks %s but %s %s",
				strings.TrimPrefix(s.values.Origin("model"), "flag "), first.Name, first.API, node.Name, node.API)
		}
		order.catchSignals = order.catchSignals || node.Budget > 0
		order.Unlimited = order.Unlimited && node.Budget == 0 && node.Rate.Events == 0
		order.Candidates = append(order.Candidates, client.Candidate{
			Name: node.Name, Zone: node.Zone, API: node.API, Model: node.Model,
			Endpoint: func(ctx context.Context) (*client.Endpoint, error) { return order.endpointAt(ctx, i) },
		})
	}
	if model := s.given["model"]; model != "" {
		s.noteUnlistedModel(order.nodes[0].Node, model)
	}
	return order, nil
}

// endpointAt builds a node's endpoint when it is first used. It may be called from many goroutines.
func (order *nodeOrder) endpointAt(ctx context.Context, i int) (*client.Endpoint, error) {
	n := order.nodes[i]
	n.once.Do(func() {
		if n.IsDemo() {
			name := text.Shown(n.Name, text.MaxNamed) // from the file or built in: there is nothing to redact
			order.settings.noteSafe(name + " is the demo node: its answers are made up here")
		}
		n.endpoint, n.err = order.settings.newEndpoint(ctx, n.Node, order.options)
		if n.err != nil {
			return
		}
		if n.Provider && !order.options.keyUnread {
			order.settings.noteProvider(n.Node)
		}
		n.endpoint.System = n.System
		if order.onEndpoint != nil {
			order.onEndpoint(n.endpoint)
		}
	})
	if n.err != nil {
		return nil, n.err
	}
	return &n.endpoint.Endpoint, nil
}

// first builds the endpoint of the first node.
func (order *nodeOrder) first(ctx context.Context) (*endpoint, error) {
	_, err := order.endpointAt(ctx, 0)
	return order.nodes[0].endpoint, err
}

// remaining returns the nodes that may be used after the first. Without --across it stops before the first node in
// another zone.
func (order *nodeOrder) remaining() []*orderedNode {
	rest := order.nodes[1:]
	for i, node := range rest {
		if node.Zone != order.nodes[0].Zone && !order.Across {
			return rest[:i]
		}
	}
	return rest
}

// remainingEndpoints returns the remaining nodes with what determines the cost of a request to them.
func (order *nodeOrder) remainingEndpoints() []*client.Endpoint {
	return mapSlice(order.remaining(), func(node *orderedNode) *client.Endpoint {
		return &client.Endpoint{
			Name: node.Name, API: node.API, Model: node.Model, MaxTokens: node.MaxTokens, System: node.System,
			Aliases: node.Aliases, Params: node.Params, StreamOnly: node.StreamOnly, Rule: order.settings.values.Retry,
		}
	})
}

// close closes the connections to all nodes that were used.
func (order *nodeOrder) close() {
	for _, n := range order.nodes {
		if n.endpoint != nil {
			n.endpoint.close()
		}
	}
}

// checkRequest returns an error if the request cannot be sent to one of the nodes.
func (order *nodeOrder) checkRequest(request wire.Request) error {
	for _, node := range order.nodes {
		if err := node.CheckModel(); err != nil {
			return err
		}
		own := request
		own.Version, own.MaxTokens, own.Model, own.System = node.Version, node.MaxTokens, node.Model, node.System
		if _, err := node.API.Encode(own); err != nil {
			return &client.Error{Class: client.Usage, Node: node.Name, Err: err}
		}
	}
	return nil
}

// prepareFilter adds what the nodes add to a request to a prompt filter, and notes which files the filter does not
// check.
func (order *nodeOrder) prepareFilter(filter *client.Filter, files []*wire.File) {
	if !filter.Prompts {
		return
	}
	for _, node := range order.nodes {
		filter.Nodes = append(filter.Nodes, wire.Request{System: node.System, Params: node.Params})
	}
	if n := len(files); n > 1 {
		order.settings.note("the filter checks text, but not the content of %s and %s", files[0].Name, text.Count(n-1, "other file"))
	} else if n == 1 {
		order.settings.note("the filter checks text, but not the content of %s", files[0].Name)
	}
}

// systemPrompt reads a system prompt from a file, given as @FILE. Text that begins with @ has another @ in front.
func (s *settings) systemPrompt(ctx context.Context, given string) (string, error) {
	name := strings.TrimPrefix(given, "@")
	if strings.HasPrefix(name, "@") {
		return name, nil
	}
	if read, known := s.systems[name]; known { // do not read a pipe twice
		return read, nil
	}
	read, err := readFile(ctx, name, maxSystem, "that is the limit of a system prompt; write @@ if its text begins with @")
	if err == nil {
		err = text.Check(read, name)
	}
	if err != nil {
		return "", err
	}
	prompt := strings.TrimSuffix(strings.TrimSuffix(string(read), "\n"), "\r")
	if s.systems == nil {
		s.systems = map[string]string{}
	}
	s.systems[name] = prompt
	return prompt, nil
}

// maxSystem is the maximum size of the file of a system prompt in bytes.
const maxSystem = 1 << 20

// endpoint is a node that is ready to use, with what commands need to know about the path to it.
type endpoint struct {
	client.Endpoint
	config  config.Node
	options transport.Options
	// demo is the node inside this process, nil for other nodes.
	demo *demo.Node
}

func (e *endpoint) close() {
	if idle, ok := e.Transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	if e.demo != nil {
		_ = e.demo.Close()
	}
}

// endpointOptions say what an endpoint is used for.
type endpointOptions struct {
	keyUnread   bool // its key and its secret headers are named but not read
	streams     bool // its answers are streams, which may be longer than a complete answer
	holds       bool // its connection may outlive the command
	listOnly    bool // it is only used to list models, so no model is needed
	connections int  // how many connections are kept; 0 is the transport's default
	noKeepAlive bool // no connection is kept
	noRace      bool // no second handshake if one is late: it would be measured too
}

var http3Modes = map[string]transport.HTTP3{"true": transport.TryHTTP3, "only": transport.OnlyHTTP3}

// resolveTo applies --resolve.
func (s *settings) resolveTo(e *endpoint) error {
	for _, entry := range s.resolve {
		host, rest, _ := strings.Cut(entry, ":")
		at, addresses, _ := strings.Cut(rest, ":")
		var list []netip.Addr
		for address := range strings.SplitSeq(addresses, ",") {
			parsed, err := netip.ParseAddr(strings.Trim(address, "[]"))
			if err != nil {
				return invalid("resolve", entry, "HOST:PORT:ADDRESS[,ADDRESS], as curl does")
			}
			list = append(list, parsed)
		}
		if strings.EqualFold(host+":"+at, transport.HostPort(e.URL)) {
			e.options.Resolve = list
		}
	}
	return nil
}

// maxStream is the maximum size of an event stream in bytes.
const maxStream = 256 << 20

// newEndpoint builds the endpoint of a node: it reads the key and creates the transport. All commands use it.
func (s *settings) newEndpoint(ctx context.Context, node config.Node, o endpointOptions) (*endpoint, error) {
	if node.Model == "" && !o.listOnly {
		if err := node.CheckModel(); err != nil {
			return nil, err
		}
	}
	known, err := s.identify(ctx, node, o.keyUnread)
	if err != nil {
		return nil, err
	}
	e := &endpoint{config: node, Endpoint: known}
	e.Sticky, e.Model, e.MaxTokens = node.Sticky, node.Model, node.MaxTokens
	e.Aliases, e.Params, e.StreamOnly = node.Aliases, node.Params, node.StreamOnly
	e.Rule, e.IdleTimeout = s.values.Retry, s.values.IdleTimeout
	// Read the model list once, even in a run with many failures.
	near := sync.OnceValue(func() string { return s.nearModel(node, node.Model, time.Time{}) })
	e.NearModel = func(name string) string {
		if name == node.Model {
			return near()
		}
		return s.nearModel(node, name, time.Time{})
	}
	e.options = transport.Options{
		Target: e.URL, Node: node.Name, TLS: transport.TLS(node.TLS), Pins: node.Pins, Insecure: node.Insecure,
		ConnectTimeout: s.values.ConnectTimeout, Connections: o.connections, Cold: o.noKeepAlive, Race: !o.noRace,
		Now: s.Clock.Now, HTTP3: http3Modes[node.HTTP3], Resolve: node.Resolve,
	}
	if o.streams {
		e.options.MaxBody = maxStream
	}
	if len(s.resolve) > 0 {
		if err := s.resolveTo(e); err != nil {
			return nil, err
		}
	}
	if e.options.HTTP3 != transport.NoHTTP3 && e.URL.Scheme != "https" && !node.IsDemo() {
		if node.Origin("http3") != "default" || s.values.Given("http3") {
			return nil, usagef("its address has to begin with https://", "%s is not reached over TLS, which HTTP/3 needs", e.Name)
		}
		e.options.HTTP3 = transport.NoHTTP3 // the file's http3: is for the nodes over TLS
	}
	if node.IsDemo() {
		e.demo = demo.New(demo.Options{Now: s.Clock.Now, Sleep: s.Clock.Sleep})
		e.options.Dial = e.demo.DialContext
	} else if e.options.Proxy, e.options.ProxyFrom, err = s.proxy(node, e.URL); err != nil {
		return nil, err
	}
	if e.options.Proxy != nil && e.options.HTTP3 == transport.OnlyHTTP3 {
		return nil, usagef("--proxy none uses no proxy", "HTTP/3 does not go through a proxy, and %s uses only HTTP/3", e.Name)
	}
	if via := e.options.Proxy; via != nil && e.URL.Scheme == "http" && !strings.HasPrefix(via.Scheme, "socks") {
		e.Proxy = transport.ShowProxy(via)
	}
	if node.Hold > 0 && o.holds && !o.keyUnread && e.demo == nil {
		e.Transport, err = s.heldTransport(e, node.Hold)
	} else {
		e.Transport, err = transport.New(e.options)
	}
	if err != nil {
		return nil, err
	}
	if node.Budget > 0 {
		s.setBudget(e, node.Budget)
	}
	if node.Rate.Events > 0 {
		s.setLimit(e, limit.Rate(node.Rate))
	}
	return e, nil
}

// clientEnv returns what the stages of a call need. From here on SIGQUIT ends the program with ferry's own message.
func (a *app) clientEnv() client.Env {
	a.BeginCall(&a.sent)
	return client.Env{Clock: a.Clock, Random: a.Random, Masker: a.masker, UserAgent: "ferry/" + version, Wait: a.wait, Sent: &a.sent}
}

// identify returns the client's endpoint of a node, with its key and its secret headers. If unread is set, secrets are
// not read; their source is named instead.
func (s *settings) identify(ctx context.Context, node config.Node, unread bool) (client.Endpoint, error) {
	out := client.Endpoint{Name: node.Name, Provider: node.Provider, API: node.API, Version: node.Version, Auth: node.Auth.HeaderName()}
	var err error
	if query, ok := strings.CutPrefix(node.URL, "demo:?"); ok {
		if err = checkFaults(query); err != nil {
			return out, err
		}
	}
	if out.URL, err = node.Address(); err != nil {
		return out, err
	}
	if from := node.Origin("url"); strings.HasSuffix(from, "_BASE_URL") {
		out.Variable = from
	}
	switch {
	case node.IsDemo() && out.Auth == "":
		out.Auth = "x-api-key"
		out.Key, err = guard.NewSecret("demo-key", "the demo node") // it accepts any key, so there is nothing to mask
	case !unread:
		out.Key, err = s.keys().For(ctx, node)
		s.masker.AddSecret(out.Key)
	case node.Auth.Scheme == config.AuthNone:
	case node.Key != "":
		out.Key = guard.Unread(string(node.Key))
	case node.InFile: // it has no key, and FERRY_KEY is for other nodes
	case node.Name == "direct":
		out.Key = guard.Unread("env:ANTHROPIC_API_KEY")
	default:
		out.Key = guard.Unread("env:FERRY_KEY")
	}
	if err != nil {
		return out, err
	}
	for _, h := range node.Headers {
		field := client.Field{Name: h.Name, Value: h.Value}
		switch {
		case h.Ref == "":
		case unread:
			field.Secret = guard.Unread(string(h.Ref))
		default:
			field.Secret, err = s.keys().ResolveHeader(ctx, h.Ref)
			s.masker.AddSecret(field.Secret)
		}
		if err != nil {
			return out, err
		}
		out.Header = append(out.Header, field)
	}
	return out, nil
}

// keys returns the resolver of the file's secret references.
func (s *settings) keys() config.Keys {
	return config.Keys{
		Lookup:  s.Lookup,
		Dir:     s.file.Dir(),
		Home:    config.HomeDir(s.Lookup),
		Keyring: config.SystemKeyring(s.Lookup),
	}
}
