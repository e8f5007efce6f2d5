package cmd

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/transport"

	"github.com/spf13/cobra"
)

func newConfigPinCmd(a *app) *cobra.Command {
	return a.nodeCmd("pin", "Show the public keys of a node's certificate chain, ready to pin", runConfigPin)
}

func runConfigPin(ctx context.Context, s *settings, args []string) error {
	if s.closed != nil {
		return s.closed
	}
	node, err := s.values.Select(args[0], s.api)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(node.URL, "https://") {
		return usagef("", "node %s is not reached over TLS: there is nothing to pin", node.Name)
	}
	state, err := s.handshake(ctx, node)
	if err != nil {
		return err
	}
	chain := guard.Distinct(state.VerifiedChains)
	if err := s.write([]byte(s.safe(pinReport(node, chain)))); err != nil {
		return err
	}
	s.advisePins(node, chain)
	return nil
}

// handshake performs a handshake with a node, without its key and without a request.
func (s *settings) handshake(ctx context.Context, node config.Node) (*tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.values.Timeout, &client.DeadlineError{Timeout: s.values.Timeout})
	defer cancel()
	node.Auth, node.Headers = config.Auth{Scheme: config.AuthNone}, nil
	if node.Model == "" {
		node.Model = "none" // chat requires a model, but no request is sent
	}
	e, err := s.newEndpoint(ctx, node, endpointOptions{keyUnread: true})
	if err != nil {
		return nil, err
	}
	defer e.close()
	rt, seen, err := transport.Inspect(e.options)
	if err != nil {
		return nil, err
	}
	e.Transport = rt
	env := s.clientEnv()
	_, err = env.Probe(ctx, client.Call{}.To(&e.Endpoint))
	if state := seen(); state != nil {
		return state, nil
	}
	return nil, err
}

// pinReport returns a chain with its pins, and what to paste.
func pinReport(node config.Node, chain []*x509.Certificate) string {
	var b strings.Builder
	b.WriteString(heading(node) + "\n\n")
	for _, cert := range chain {
		pin, mark := guard.PinOf(cert), ""
		if slices.Contains(node.Pins, pin) {
			mark = "   (pinned, " + node.Origin("pins") + ")"
		}
		fmt.Fprintf(&b, "certificate  %s\nissued by    %s\nvalid until  %s\npin          %s%s\n\n",
			guard.Subject(cert), cmp.Or(cert.Issuer.CommonName, cert.Issuer.String()),
			cert.NotAfter.UTC().Format(time.DateOnly), pin, mark)
	}
	// Pin only the server's own key. An authority's pin would trust everything that it signs: a person has to choose
	// that.
	leaf := guard.PinOf(chain[0])
	fmt.Fprintf(&b, "pins: [\"%s\"]\n", leaf)
	if node.InFile {
		fmt.Fprintf(&b, "ferry config set nodes.%s.pins %s\n", node.Name, leaf)
	}
	return b.String()
}

// advisePins notes what the chain means for the configured pins.
func (a *app) advisePins(node config.Node, chain []*x509.Certificate) {
	matches := slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return slices.Contains(node.Pins, guard.PinOf(c)) })
	switch {
	case len(node.Pins) == 0 && !node.InFile:
		a.note("pins are for a node of the file: ferry config set nodes.NAME.url %s makes one", node.URL)
	case len(node.Pins) == 0:
		a.note("nothing is pinned yet")
	case !matches:
		a.note("the chain has none of the pinned keys (%s), so ferry refuses the node; ask its owner before you pin another key",
			guard.JoinPins(node.Pins, ", "))
	}
	a.note("keep a backup: if the pin of the next key is listed too (or of an authority above, which is less strict), the node " +
		"stays reachable when its key changes")
}
