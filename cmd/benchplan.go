package cmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// benchRun is a bench that is ready to start.
type benchRun struct {
	client.Bench
	plan bench.Plan
	// series are the endpoints of the plan's targets: each node with each kind of connection.
	series []*endpoint
	// input and output are the estimated input tokens and the maximum output tokens of one request.
	input, output int64
	// sending ends with the first signal.
	sending context.Context
	pauses  pauses
}

func (p *benchRun) close() {
	for _, e := range p.series {
		e.close()
	}
}

// nonceSample has the length of the number before the prompt of each request.
const nonceSample = "0123456789abcdef "

// prepareBench prepares the nodes and the plan. It sends nothing.
func (s *settings) prepareBench(ctx context.Context, names []string, o *benchOptions) (*benchRun, error) {
	prompt, err := s.benchPrompt(ctx, o)
	if err != nil {
		return nil, err
	}
	if names, err = benchNodes(s, names); err != nil {
		return nil, err
	}
	if err := o.report.checkNames(names); err != nil {
		return nil, err
	}
	if err := o.report.checkPlan(o.Header); err != nil {
		return nil, err
	}
	kinds := []bench.Connection{bench.Connection(o.Connections)}
	if o.Connections == "both" {
		kinds = []bench.Connection{bench.Cold, bench.Reused}
	}
	if err := checkFileLimit(o.Concurrency * len(names) * len(kinds)); err != nil {
		return nil, err
	}
	p := &benchRun{
		Bench: client.Bench{
			Env: s.clientEnv(), Request: wire.Request{Prompt: prompt, MaxTokens: o.MaxTokens, Stream: o.Stream},
			Timeout: s.values.Timeout, RequestTimeout: s.values.Timeout, Memory: client.NewMemory(), Redact: s.redacted, Crashed: s.crashed,
		},
		plan:  bench.Plan{Clock: s.Clock, MaxTokens: o.tokenCap, Header: o.Header},
		input: int64(wire.EstimateTokens(nonceSample + prompt)), output: int64(o.MaxTokens),
	}
	if !o.given("timeout") {
		p.RequestTimeout = min(p.RequestTimeout, benchTimeout)
	}
	p.Tokens = p.input + p.output
	p.plan.PerRequest = p.Tokens * int64(o.Attempts)
	p.Wait = func(ctx context.Context, pause client.Pause) error {
		return p.pauses.wait(ctx, p.sending, pause, s.Clock.Sleep)
	}
	h := &p.plan.Header
	h.PromptSHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(prompt)))
	h.Program, h.Reference = version, cmp.Or(o.report.reference, names[0])
	h.Policy, h.RetryDelay = string(s.values.Retry.Policy), s.values.Retry.Delay
	h.Timeout, h.ConnectTimeout = p.RequestTimeout, s.values.ConnectTimeout
	if o.Stream {
		h.IdleTimeout = s.values.IdleTimeout
	}
	if err = s.buildSeries(ctx, p, names, kinds, o); err == nil {
		err = p.check(names, kinds, o)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// benchPrompt reads the prompt and checks it with the content filter.
func (s *settings) benchPrompt(ctx context.Context, o *benchOptions) (string, error) {
	from := promptOptions{files: o.files, noStdin: true, hint: "--prompt TEXT or -f FILE gives one"}
	if len(o.files) == 0 {
		from.args = []string{o.prompt}
	}
	prompt, files, err := s.readPrompt(ctx, from)
	if err == nil && len(files) > 0 {
		err = usagef("ferry ask sends it", "%s is not text, and bench sends only text", files[0].Name)
	}
	if err != nil {
		return "", err
	}
	stages, err := s.stages(callOptions{}, nil)
	if err != nil {
		return "", err
	}
	return prompt, stages.Filter.CheckRequest(wire.Request{Prompt: prompt})
}

// buildSeries builds the endpoints for the first kind of connection, and for the second if there is one.
func (s *settings) buildSeries(
	ctx context.Context, p *benchRun, names []string, kinds []bench.Connection, o *benchOptions,
) error {
	options := endpointOptions{
		keyUnread: o.dryRun, noKeepAlive: kinds[0] == bench.Cold, noRace: !o.Race,
		connections: o.Concurrency, streams: o.Stream,
	}
	demo := false
	for _, name := range names {
		node, err := s.benchNode(name, names, o.report.output == "best")
		if err != nil {
			return err
		}
		e, err := s.newEndpoint(ctx, node, options)
		if err != nil {
			return err
		}
		e.Rule.Attempts = o.Attempts
		p.series = append(p.series, e)
		demo = demo || e.demo != nil
		if _, err := e.Prepare(client.Call{Request: p.Request}.To(&e.Endpoint)); err != nil {
			return &client.Error{Class: client.Usage, Node: name, Err: err}
		}
	}
	if demo {
		s.note("the demo nodes are simulated: their answers and their times are not real")
	}
	for _, e := range p.series[:len(names)*(len(kinds)-1)] {
		again, err := e.reused()
		if err != nil {
			return err
		}
		p.series = append(p.series, again)
	}
	return nil
}

// http3Suffix is a suffix of a node's name: the node is measured over HTTP/3 only. No name contains a +.
const http3Suffix = "+http3"

// benchNode returns a node to measure. If its HTTP/3 variant is measured too, the node itself is measured over TCP.
func (s *settings) benchNode(name string, names []string, best bool) (config.Node, error) {
	plain, only := name, false
	if !strings.Contains(name, ":") {
		plain, only = strings.CutSuffix(name, http3Suffix)
	}
	node, err := s.values.Select(plain, s.api)
	switch {
	case only && best:
		return node, usagef("-o text shows which one is faster", "-o best prints a node name for ferry ask, and %s is not one", name)
	case only && err == nil && !strings.HasPrefix(node.URL, "https:"):
		return node, usagef("leave out "+http3Suffix, "%s: %s is not reached over TLS, which HTTP/3 needs", name, plain)
	case only:
		node.HTTP3 = "only"
	case slices.Contains(names, name+http3Suffix):
		node.HTTP3 = ""
	}
	return node, err
}

// reused returns the same endpoint with connections that are reused.
func (e *endpoint) reused() (*endpoint, error) {
	again := *e
	again.demo = nil // the first endpoint closes it
	again.options.Cold = false
	var err error
	again.Transport, err = transport.New(again.options)
	return &again, err
}

// check completes the plan with the series, and rejects a bench that cannot succeed before it costs anything.
func (p *benchRun) check(names []string, kinds []bench.Connection, o *benchOptions) error {
	h := &p.plan.Header
	for i, e := range p.series {
		kind := kinds[i/len(names)]
		n := bench.Node{
			Name: names[i%len(names)], Label: e.config.Label, Connection: kind, Host: e.URL.Host, API: string(e.API), Model: e.Model,
			HTTP3: e.config.HTTP3, RequestSHA256: e.requestSum(),
		}
		if via := e.options.Proxy; via != nil {
			n.Proxy = via.Scheme + "://" + via.Host
			h.Proxy = withProxy(h.Proxy, n.Proxy)
		}
		if e.Limiter != nil {
			n.Limit = e.Limiter.Rate().String()
		}
		h.Nodes = append(h.Nodes, n)
		p.plan.Targets = append(p.plan.Targets, p.Target(&e.Endpoint, kind == bench.Cold))
	}
	differs := slices.ContainsFunc(h.Nodes, func(n bench.Node) bool { return n.Model != h.Nodes[0].Model })
	if differs && o.report.output == "best" {
		return usagef("-m MODEL uses one model for all nodes", "nodes on different models cannot be ranked")
	}
	if lowest := int64(len(h.Nodes)) * p.plan.PerRequest; o.tokenCap > 0 && o.tokenCap < lowest {
		return usagef("", "--max-tokens-total %d is less than one round may cost (%d)", o.tokenCap, lowest)
	}
	return p.CheckLimits(*h, p.endpoints())
}

// withProxy adds a proxy to a list unless it is already in it.
func withProxy(list, proxy string) string {
	switch {
	case list == "":
		return proxy
	case slices.Contains(strings.Split(list, ", "), proxy):
		return list
	}
	return list + ", " + proxy
}

// requestSum returns a hash of the request without prompt, model and number of tokens. It includes no secret.
func (e *endpoint) requestSum() string {
	request, err := e.Prepare(client.Call{Request: wire.Request{Prompt: "-", Model: "-", MaxTokens: 1}}.To(&e.Endpoint))
	if err != nil {
		return "" // the real request could be prepared; this one lacks something that the node needs
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", request.URL.Path, request.Body)
	for _, f := range request.Header {
		if f.Secret.IsZero() {
			fmt.Fprintf(sum, "%s: %s\n", f.Name, f.Value)
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// endpoints returns the series as the client's endpoints.
func (p *benchRun) endpoints() []*client.Endpoint {
	return mapSlice(p.series, func(e *endpoint) *client.Endpoint { return &e.Endpoint })
}

// benchNodes returns the named nodes, or all nodes of the file if none is named.
func benchNodes(s *settings, names []string) ([]string, error) {
	if len(names) == 0 {
		names = s.file.Nodes
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

// parseRate parses requests per second: 2, 0.5/s, 50/min or 1000/h. An empty string is 0.
func parseRate(given string) (float64, bool) {
	if given == "" {
		return 0, true
	}
	count, unit, _ := strings.Cut(given, "/")
	n, err := strconv.ParseFloat(count, 64)
	per, known := text.ParsePeriod(cmp.Or(unit, "s"))
	rate := n / per.Seconds()
	return rate, err == nil && known && rate >= 1.0/3600 && rate <= 100_000
}

// parsePrecision parses a share such as 5%. An empty string is 0.
func parsePrecision(text string) (float64, bool) {
	if text == "" {
		return 0, true
	}
	share, ok := bench.ParseShare(text)
	return share, ok && share >= 0.001
}

// describe returns what --dry-run prints.
func (p *benchRun) describe() string {
	var b strings.Builder
	for i, n := range p.plan.Header.Nodes {
		fmt.Fprintf(&b, "%s  %s  %s  %s  %s\n", n.Name, shownURL(p.series[i].URL), n.API, n.Model, n.Connection)
	}
	return b.String() + p.plan.Estimate(p.input, p.output) + "\n"
}

// shownURL returns an address without user name and password.
func shownURL(u *url.URL) string {
	shown := *u
	shown.User = nil
	return shown.String()
}
