package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/guard"

	"github.com/spf13/cobra"
)

func newConfigCheckCmd(a *app) *cobra.Command {
	var live bool
	c := &cobra.Command{
		Use:   "check [node…]",
		Short: "Is everything in place: key, name, address, TLS, and the key at the node; free",
		Long: `check goes the way of a request and says how far it gets: the key is found, the name resolves, the address answers,
TLS and the certificate hold, and the node lists its models for that key. That costs nothing. --live adds one tiny
request that is paid for. It exits 1 when a line is ✗.`,
		Example: `  ferry config check
  ferry config check hongkong singapore
  ferry config check --live direct`,
		ValidArgsFunction: a.completeNodes,
		RunE:              func(c *cobra.Command, args []string) error { return runConfigCheck(c.Context(), a, args, live) },
	}
	c.Flags().BoolVar(&live, "live", false, "also send one tiny request that is paid for")
	return c
}

// runConfigCheck checks the nodes that are named, or all of the file, or else direct.
func runConfigCheck(ctx context.Context, a *app, names []string, live bool) error {
	if err := a.canPrint(); err != nil {
		return err
	}
	s, err := a.settings(nodeOptions{})
	if err != nil {
		return err
	}
	if len(names) == 0 {
		for _, n := range s.file.Nodes {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		names = []string{"direct"}
	}
	failed := false
	for _, name := range names {
		node, err := a.selectNode(s, name)
		if err != nil {
			return err
		}
		report := &checkReport{app: a, heading: heading(node)}
		report.check(ctx, s, node, live)
		if err := report.print(); err != nil {
			return err
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

// checkReport collects the lines of one node.
type checkReport struct {
	app     *app
	heading string
	lines   []checkLine
	failed  bool
}

type checkLine struct {
	mark, step, text, hint string
}

const (
	markGood    = "✓"
	markBad     = "✗"
	markSkipped = "–"
)

func (r *checkReport) good(step, format string, args ...any) {
	r.lines = append(r.lines, checkLine{markGood, step, fmt.Sprintf(format, args...), ""})
}

func (r *checkReport) skip(step, format string, args ...any) {
	r.lines = append(r.lines, checkLine{markSkipped, step, fmt.Sprintf(format, args...), ""})
}

func (r *checkReport) bad(step string, err error) {
	r.lines = append(r.lines, checkLine{markBad, step, err.Error(), hintOf(err)})
	r.failed = true
}

// check goes the way of a request.
func (r *checkReport) check(ctx context.Context, s *settings, node config.Node, live bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.values.Timeout(), &client.DeadlineError{Timeout: s.values.Timeout()})
	defer cancel()
	e, err := r.app.endpoint(ctx, s, node, endpointOptions{})
	keyless := err != nil
	if keyless {
		r.bad("key", err)
		// The rest of the way can be looked at without the key: the node then says 401, which is no fault of the way.
		bare := node
		bare.Auth, bare.Headers = config.Auth{Scheme: config.AuthNone}, nil
		if e, err = r.app.endpoint(ctx, s, bare, endpointOptions{unread: true}); err != nil {
			return
		}
	} else {
		r.key(node)
	}
	defer e.close()
	timeout := s.values.Timeout()
	call := client.Call{Timeout: timeout, Deadline: r.app.Clock.Now().Add(timeout)}
	env := r.app.clientEnv()
	probe, err := env.Probe(ctx, call.To(&e.Endpoint))
	if r.way(e, probe, err) {
		if isGateway(probe) {
			r.gateway(ctx, e)
		}
		r.models(probe, err, keyless)
	}
	switch {
	case !live:
		r.skip("live", "not asked; --live sends one tiny request that is paid for")
	case r.failed:
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
		r.good("address", "connected in %s%s", spell(probe.Attempt.Phases.Connect), via)
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
			strings.ReplaceAll(probe.Attempt.TLS, "TLS ", ""), spell(probe.Attempt.Phases.TLS), target.Hostname(),
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

// models reports what the node said to the free request.
func (r *checkReport) models(probe *client.Probe, err error, keyless bool) {
	switch {
	case err == nil && probe.Models >= 0:
		r.good("models", "%d listed in %s; the node takes the key", probe.Models, spell(probe.Attempt.Latency))
	case err == nil:
		r.skip("models", "the node answers with something else than a list; only --live can tell about the key")
	case isGateway(probe) && probe.Attempt.Status == 403:
		r.skip("models", "the gateway knows the token, whose role may not list models")
	case keyless:
		r.skip("models", "not asked with a key; the node answers with status %d", probe.Attempt.Status)
	case client.NoModelList(err):
		r.skip("models", "the node has no list of models; only --live can tell about the key")
	default:
		r.bad("models", err)
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
	r.good("live", "one paid request: answered in %s, %s", spell(result.Latency), paid)
}

// checkIndent is where the text of a line begins.
const checkIndent = 13

// print writes the report to standard output, in one piece.
func (r *checkReport) print() error {
	styles := r.app.outStyles()
	var b strings.Builder
	b.WriteString(styles.Strong.Render(r.app.safe(r.heading)) + "\n")
	for _, line := range r.lines {
		mark := line.mark
		switch mark {
		case markGood:
			mark = styles.Good.Render(mark)
		case markBad:
			mark = styles.Bad.Render(mark)
		}
		text := indented(r.app.safe(line.text), checkIndent)
		b.WriteString(r.app.out.Wrap(fmt.Sprintf("  %s %-8s %s", mark, line.step, text), checkIndent) + "\n")
		if line.hint != "" {
			b.WriteString(r.app.out.Wrap(hintText(styles, checkIndent, r.app.safe(line.hint)), checkIndent+hintIndent) + "\n")
		}
	}
	return r.app.write([]byte(b.String()))
}
