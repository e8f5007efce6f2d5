package cmd

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

// addOptions are the flags of config add.
type addOptions struct {
	config.Choice
	as, output string
}

// command returns the command that adds a node for a provider or a URL, with the flags that select it.
func (o addOptions) command(what string) string {
	words := []string{"ferry", "config", "add", what}
	for _, flag := range [][2]string{
		{"--as", o.as}, {"--api", o.API}, {"-m", o.Model}, {"--region", o.Region}, {"--resource", o.Resource}, {"--deployment", o.Deployment},
	} {
		if flag[1] != "" {
			words = append(words, flag[:]...)
		}
	}
	return guard.HideKeys(text.ShellWords(words))
}

func newConfigAddCmd(a *app) *cobra.Command {
	var o addOptions
	c := &cobra.Command{
		Use:   "add [PROVIDER|URL]",
		Short: "Add a node for a known provider or a URL; without arguments, list the providers",
		Args:  atMostOne("provider or URL"),
		ValidArgsFunction: completeArgs(1, func() []string {
			return mapSlice(config.Providers(), func(p config.Provider) string { return p.Name })
		}),
		RunE: withLoaded(a.fileSettings, func(ctx context.Context, s *settings, args []string) error {
			if len(args) == 0 {
				return s.listProviders(o.output)
			}
			if strings.Contains(args[0], "://") {
				return runConfigAddURL(ctx, s, args[0], o)
			}
			return runConfigAdd(ctx, s, args[0], o)
		}),
	}
	f := c.Flags()
	f.StringVar(&o.as, "as", "", "`NAME` of the node, instead of the provider's name")
	f.StringVar(&o.API, "api", "", "`API` to use: messages or chat, if the provider has both; for a URL also complete")
	f.StringVarP(&o.Model, "model", "m", "", "`MODEL` to use (default a cheap one)")
	f.StringVar(&o.Region, "region", "", "`REGION` of bedrock; intl for the addresses of qwen, kimi and glm outside China")
	f.StringVar(&o.Resource, "resource", "", "`NAME` of the resource in azure")
	f.StringVar(&o.Deployment, "deployment", "", "`NAME` of the deployment in azure")
	formatFlag(c, &o.output)
	return c
}

// noteProvider notes that a node comes from the list of providers and is not in the file.
func (s *settings) noteProvider(node config.Node) {
	key := "without a key"
	if variable, ok := strings.CutPrefix(string(node.Key), "env:"); ok {
		key = "with the key in " + variable
	}
	s.note("%s is not in the file: using %s %s; ferry config add %[1]s adds it", node.Name, node.URL, key)
}

// providerJSON is a provider as config add lists it.
type providerJSON struct {
	Name     string `json:"name"`
	Vendor   string `json:"vendor"`
	Chat     string `json:"chat,omitempty"`
	Messages string `json:"messages,omitempty"`
	Variable string `json:"variable,omitempty"`
	IsSet    bool   `json:"is_set"`
	InFile   bool   `json:"in_file"`
	Model    string `json:"model,omitempty"`

	apis  []string
	local bool
}

// listProviders prints the providers that can be added.
func (s *settings) listProviders(form string) error {
	var all []providerJSON
	for _, p := range config.Providers() {
		all = append(all, providerJSON{
			Name: p.Name, Vendor: p.Vendor, Chat: p.Chat, Messages: p.Messages, Variable: p.Variable, Model: p.Model,
			IsSet: s.Lookup.Get(p.Variable) != "", InFile: slices.Contains(s.file.Nodes, p.Name), apis: p.APIs(), local: p.Local,
		})
	}
	l := listing[providerJSON]{
		name: "providers", heading: []string{"", "provider", "key", "api", "model"}, keep: 4, row: providerJSON.row,
	}
	if err := l.show(s.app, form, all); err != nil || form == "json" {
		return err
	}
	s.note("%s its variable is set; * the file has a node of this name; both: chat, and messages with --api", client.Good)
	return nil
}

func (p providerJSON) row() []string {
	mark, key, api := "", cmp.Or(p.Variable, "asked for"), p.apis[0]
	switch {
	case p.InFile:
		mark = "*"
	case p.IsSet:
		mark = string(client.Good)
	}
	if p.local {
		key = "none"
	}
	if len(p.apis) > 1 {
		api = "both"
	}
	return []string{mark, p.Name, key, api, p.Model}
}

// runConfigAdd adds a node for a provider and checks it.
func runConfigAdd(ctx context.Context, s *settings, name string, o addOptions) error {
	provider, err := config.FindProvider(name)
	if err != nil {
		return err
	}
	fields, err := provider.Fields(o.Choice, s.Lookup)
	if err != nil {
		return err
	}
	node := cmp.Or(o.as, provider.Name)
	if err := s.checkNew(node, provider.Name, o); err != nil {
		return err
	}
	if !provider.Local && s.Lookup.Get(provider.Variable) == "" {
		if provider.Variable != "" && !s.asksOnTerminal() {
			return usagef(text.SetVariable(provider.Variable, "…")+"\nor run it on a terminal, where it asks for the key",
				"no key for %s: %s is not set", provider.Name, provider.Variable)
		}
		fields = slices.DeleteFunc(fields, func(e config.Entry) bool { return e.Key == "key" })
		secret, err := s.newKey(node, o.command(provider.Name))
		if err != nil {
			return err
		}
		if fields, err = s.withKey(ctx, node, fields, secret); err != nil {
			return err
		}
	}
	return s.addNode(ctx, node, fields)
}

// runConfigAddURL adds a node for a URL. It detects the API if it is not given.
func runConfigAddURL(ctx context.Context, s *settings, address string, o addOptions) error {
	if other := o.Region + o.Resource + o.Deployment; other != "" {
		return usagef("use them only with ferry config add PROVIDER", "--region, --resource and --deployment do not apply to a URL")
	}
	at, err := s.values.Select(address, cmp.Or(o.API, string(wire.APIOf(address))))
	if err != nil {
		return err
	}
	name := cmp.Or(o.as, hostLabel(at))
	if name == "" {
		o.as = "NAME"
		return usagef(o.command(address), "no name for the node can be made from the address")
	}
	if err := s.checkNew(name, address, o); err != nil {
		return err
	}
	secret, found, err := s.findAPI(ctx, name, o.command(address), at, o.API != "" || wire.APIOf(address) != "")
	if err != nil {
		return err
	}
	fields := []config.Entry{{Key: "url", Value: found.URL.String()}, {Key: "api", Value: string(found.API)}}
	if o.Model != "" {
		fields = append(fields, config.Entry{Key: "model", Value: o.Model})
	}
	if secret.IsZero() {
		return s.addNode(ctx, name, append(fields, config.Entry{Key: "auth", Value: config.AuthNone}))
	}
	if found.API == wire.Messages && found.Auth.Scheme == config.AuthBearer {
		fields = append(fields, config.Entry{Key: "auth", Value: config.AuthBearer})
	}
	if fields, err = s.withKey(ctx, name, fields, secret); err != nil {
		return err
	}
	return s.addNode(ctx, name, fields)
}

// hostLabel returns a node name for an address: the first label of its host other than api and www, "" if there is
// none.
func hostLabel(node config.Node) string {
	at, err := node.Address()
	if err != nil || net.ParseIP(at.Hostname()) != nil {
		return ""
	}
	labels := strings.Split(at.Hostname(), ".")
	for _, label := range labels[:max(1, len(labels)-1)] {
		if label != "api" && label != "www" {
			return label
		}
	}
	return ""
}

// findAPI detects the API of an address unless it is known, and asks for the key. Over TLS it always asks, because some
// servers check the key last; over plain HTTP only if the server needs a key. It sends no key before. add is the
// command for a hint.
func (s *settings) findAPI(ctx context.Context, name, add string, at config.Node, known bool) (guard.Secret, *client.Found, error) {
	var secret guard.Secret
	at.Name, at.Key, at.Auth = name, "", config.Auth{Scheme: config.AuthNone}
	e, err := s.newEndpoint(ctx, at, endpointOptions{listOnly: true})
	if err != nil {
		return secret, nil, err
	}
	defer e.close()
	find := func() (*client.Found, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, &client.DeadlineError{Timeout: checkTimeout})
		defer cancel()
		env, target := s.clientEnv(), e.Endpoint
		if known {
			return &client.Found{API: at.API, URL: e.URL, Open: secret.IsZero() && env.IsOpen(ctx, target)}, nil
		}
		if target.URL, err = url.Parse(at.URL); err != nil { // keeps a final /v1, which only some dialects append
			return nil, err
		}
		return env.FindAPI(ctx, target, secret)
	}
	found, err := find()
	switch {
	case err != nil && !errors.Is(err, client.ErrUndecided):
		return secret, nil, err
	case err == nil && found.Open && found.URL.Scheme == "http":
	default:
		if secret, err = s.newKey(name, add); err == nil {
			found, err = find()
		}
	}
	if err == nil {
		s.noteAPI(name, found)
	}
	return secret, found, err
}

// noteAPI notes which API was found, and how to use another dialect of the server.
func (s *settings) noteAPI(name string, found *client.Found) {
	also := ""
	for _, other := range found.Others {
		also += "; it speaks " + string(other) + " too: --api " + string(other)
	}
	s.note("%s speaks %s at %s%s", name, found.API, client.WithoutQuery(found.URL), also)
}

// checkNew returns an error if a node already has this name, or if it is not a valid name.
func (s *settings) checkNew(node, what string, o addOptions) error {
	if slices.Contains(s.file.Nodes, node) {
		o.as = "NAME"
		return usagef(o.command(what)+" adds another one; ferry config unset nodes."+node+" removes the old one",
			"there is a node %s in %s already", node, s.file.Path)
	}
	if strings.Contains(node, ".") || config.CheckKey("nodes."+node+".url") != nil { // a dot would name another node
		return invalid("as", node, "a name of letters, digits, - and _, other than demo")
	}
	return nil
}

// asksOnTerminal reports whether ferry can ask for a key on a terminal.
func (a *app) asksOnTerminal() bool { return term.FactsOf(a.Stdin, false).TTY }

// newKey asks for a node's key on a terminal, or reads it from a pipe.
func (s *settings) newKey(node, add string) (guard.Secret, error) {
	secret, err := s.readKey(node)
	if err != nil && !s.asksOnTerminal() {
		err = text.WithHint(err, "pipe the key in, as in pass show "+node+" | "+add+", or run it on a terminal, where it asks for it")
	}
	s.masker.AddSecret(secret)
	return secret, err
}

// withKey stores a key and adds the reference to it to fields.
func (s *settings) withKey(ctx context.Context, node string, fields []config.Entry, secret guard.Secret) ([]config.Entry, error) {
	path, err := s.configPath()
	if err != nil {
		return nil, err
	}
	ref, err := s.storeKey(ctx, path, node, secret)
	return append(fields, config.Entry{Key: "key", Value: ref}), err
}

// addNode writes a node's fields to the file, chooses a model if they have none, and checks the node.
func (s *settings) addNode(ctx context.Context, node string, fields []config.Entry) error {
	set := func(fields ...config.Entry) (*settings, error) {
		if err := s.setFields(ctx, node, fields...); err != nil {
			return nil, err
		}
		return s.fileSettings()
	}
	added, err := set(fields...)
	if err != nil {
		return err
	}
	s.note("node %s is in %s", node, added.file.Path)
	if !slices.ContainsFunc(fields, func(e config.Entry) bool { return e.Key == "model" }) {
		if model := added.chooseModel(ctx, node); model != "" {
			if added, err = set(config.Entry{Key: "model", Value: model}); err != nil {
				return err
			}
		}
	}
	if err := runConfigCheck(ctx, added, []string{node}, checkOptions{timeout: checkTimeout, added: true}); err != nil {
		return err
	}
	model := ""
	if asked, err := added.values.Select(node, added.api); err == nil && asked.CheckModel() != nil {
		model = " -m MODEL"
	}
	s.note("ferry ask -n %s%s hi sends it a prompt; ferry config set node %[1]s makes it the default", node, model)
	return nil
}

// maxAutoModels is the length of the longest model list from which ferry chooses; from a longer one the user has to
// choose.
const maxAutoModels = 20

// chooseModel returns a model from the node's list, or "" if the user has to choose or the list has the node's default.
func (s *settings) chooseModel(ctx context.Context, name string) string {
	node, err := s.values.Select(name, s.api)
	if err != nil {
		return ""
	}
	probe, err := s.probeModels(ctx, node, checkTimeout)
	if err != nil {
		return "" // the check reports it
	}
	ids := slices.DeleteFunc(probe.ModelIDs, func(id string) bool { // the file accepts neither odd characters nor a key
		return strings.Contains(strings.ToLower(id), "embed") || !completable(id) || s.masker.String(id) != id
	})
	switch {
	case len(ids) == 0, slices.Contains(ids, node.Model):
		return ""
	case probe.Models > maxAutoModels:
		s.note("it lists %d models (ferry config models %s); ferry config set nodes.%[2]s.model NAME chooses one", probe.Models, name)
		return ""
	}
	s.note("its model is %s, the first of %d that it lists; ferry config set nodes.%s.model NAME chooses another", ids[0], probe.Models, name)
	return ids[0]
}
