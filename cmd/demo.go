package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/demo"
	"ferry/pkg/transport"

	"github.com/spf13/cobra"
)

// demoAddress is the default address of `ferry demo`.
const demoAddress = "127.0.0.1:8787"

func newDemoCmd(a *app) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Serve the demo node on a loopback port: real wire formats, faults on demand",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), a, listen) },
	}
	c.Flags().StringVar(&listen, "listen", demoAddress, "loopback `ADDRESS` to listen on; port 0 selects a free port")
	c.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "do not log requests")
	return c
}

// checkFaults rejects an unknown fault in the query of an in-process node: with a typo in it, a user's test would pass
// without the fault.
func checkFaults(query string) error {
	hint := "ferry demo --help lists the faults"
	unknown, err := demo.CheckQuery(query)
	switch {
	case err != nil:
		return usagef(hint, "the demo node cannot read ?%s: %s", query, err)
	case len(unknown) == 0:
		return nil
	}
	names := mapSlice(demo.Faults(), func(f demo.Fault) string { return f.Name })
	if near := config.NearestName(unknown[0], names); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return usagef(hint, "the demo node knows no fault %q", unknown[0])
}

// runDemo serves until the context ends. The first line on standard output is the address, for scripts.
func runDemo(ctx context.Context, a *app, listen string) error {
	listener, err := listenLoopback(ctx, listen)
	if err != nil {
		return err
	}
	log := func(r demo.Record) {
		line := fmt.Sprintf("%s %s %d", r.Method, r.Path, r.Status)
		if r.Fault != "" {
			line += " (" + r.Fault + ")"
		}
		a.note("%s", line)
	}
	node := demo.New(demo.Options{Now: a.Clock.Now, Sleep: a.Clock.Sleep, OnRequest: log})
	address := "http://" + listener.Addr().String()
	if err := a.write([]byte(address + "\n")); err != nil {
		return err
	}
	a.note("the demo node accepts any key; Ctrl-C ends it. From another terminal:")
	a.note("  FERRY_KEY=any ferry ask -n %s hello", address)
	server := &http.Server{
		Handler:           node,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	defer node.Close()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return usagef("", "the demo node stopped: %s", err)
	}
	return nil
}

// listenLoopback listens on loopback addresses only: a node that accepts any key must not be on a network.
func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	at, parsed := netip.ParseAddr(host)
	if err != nil || host != "localhost" && (parsed != nil || !at.IsLoopback()) {
		return nil, invalid("listen", address, "a loopback address and a port, such as "+demoAddress)
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, usagef("--listen 127.0.0.1:0 takes a free port", "cannot listen on %s: %s", address, transport.Innermost(err))
	}
	return listener, nil
}
