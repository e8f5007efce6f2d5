package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/transport"
)

// Finding is one line of a check: one step of a request to a node, and its result.
type Finding struct {
	Mark Mark
	// Step is one word.
	Step, Text string
	// Hint is advice, "" for none.
	Hint string
}

// Mark is the verdict of a finding.
type Mark string

// The marks: passed, failed, and not checked or unknown.
const (
	Good    Mark = "✓"
	Bad     Mark = "✗"
	Skipped Mark = "–"
)

// Check runs each step of a request to an endpoint and reports which one fails.
type Check struct {
	Env
	Endpoint *Endpoint
	// Node is the node's configuration.
	Node config.Node
	// NoModel is the reason why there is no model; nil if there is one or none is needed.
	NoModel error
	// TransportOptions are the endpoint's. InProcess says that the node runs in this process and has no address.
	TransportOptions transport.Options
	InProcess        bool
	// Keyless says that the endpoint has no key. The caller has reported that.
	Keyless bool
	// Live adds one small request, which is billed.
	Live    bool
	Timeout time.Duration
	// OnModels receives the model IDs of the list; it may be nil.
	OnModels func(ids []string)
	// Report is called with each finding as soon as it is known.
	Report func(Finding)
}

func (c *Check) good(step, format string, args ...any) {
	c.Report(Finding{Good, step, fmt.Sprintf(format, args...), ""})
}

func (c *Check) skip(step, format string, args ...any) {
	c.Report(Finding{Skipped, step, fmt.Sprintf(format, args...), ""})
}

func (c *Check) bad(step string, err error) { c.Report(Fault(step, err)) }

// Fault returns an error as a finding.
func Fault(step string, err error) Finding { return Finding{Bad, step, err.Error(), text.Hint(err)} }

// Run checks the endpoint and reports each finding. The caller reports the step "key".
func (c *Check) Run(ctx context.Context) {
	call := Call{Timeout: c.Timeout, Deadline: c.Clock.Now().Add(c.Timeout)}
	probe, err := c.Probe(ctx, call.To(c.Endpoint))
	connected := c.checkConnection(probe, err)
	if connected {
		if probe.fromGateway() {
			c.checkHealth(ctx)
			c.checkOldTLS(ctx)
			c.checkUnknownToken(ctx)
		}
		c.models(ctx, call, probe, err)
		c.model(probe)
		if c.OnModels != nil && len(probe.ModelIDs) > 0 {
			c.OnModels(probe.ModelIDs)
		}
	}
	switch {
	case !c.Live:
		c.skip("live", "not checked; --live sends one small paid request")
	case c.Keyless || c.NoModel != nil || !connected:
		c.skip("live", "not checked after the error above")
	default:
		c.live(ctx, call)
	}
}

// checkConnection reports the steps up to the first byte of a reply, and returns whether all of them succeeded.
func (c *Check) checkConnection(probe *Probe, err error) bool {
	if c.InProcess {
		c.good("address", "inside ferry")
		return true
	}
	target, via := c.TransportOptions.Target, ""
	if proxy := c.TransportOptions.Proxy; proxy != nil {
		via = " through the proxy " + proxy.Scheme + "://" + proxy.Host
	}
	switch {
	case isClass(err, Limited):
		c.bad("limit", err)
		return false
	case isClass(err, DNS):
		c.bad("name", err)
		return false
	case len(probe.Addresses) > 0:
		c.good("name", "%s is %s", target.Hostname(), strings.Join(probe.Addresses, ", "))
	}
	switch {
	case probe.Connected:
		c.good("address", "connected in %s%s", text.Latency(probe.Attempt.Phases.Connect), via)
	case isClass(err, Trust):
		c.good("address", "answers%s", via)
		c.bad("TLS", err)
		return false
	default:
		c.bad("address", err)
		return false
	}
	if probe.State == nil {
		if target.Scheme == "http" {
			c.skip("TLS", "plain http")
		}
		return true
	}
	leaf := probe.State.PeerCertificates[0]
	c.good("TLS", "%s in %s; certificate of %s, valid until %s, from %s",
		strings.ReplaceAll(probe.Attempt.TLS, "TLS ", ""), text.Latency(probe.Attempt.Phases.TLS), target.Hostname(),
		leaf.NotAfter.UTC().Format(time.DateOnly), leaf.Issuer.CommonName)
	switch {
	case probe.Attempt.HTTP3:
		c.good("HTTP/3", "the node answers over it")
	case c.TransportOptions.HTTP3 != transport.NoHTTP3 && c.TransportOptions.Proxy != nil:
		c.skip("HTTP/3", "it does not go through a proxy")
	case c.TransportOptions.HTTP3 != transport.NoHTTP3:
		c.skip("HTTP/3", "TCP connected first: UDP is slower or blocked here")
	case probe.has("alt-svc", "h3="): // RFC 7838, RFC 9114 section 3.1.1
		how := "--http3"
		if c.Node.InFile {
			how = "ferry config set nodes." + c.Endpoint.Name + ".http3 true"
		}
		c.skip("HTTP/3", "the node offers it; %s enables it", how)
	}
	// The handshake has verified that a pinned key is in the chain.
	for _, cert := range guard.Distinct(probe.State.VerifiedChains) {
		if pin := guard.PinOf(cert); slices.Contains(c.TransportOptions.Pins, pin) {
			c.good("pins", "the key of %s is pinned: %s (of %d)", guard.Subject(cert), pin, len(c.TransportOptions.Pins))
		}
	}
	return true
}

// models reports the result of the free request. A list that is open to everyone does not show whether the key is
// valid, so models requests the list without a key too. With Live, if the list is refused, the paid request decides.
func (c *Check) models(ctx context.Context, call Call, probe *Probe, err error) {
	listed := fmt.Sprintf("%d listed in %s", probe.Models, text.Latency(probe.Attempt.Latency))
	status := probe.Attempt.Status
	switch {
	case err == nil && probe.Models < 0:
		c.skip("models", "the answer is not a list of models; only --live can check the key")
	case err == nil && c.Keyless:
		c.good("models", "%s, without a key", listed)
	case err == nil:
		keyless := *c.Endpoint
		keyless.Key = guard.Secret{}
		keyless.Header = slices.DeleteFunc(slices.Clone(keyless.Header), func(f Field) bool { return !f.Secret.IsZero() })
		again, _ := c.Probe(ctx, call.To(&keyless))
		switch again.Attempt.Status {
		case http.StatusUnauthorized, http.StatusForbidden:
			c.good("models", "%s; the node accepts the key", listed)
		case http.StatusOK:
			c.good("models", "%s, without a key too: only --live can check the key", listed)
		default:
			c.good("models", "%s; only --live can check the key", listed)
		}
	case probe.fromGateway() && status == http.StatusForbidden:
		c.skip("models", "the gateway accepts the token, but its role may not list models")
	case c.Keyless:
		c.skip("models", "the request had no key; the node answers with status %d", status)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed: // gateways often do not have a list
		c.Report(Finding{Skipped, "models", fmt.Sprintf("no list: %s; only --live can check the key", err), text.Hint(err)})
	case c.Live && status >= 400 && status < 500:
		c.skip("models", "the list is refused: %s", err)
	default:
		c.bad("models", err)
	}
}

// model looks for the configured model in the list. Servers accept models that they do not list, so a missing model is
// not a failure yet.
func (c *Check) model(probe *Probe) {
	model := c.Endpoint.Model
	listed, near := FindModel(probe.ModelIDs, model)
	switch {
	case c.NoModel != nil:
		c.bad("model", c.NoModel)
	case model == "" || len(probe.ModelIDs) == 0:
	case listed:
		c.good("model", "%s is listed", model)
	case probe.More || len(probe.ModelIDs) < probe.Models: // only part of the list was kept
	default:
		found := model + " is not listed"
		if near != "" {
			found += "; the nearest is " + near
		}
		c.Report(Finding{Skipped, "model", found, c.Node.OtherModel() + "; --live shows whether the node accepts this one"})
	}
}

// FindModel looks for a model in a server's list. If it is not listed, near is the most similar name, "" for none.
func FindModel(ids []string, model string) (listed bool, near string) {
	short := func(id string) string { return strings.TrimSuffix(strings.TrimPrefix(id, "models/"), ":latest") }
	want := short(model)
	if slices.ContainsFunc(ids, func(id string) bool { return short(id) == want }) {
		return true, ""
	}
	return false, config.NearestName(want, ids)
}

// live sends a minimal request.
func (c *Check) live(ctx context.Context, call Call) {
	call.Request.Prompt, call.Request.MaxTokens = "Say pong.", 16
	once := *c.Endpoint
	once.Rule.Attempts = 1
	result, err := Chain(Stages{Env: c.Env}).Do(ctx, call.To(&once))
	if err == nil {
		err = result.Uncounted
	}
	if err != nil {
		c.bad("live", err)
		return
	}
	paid := "the node reports no usage"
	if u := result.Answer.Usage; u != nil {
		paid = fmt.Sprintf("%s in, %d out", text.Count(int(u.Input), "token"), u.Output)
	}
	c.good("live", "one paid request: answered in %s, %s", text.Latency(result.Latency), paid)
}

// has reports whether the reply has a header field with this name whose value contains part.
func (p *Probe) has(name, part string) bool {
	return slices.ContainsFunc(p.Attempt.Header(), func(f Field) bool { return f.Name == name && strings.Contains(f.Value, part) })
}

// fromGateway reports whether the reply came from a gateway that ferry configured. Such a gateway adds a header.
func (p *Probe) fromGateway() bool { return p.has("x-ferry-gateway", "") }

// checkHealth, checkOldTLS and checkUnknownToken check what a gateway must do: report that it is healthy, refuse older
// TLS versions, and refuse an unknown API token. All are free; the two requests count against the caller's rate limit at
// the gateway.
func (c *Check) checkHealth(ctx context.Context) {
	at := *c.TransportOptions.Target
	at.Path, at.RawPath, at.RawQuery = "/healthz", "", ""
	status, body, err := c.get(ctx, &at)
	var said struct{ Status string }
	switch {
	case err != nil:
		c.bad("gateway", err)
	case status != http.StatusOK || json.Unmarshal(body, &said) != nil || said.Status != "ok":
		c.bad("gateway", fmt.Errorf("/healthz answers with status %d and does not report ok", status))
	default:
		c.good("gateway", "a gateway of ferry; /healthz reports ok")
	}
}

func (c *Check) checkOldTLS(ctx context.Context) {
	if c.TransportOptions.Proxy != nil {
		c.skip("floor", "not checked through a proxy")
		return
	}
	if c.TransportOptions.Target.Scheme != "https" {
		c.bad("floor", errors.New("the gateway is reached without TLS"))
		return
	}
	refuses, err := transport.RefusesTLS12(ctx, c.TransportOptions)
	switch {
	case err != nil:
		c.bad("floor", fmt.Errorf("cannot check whether TLS 1.2 is refused: %s", transport.Innermost(err)))
	case refuses:
		c.good("floor", "TLS 1.2 is refused")
	default:
		c.bad("floor", text.Errorf("ferry config nginx writes ssl_protocols TLSv1.3", "TLS 1.2 is accepted"))
	}
}

func (c *Check) checkUnknownToken(ctx context.Context) {
	const madeUp = "ferry-config-check-made-this-up"
	status, _, err := c.get(ctx, c.Endpoint.PrepareModels().URL, Field{Name: "X-Api-Key", Value: madeUp})
	switch {
	case err != nil:
		c.bad("guard", err)
	case status == http.StatusUnauthorized:
		c.good("guard", "a made-up token is refused")
	case status == http.StatusTooManyRequests:
		c.skip("guard", "not checked: the rate limit was reached first")
	default:
		c.bad("guard", fmt.Errorf("a made-up token gets status %d, not 401", status))
	}
}

// get sends one request without the endpoint's key.
func (c *Check) get(ctx context.Context, address *url.URL, header ...Field) (status int, body []byte, err error) {
	trace := new(transport.Trace)
	if c.OnStart != nil {
		active := &ActiveAttempt{Node: c.Endpoint.Name, Number: 1}
		active.trace.Store(trace)
		defer c.OnStart(active)()
	}
	request := &Prepared{Method: http.MethodGet, URL: address, Header: header}
	reply, body, err := c.fetch(transport.WithTrace(ctx, trace), c.Endpoint, request)
	if err != nil {
		return 0, nil, err
	}
	return reply.StatusCode, body, nil
}
