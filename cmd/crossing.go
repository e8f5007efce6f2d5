package cmd

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/demo"
	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/retry"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// crossing is everything that is needed to send a request to one node.
type crossing struct {
	node    client.Node
	client  *client.Client
	options transport.Options
	// request has the model and the limit on tokens; the prompt is the command's.
	request wire.Request
	// inProcess says that the node is the demo node inside this process.
	inProcess bool
	demo      *demo.Node
	// sticky says that the node wants a conversation's token.
	sticky bool
	// order is the nodes to ask, this one first.
	order order
	// filter and audit are what a prompt and an answer pass, and where the call is written down; nil for none.
	filter *contentFilter
	audit  *auditing
	// redacted makes what a server said fit for a report.
	redacted func(string) string
	// sending is called before a request leaves; crashed makes an error of a panic.
	sending func()
	crashed func(value any) error
	// dir is the folder of the configuration file.
	dir string
	// turns and tab are the limit's and the budget's; nil where the node has none.
	turns *turnstile
	tab   *tab
	// held is what the budget has set apart for a call that goes on, and used what came of that call.
	held *limit.Hold
	used *client.Result
}

func (c *crossing) close() {
	if idle, ok := c.client.Transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	if c.demo != nil {
		_ = c.demo.Close()
	}
}

// prepare reads the key of a node that was selected, and builds its transport. For a dry run the key is named and not
// read.
func (a *app) prepare(ctx context.Context, s *settings, node config.Node, o callOptions) (*crossing, error) {
	if node.IsDemo() {
		a.note("%s is the demo node: its answers are made up here", node.Name)
	}
	var most int64 // the transport's own cap, of a whole answer
	if o.streams {
		most = maxStream
	}
	c, err := a.reach(ctx, s, node, reachOptions{unread: o.dryRun, most: most, holds: o.holds && !o.dryRun})
	if err != nil {
		return nil, err
	}
	c.sticky = node.Sticky
	return c, nil
}

func (a *app) selectNode(s *settings, name string) (config.Node, error) {
	return s.file.Select(config.Selection{
		Selector: name,
		Origin:   s.values.Origin("node"),
		API:      s.api,
		Presets:  presets(),
		Lookup:   a.Lookup,
	})
}

// reachOptions say what a crossing is for.
type reachOptions struct {
	unread bool  // its key is named and not read
	most   int64 // bytes of an answer; 0 is the transport's own cap
	holds  bool  // its connection may outlive the command
}

// reach builds the crossing to a node.
func (a *app) reach(ctx context.Context, s *settings, node config.Node, o reachOptions) (*crossing, error) {
	c := &crossing{inProcess: node.IsDemo(), dir: s.file.Dir(), redacted: a.redacted}
	c.sending, c.crashed = a.sending, a.crashed
	c.options.MaxBody = o.most
	var err error
	if c.request.Model, err = s.values.Model(node); err != nil {
		return nil, err
	}
	c.request.MaxTokens = s.values.MaxTokens(node)
	if c.node, err = a.identify(ctx, s, node, o.unread); err != nil {
		return nil, err
	}
	if err := a.options(s, node, c); err != nil {
		return nil, err
	}
	rt, err := a.transport(s, node, c, o.holds)
	if err != nil {
		return nil, err
	}
	c.client = a.newClient(s, rt)
	if err := a.restrain(s, node, c); err != nil {
		return nil, err
	}
	return c, nil
}

// maxStream is the most bytes of an event stream that are read.
const maxStream = 256 << 20

func (a *app) newClient(s *settings, rt http.RoundTripper) *client.Client {
	return &client.Client{
		Transport: rt,
		Rule: retry.Rule{
			Policy:   s.values.Policy(),
			Attempts: s.values.Attempts(),
			Delay:    s.values.Delay(),
		},
		Clock:       a.Clock,
		Timeout:     s.values.Timeout(),
		IdleTimeout: s.values.IdleTimeout(),
		Random:      a.Random,
		Masker:      a.masker,
		UserAgent:   "ferry/" + version,
	}
}

// identify gives the node as the client knows it, with its key and its secret headers.
func (a *app) identify(ctx context.Context, s *settings, node config.Node, unread bool) (client.Node, error) {
	out := client.Node{Name: node.Name, API: wire.API(node.API), Version: node.Version, Auth: node.Auth.HeaderName()}
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

// options says how to reach the node.
func (a *app) options(s *settings, node config.Node, c *crossing) error {
	c.options.Target = c.node.URL
	c.options.TLS = transport.TLS(s.values.TLSFor(node))
	c.options.Pins, c.options.Node = node.Pins, node.Name
	c.options.Insecure = node.Insecure
	c.options.ConnectTimeout = s.values.ConnectTimeout()
	if c.inProcess {
		c.demo = demo.New(demo.Options{Now: a.Clock.Now, Sleep: a.Clock.Sleep})
		c.options.Dial = c.demo.DialContext
		return nil
	}
	var err error
	c.options.Proxy, c.options.ProxyFrom, err = a.proxy(s, node, c.node.URL)
	if via := c.options.Proxy; via != nil && c.node.URL.Scheme == "http" && !strings.HasPrefix(via.Scheme, "socks") {
		c.node.Proxy = transport.ShowProxy(via)
	}
	return err
}
