package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/term"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

func newConfigCheckCmd(a *app) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check [node…]",
		Short: "Is everything in place: key, name, address, TLS, and the key at the node; free",
		Long: `check goes the way of a request and says how far it gets: the key is found, the name resolves, the address answers,
TLS and the certificate hold, and the node lists its models for that key, the configured one among them. That costs
nothing. --live adds one tiny request that is paid for. It exits 1 when a line is ✗.`,
		Example: `  ferry config check
  ferry config check hongkong singapore
  ferry config check --live direct`,
		ValidArgsFunction: a.completeNodes,
		RunE:              func(c *cobra.Command, args []string) error { return runConfigCheck(c.Context(), a, args, o) },
	}
	c.Flags().BoolVar(&o.live, "live", false, "also send one tiny request that is paid for")
	span(c.Flags(), &o.timeout, "timeout", "", 30*time.Second, time.Second, longestTime, "the most time for one node", "1s to 24h")
	return c
}

type checkOptions struct {
	live    bool
	timeout time.Duration
}

// runConfigCheck checks the nodes that are named, or all of the file, or else direct.
func runConfigCheck(ctx context.Context, a *app, names []string, o checkOptions) error {
	if err := a.canPrint(); err != nil {
		return err
	}
	s, err := a.settings(nodeOptions{})
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = nodeNames(s.file)
	}
	if len(names) == 0 {
		names = []string{"direct"}
	}
	failed := false
	for _, name := range names {
		node, err := s.selectNode(name)
		if err != nil {
			return err
		}
		report := &checkReport{app: a, styles: a.outStyles()}
		report.print(report.styles.Strong.Render(text.Line(a.safe(heading(node)))) + "\n")
		report.check(ctx, s, node, o)
		if report.err != nil {
			return report.err
		}
		failed = failed || report.failed
	}
	if failed {
		return silent(exitFailed)
	}
	return nil
}

func heading(node config.Node) string {
	text := node.Name
	if node.Label != "" {
		text += " (" + node.Label + ")"
	}
	return text + "  " + node.URL
}

// checkReport prints the lines of one node, each when its answer is there.
type checkReport struct {
	app    *app
	styles term.Styles
	failed bool
	err    error // of standard output
}

const (
	markGood    = "✓"
	markBad     = "✗"
	markSkipped = "–"
)

func (r *checkReport) good(step, format string, args ...any) {
	r.line(r.styles.Good.Render(markGood), step, fmt.Sprintf(format, args...), "")
}

func (r *checkReport) skip(step, format string, args ...any) {
	r.line(markSkipped, step, fmt.Sprintf(format, args...), "")
}

func (r *checkReport) bad(step string, err error) {
	r.line(r.styles.Bad.Render(markBad), step, err.Error(), text.Hint(err))
	r.failed = true
}

// check goes the way of a request.
func (r *checkReport) check(ctx context.Context, s *settings, node config.Node, o checkOptions) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, &client.DeadlineError{Timeout: o.timeout})
	defer cancel()
	e, err := s.endpoint(ctx, node, endpointOptions{})
	keyless := err != nil
	if keyless {
		r.bad("key", err)
		// The rest of the way can be looked at without the key: the node then says 401, which is no fault of the way.
		bare := node
		bare.Auth, bare.Headers = config.Auth{Scheme: config.AuthNone}, nil
		if e, err = s.endpoint(ctx, bare, endpointOptions{unread: true}); err != nil {
			return
		}
	} else {
		r.key(node)
	}
	defer e.close()
	call := client.Call{Timeout: o.timeout, Deadline: r.app.Clock.Now().Add(o.timeout)}
	env := r.app.clientEnv()
	probe, err := env.Probe(ctx, call.To(&e.Endpoint))
	stands := r.way(e, probe, err)
	if stands {
		if isGateway(probe) {
			r.gateway(ctx, e)
		}
		// bare is the status that the list has without a key: 200 where it is open to anyone, 0 where that could not be seen.
		bare := func() int {
			keyless := e.Endpoint
			keyless.Key, keyless.Header = guard.Secret{}, slices.DeleteFunc(slices.Clone(keyless.Header), func(f client.Field) bool { return !f.Secret.IsZero() })
			probe, _ := env.Probe(ctx, call.To(&keyless))
			return probe.Attempt.Status
		}
		r.models(probe, err, keyless, o.live, bare)
		r.model(e, probe)
	}
	switch {
	case !o.live:
		r.skip("live", "not asked; --live sends one tiny request that is paid for")
	case keyless || !stands:
		r.skip("live", "not asked after the fault above")
	default:
		r.live(ctx, e, call)
	}
}

func (r *checkReport) key(node config.Node) {
	if node.Auth.Scheme == config.AuthNone {
		r.good("key", "none needed")
		return
	}
	r.good("key", "%s", node.Key)
}

// way reports the steps up to the first byte of a reply, and whether they all held.
func (r *checkReport) way(e *endpoint, probe *client.Probe, err error) bool {
	if e.demo != nil {
		r.good("address", "inside ferry")
		return true
	}
	var failed *client.Error
	errors.As(err, &failed)
	target := e.options.Target
	via := ""
	if proxy := e.options.Proxy; proxy != nil {
		via = " through the proxy " + proxy.Scheme + "://" + proxy.Host
	}
	switch {
	case failed != nil && failed.Class == client.Limited:
		r.bad("limit", err)
		return false
	case failed != nil && failed.Class == client.DNS:
		r.bad("name", err)
		return false
	case len(probe.Addresses) > 0:
		r.good("name", "%s is %s", target.Hostname(), strings.Join(probe.Addresses, ", "))
	}
	switch {
	case probe.Connected:
		r.good("address", "connected in %s%s", text.Latency(probe.Attempt.Phases.Connect), via)
	case failed != nil && failed.Class == client.Trust:
		r.good("address", "answers%s", via)
		r.bad("TLS", err)
		return false
	default:
		r.bad("address", err)
		return false
	}
	if probe.State != nil {
		leaf := probe.State.PeerCertificates[0]
		r.good("TLS", "%s in %s; certificate of %s, valid until %s, from %s",
			strings.ReplaceAll(probe.Attempt.TLS, "TLS ", ""), text.Latency(probe.Attempt.Phases.TLS), target.Hostname(),
			leaf.NotAfter.UTC().Format("2006-01-02"), leaf.Issuer.CommonName)
		r.pins(e, probe.State)
	} else if target.Scheme == "http" {
		r.skip("TLS", "plain http")
	}
	return true
}

// pins reports which keys of the chain the configuration pins: that one is there the handshake has shown.
func (r *checkReport) pins(e *endpoint, state *tls.ConnectionState) {
	pins := e.options.Pins
	for _, cert := range guard.Distinct(state.VerifiedChains) {
		if pin := guard.PinOf(cert); slices.Contains(pins, pin) {
			r.good("pins", "the key of %s is pinned: %s (of %d)", subjectOf(cert), pin, len(pins))
		}
	}
}

// models reports what the node said to the free request. A list that is open to anyone says nothing about the key. With
// live the paid request decides where the list is refused.
func (r *checkReport) models(probe *client.Probe, err error, keyless, live bool, bare func() int) {
	listed := fmt.Sprintf("%d listed in %s", probe.Models, text.Latency(probe.Attempt.Latency))
	status := probe.Attempt.Status
	switch {
	case err == nil && probe.Models >= 0 && keyless:
		r.good("models", "%s, without a key", listed)
	case err == nil && probe.Models >= 0:
		switch bare() {
		case http.StatusUnauthorized, http.StatusForbidden:
			r.good("models", "%s; the node takes the key", listed)
		case http.StatusOK:
			r.good("models", "%s, without a key too: only --live can tell about the key", listed)
		default:
			r.good("models", "%s; only --live can tell about the key", listed)
		}
	case err == nil:
		r.skip("models", "the node answers with something else than a list; only --live can tell about the key")
	case isGateway(probe) && status == 403:
		r.skip("models", "the gateway knows the token, whose role may not list models")
	case keyless:
		r.skip("models", "not asked with a key; the node answers with status %d", status)
	case client.NoModelList(err):
		r.line(markSkipped, "models", "the node has no list of models; only --live can tell about the key", text.Hint(err))
	case live && status >= 400 && status < 500:
		r.skip("models", "the list is refused: %s", err)
	default:
		r.bad("models", err)
	}
}

// model looks for the configured model in the list. Servers take names that they do not list, so that one which is not
// there is no fault yet.
func (r *checkReport) model(e *endpoint, probe *client.Probe) {
	short := func(id string) string { return strings.TrimSuffix(strings.TrimPrefix(id, "models/"), ":latest") }
	want := short(e.Model)
	switch {
	case want == "" || len(probe.ModelIDs) == 0:
	case slices.ContainsFunc(probe.ModelIDs, func(id string) bool { return short(id) == want }):
		r.good("model", "%s is listed", e.Model)
	case len(probe.ModelIDs) < probe.Models: // the list is longer than what was kept of it
	default:
		text := e.Model + " is not listed"
		if near := config.Closest(want, probe.ModelIDs); near != "" {
			text += "; the nearest is " + near
		}
		r.line(markSkipped, "model", text, "ferry config set nodes."+e.Name+".model NAME sets another; --live shows whether the node takes this one")
	}
}

// live sends the smallest request there is.
func (r *checkReport) live(ctx context.Context, e *endpoint, call client.Call) {
	call.Request.Prompt, call.Request.MaxTokens = "Say pong.", 16
	once := e.Endpoint
	once.Rule.Attempts = 1
	result, err := client.Chain(client.Stages{Env: r.app.clientEnv()}).Do(ctx, call.To(&once))
	if err == nil {
		err = result.Uncounted
	}
	if err != nil {
		r.bad("live", err)
		return
	}
	paid := "the node reports no usage"
	if u := result.Answer.Usage; u != nil {
		paid = fmt.Sprintf("%d tokens in, %d out", u.Input, u.Output)
	}
	r.good("live", "one paid request: answered in %s, %s", text.Latency(result.Latency), paid)
}

// checkIndent is where the text of a line begins.
const checkIndent = 13

// line prints a line, with its hint below.
func (r *checkReport) line(mark, step, text, hint string) {
	text = indented(r.app.safe(text), checkIndent)
	lines := r.app.out.Wrap(fmt.Sprintf("  %s %-8s %s", mark, step, text), checkIndent) + "\n"
	if hint != "" {
		lines += r.app.out.Wrap(hintText(r.styles, checkIndent, r.app.safe(hint)), checkIndent+hintIndent) + "\n"
	}
	r.print(lines)
}

// print writes to standard output, until that takes nothing more.
func (r *checkReport) print(text string) {
	if r.err == nil {
		r.err = r.app.write([]byte(text))
	}
}
