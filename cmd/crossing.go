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
	"ferry/pkg/retry"
	"ferry/pkg/transport"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// crossingOptions are the flags that say how to reach a node; they mean the same in every command.
type crossingOptions struct {
	api   string
	flags map[string]string
}

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
	// dir is the folder of the configuration file.
	dir string
}

func (c *crossing) close() {
	if idle, ok := c.client.Transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
	if c.demo != nil {
		_ = c.demo.Close()
	}
}

// settings are the file and the values in force.
type settings struct {
	file   *config.File
	values *config.Values
	api    string
}

// shorthands are the one-letter flags of settings.
var shorthands = map[string]string{"node": "n", "model": "m", "output": "o"}

// wanted are the words for what a flag takes.
var wanted = map[string]string{
	"node": "NODE", "model": "MODEL", "max_tokens": "N", "retry.policy": "POLICY", "retry.attempts": "N",
	"retry.delay": "DURATION", "timeout": "DURATION", "connect_timeout": "DURATION", "proxy": "URL", "output": "FORM",
}

// addSettingFlags declares the flags of settings by their keys. Names, defaults and texts are config's.
func addSettingFlags(f *pflag.FlagSet, keys ...string) {
	for _, s := range config.Settings() {
		for _, key := range keys {
			if s.Key == key {
				f.VarP(&settingFlag{shown: s.Default, wants: wanted[key]}, s.Flag, shorthands[key], s.Usage)
			}
		}
	}
}

// settingFlag holds a setting's value as it was typed; config reads it. Given twice, the values join into a list, so
// that a second node is seen and not lost.
type settingFlag struct {
	shown, typed, wants string
	set                 bool
}

func (s *settingFlag) String() string { return s.shown }
func (s *settingFlag) Type() string   { return s.wants }

func (s *settingFlag) Set(value string) error {
	if s.set {
		value = s.typed + "," + value
	}
	s.typed, s.shown, s.set = value, value, true
	return nil
}

// changedSettings are the settings given as flags.
func changedSettings(f *pflag.FlagSet) map[string]string {
	given := map[string]string{}
	for _, s := range config.Settings() {
		if s.Flag == "" || !f.Changed(s.Flag) {
			continue
		}
		if flag, ok := f.Lookup(s.Flag).Value.(*settingFlag); ok {
			given[s.Key] = flag.typed
		}
	}
	return given
}

// addCrossingFlags declares the flags that say which node and how.
func addCrossingFlags(c *cobra.Command, a *app, o *crossingOptions) {
	f := c.Flags()
	addSettingFlags(f, "node", "model", "max_tokens", "retry.policy", "retry.attempts", "retry.delay",
		"timeout", "connect_timeout", "proxy")
	f.StringVar(&o.api, "api", "", "the `API` of a node given as a URL: messages, complete or chat")
	_ = c.RegisterFlagCompletionFunc("node", a.completeNodes)
	_ = c.RegisterFlagCompletionFunc("api", cobra.FixedCompletions(words(wire.APIs()), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("retry-policy",
		cobra.FixedCompletions(words(retry.Policies()), cobra.ShellCompDirectiveNoFileComp))
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = string(item)
	}
	return out
}

// completeNodes offers the names of the nodes to a shell. A broken file offers nothing: a shell has no place for its
// error.
func (a *app) completeNodes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	file, err := a.loadFile()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return file.Names(presets()), cobra.ShellCompDirectiveNoFileComp
}

// presets are the faults of the demo nodes that are built in, by what follows demo/ in their names.
func presets() map[string]string {
	faults := map[string]string{}
	for _, p := range demo.Presets() {
		if name, ok := strings.CutPrefix(p.Name, "demo/"); ok {
			faults[name] = p.Query
		}
	}
	return faults
}

func (a *app) loadFile() (*config.File, error) {
	path, err := config.Path(a.Lookup)
	if err != nil {
		path = "" // no HOME: there can be no file, and everything else works
	}
	return config.Load(path)
}

// settings reads the file and works out the values in force.
func (a *app) settings(o crossingOptions) (*settings, error) {
	file, err := a.loadFile()
	if err != nil {
		return nil, err
	}
	values, err := config.Resolve(file, a.Lookup, o.flags)
	if err != nil {
		return nil, err
	}
	return &settings{file, values, o.api}, nil
}

// prepare selects the node of the settings, reads its key and builds its transport. With unread the key is named and
// not read.
func (a *app) prepare(ctx context.Context, s *settings, unread bool) (*crossing, error) {
	node, err := a.selectNode(s, s.values.Node())
	if err != nil {
		return nil, err
	}
	if node.IsDemo() {
		a.note("%s is the demo node: its answers are made up here", node.Name)
	}
	return a.reach(ctx, s, node, unread)
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

// reach builds the crossing to a node.
func (a *app) reach(ctx context.Context, s *settings, node config.Node, unread bool) (*crossing, error) {
	c := &crossing{inProcess: node.IsDemo(), dir: s.file.Dir()}
	var err error
	if c.request.Model, err = s.values.Model(node); err != nil {
		return nil, err
	}
	c.request.MaxTokens = s.values.MaxTokens(node)
	if c.node, err = a.identify(ctx, s, node, unread); err != nil {
		return nil, err
	}
	if err := a.options(s, node, c); err != nil {
		return nil, err
	}
	rt, err := transport.New(c.options)
	if err != nil {
		return nil, err
	}
	c.client = a.newClient(s, rt)
	return c, nil
}

func (a *app) newClient(s *settings, rt http.RoundTripper) *client.Client {
	return &client.Client{
		Transport: rt,
		Rule: retry.Rule{
			Policy:   s.values.Policy(),
			Attempts: s.values.Attempts(),
			Delay:    s.values.Delay(),
		},
		Clock:     a.Clock,
		Timeout:   s.values.Timeout(),
		Random:    a.Random,
		Masker:    a.masker,
		UserAgent: "ferry/" + version,
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
	read, err := a.keys(s).Resolve(ctx, ref)
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
	c.options = transport.Options{
		Target:         c.node.URL,
		TLS:            transport.TLS(s.values.TLSFor(node)),
		Insecure:       node.Insecure,
		ConnectTimeout: s.values.ConnectTimeout(),
	}
	if c.inProcess {
		c.demo = demo.New(demo.Options{Now: a.Clock.Now, Sleep: a.Clock.Sleep})
		c.options.Dial = c.demo.DialContext
		return nil
	}
	var err error
	c.options.Proxy, err = a.proxy(s, node, c.node.URL)
	return err
}

// proxy chooses the proxy: what was said for the node or for all, else the environment's.
func (a *app) proxy(s *settings, node config.Node, target *url.URL) (*url.URL, error) {
	chosen := s.values.ProxyFor(node)
	var via *url.URL
	var err error
	switch chosen {
	case "none":
	case "":
		via, err = a.proxyEnv().ProxyFor(target)
	default:
		via, err = transport.ParseProxy(chosen)
	}
	if via != nil && via.User != nil {
		if password, ok := via.User.Password(); ok {
			a.masker.Add(password)
		}
	}
	return via, err
}

// proxyEnv reads the variables as curl does: the lower-case name first, and HTTP_PROXY in capitals not where a web
// server runs ferry and a client's Proxy header could have set it.
func (a *app) proxyEnv() transport.ProxyEnv {
	either := func(name string) string {
		if value := a.get(strings.ToLower(name)); value != "" {
			return value
		}
		return a.get(name)
	}
	env := transport.ProxyEnv{HTTPS: either("HTTPS_PROXY"), All: either("ALL_PROXY"), No: either("NO_PROXY")}
	env.HTTP = a.get("http_proxy")
	if env.HTTP == "" && a.get("REQUEST_METHOD") == "" {
		env.HTTP = a.get("HTTP_PROXY")
	}
	return env
}
