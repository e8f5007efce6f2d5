package cmd

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/demo"
	"ferry/pkg/guard"
	"ferry/pkg/transport"
)

// endpoint is a node that is ready to be asked, with what commands want to know of the way to it.
type endpoint struct {
	client.Endpoint
	config  config.Node
	options transport.Options
	dir     string // of the configuration file
	// demo is the node inside this process, nil for any other.
	demo *demo.Node
	// limiter is the rate limit, nil for none: the same for all nodes that share one.
	limiter *rateLimiter
}

func (e *endpoint) close() {
	if idle, ok := e.Transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	if e.demo != nil {
		_ = e.demo.Close()
	}
}

func (a *app) selectNode(s *settings, name string) (config.Node, error) {
	return s.values.Select(config.Selection{Selector: name, API: s.api, Presets: presets()})
}

// endpointOptions say what an endpoint is for.
type endpointOptions struct {
	unread      bool  // its key is named and not read
	most        int64 // bytes of an answer; 0 is the transport's own bound
	holds       bool  // its connection may outlive the command
	connections int   // how many are kept; 0 is the transport's own number
}

// endpoint readies a node: its key is read and its transport built. Every command does it here.
func (a *app) endpoint(ctx context.Context, s *settings, node config.Node, o endpointOptions) (*endpoint, error) {
	e := &endpoint{config: node, dir: s.file.Dir()}
	e.options.MaxBody, e.options.Connections = o.most, o.connections
	e.Zone, e.Sticky, e.MaxTokens, e.IdleTimeout = node.Zone, node.Sticky, node.MaxTokens, s.values.IdleTimeout
	e.Rule, e.Model = s.values.Retry, node.Model
	if err := node.CheckModel(); err != nil {
		return nil, err
	}
	for _, alias := range node.Aliases {
		if e.Aliases == nil {
			e.Aliases = map[string]string{}
		}
		e.Aliases[alias.Name] = alias.Model
	}
	var err error
	if e.Node, err = a.identify(ctx, s, node, o.unread); err != nil {
		return nil, err
	}
	if err := a.path(s, node, e); err != nil {
		return nil, err
	}
	if e.Transport, err = a.transport(s, e, o.holds && !o.unread); err != nil {
		return nil, err
	}
	return e, a.limit(s, e)
}

// maxStream is the most bytes of an event stream that are read.
const maxStream = 256 << 20

func userAgent() string { return "ferry/" + version }

// clientEnv is what the stages of a call need.
func (a *app) clientEnv() client.Env {
	return client.Env{Clock: a.Clock, Random: a.Random, Masker: a.masker, UserAgent: userAgent(), Wait: a.wait, OnSend: a.sending}
}

// identify gives the node as the client knows it, with its key and its secret headers.
func (a *app) identify(ctx context.Context, s *settings, node config.Node, unread bool) (client.Node, error) {
	out := client.Node{Name: node.Name, API: node.API, Version: node.Version, Auth: node.Auth.HeaderName()}
	address := node.URL
	if query, ok := strings.CutPrefix(address, "demo:"); ok {
		address = "http://demo" + query
	}
	var err error
	if out.URL, err = url.Parse(address); err != nil {
		return out, fmt.Errorf("node %s: the url cannot be read", node.Name)
	}
	if out.Key, err = a.key(ctx, s, node, unread); err != nil {
		return out, err
	}
	if node.IsDemo() && out.Auth == "" {
		out.Auth, out.Key = "x-api-key", demoKey()
		a.masker.AddSecret(out.Key)
	}
	for _, h := range node.Headers {
		field := client.Field{Name: h.Name, Value: h.Value}
		if !h.Ref.IsZero() {
			if field.Secret, err = a.secret(ctx, s, h.Ref, unread); err != nil {
				return out, err
			}
		}
		out.Header = append(out.Header, field)
	}
	return out, nil
}

// key reads a node's key. Unread, it is named by where it would come from.
func (a *app) key(ctx context.Context, s *settings, node config.Node, unread bool) (guard.Secret, error) {
	if !unread {
		key, err := a.keys(s).For(ctx, node)
		a.masker.AddSecret(key)
		return key, err
	}
	switch {
	case node.Auth.Scheme == config.AuthNone:
		return guard.Secret{}, nil
	case !node.Key.IsZero():
		return guard.Unread(node.Key.String()), nil
	case node.Name == "direct":
		return guard.Unread("env:ANTHROPIC_API_KEY"), nil
	}
	return guard.Unread("env:FERRY_KEY"), nil
}

func (a *app) secret(ctx context.Context, s *settings, ref config.Ref, unread bool) (guard.Secret, error) {
	if unread {
		return guard.Unread(ref.String()), nil
	}
	read, err := a.keys(s).ResolveHeader(ctx, ref)
	a.masker.AddSecret(read)
	return read, err
}

// keys finds secrets for the file's references.
func (a *app) keys(s *settings) config.Keys {
	return config.Keys{
		Lookup:  a.Lookup,
		Dir:     s.file.Dir(),
		Home:    a.get("HOME"),
		Keyring: config.SystemKeyring(a.Lookup),
	}
}

// path says how to reach the node.
func (a *app) path(s *settings, node config.Node, e *endpoint) error {
	e.options.Target = e.URL
	e.options.TLS = transport.TLS(node.TLS)
	e.options.Pins, e.options.Node = node.Pins, node.Name
	e.options.Insecure = node.Insecure
	e.options.ConnectTimeout = s.values.ConnectTimeout
	if node.IsDemo() {
		e.demo = demo.New(demo.Options{Now: a.Clock.Now, Sleep: a.Clock.Sleep})
		e.options.Dial = e.demo.DialContext
		return nil
	}
	var err error
	e.options.Proxy, e.options.ProxyFrom, err = a.proxy(s, node, e.URL)
	if via := e.options.Proxy; via != nil && e.URL.Scheme == "http" && !strings.HasPrefix(via.Scheme, "socks") {
		e.Proxy = transport.ShowProxy(via)
	}
	return err
}
