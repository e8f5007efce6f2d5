package cmd

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/term"

	"github.com/spf13/cobra"
)

// addOptions are the flags of config add.
type addOptions struct {
	config.Choice
	as, output string
}

func newConfigAddCmd(a *app) *cobra.Command {
	var o addOptions
	c := &cobra.Command{
		Use:   "add [PROVIDER]",
		Short: "Add a node for a provider that ferry knows; alone, list them",
		Long: `add writes a node with all that a provider needs: its address, API, model, and the variable of its key. Where that
variable is not set, it asks for the key and keeps it as config key does. Then it checks the node, which costs nothing.
Without a name it lists the providers, and marks those whose variable is set.`,
		Example: `  ferry config add
  ferry config add qwen
  ferry config add deepseek --as ds
  ferry config add kimi --api messages
  ferry config add glm --region intl
  ferry config add bedrock --region us-east-1
  ferry config add azure --resource NAME --deployment claude-haiku-5-5`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: offer(1, func() ([]string, error) {
			var names []string
			for _, p := range config.Providers() {
				names = append(names, p.Name)
			}
			return names, nil
		}),
		RunE: with(a.fileSettings, func(ctx context.Context, s *settings, args []string) error {
			if len(args) == 0 {
				return s.listProviders(o.output)
			}
			return runConfigAdd(ctx, s, args[0], o)
		}),
	}
	f := c.Flags()
	f.StringVar(&o.as, "as", "", "the `NAME` of the node, in place of the provider's")
	f.StringVar(&o.API, "api", "", "the `API`, messages or chat, where the provider has both")
	f.StringVarP(&o.Model, "model", "m", "", "the `MODEL`, in place of a cheap one")
	f.StringVar(&o.Region, "region", "", "the `REGION` of bedrock; intl for the addresses of qwen, kimi and glm outside China")
	f.StringVar(&o.Resource, "resource", "", "the `NAME` of the resource in azure")
	f.StringVar(&o.Deployment, "deployment", "", "the `NAME` of the deployment in azure")
	oneOf(c, &o.output, "output", "o", "`FORM` of the list: text or json", "text", "json")
	return c
}

// introduce tells that a node is a provider's, and not of the file.
func (s *settings) introduce(node config.Node) {
	key := "without a key"
	if variable, ok := strings.CutPrefix(node.Key.String(), "env:"); ok {
		key = "with the key in " + variable
	}
	s.note("%s is not in the file: asking %s %s; ferry config add %[1]s keeps it there", node.Name, node.URL, key)
}

// shownProvider is a provider as the list has it.
type shownProvider struct {
	Name     string `json:"name"`
	Vendor   string `json:"vendor"`
	Chat     string `json:"chat,omitempty"`
	Messages string `json:"messages,omitempty"`
	Variable string `json:"variable,omitempty"`
	IsSet    bool   `json:"is_set"`
	InFile   bool   `json:"in_file"`
	Model    string `json:"model,omitempty"`
}

// listProviders prints what can be added.
func (s *settings) listProviders(form string) error {
	rows := [][]string{{"", "provider", "key", "api", "model"}}
	var all []shownProvider
	for _, p := range config.Providers() {
		shown := shownProvider{Name: p.Name, Vendor: p.Vendor, Chat: p.Chat, Messages: p.Messages, Variable: p.Variable, Model: p.Model,
			IsSet: s.Lookup.Get(p.Variable) != "", InFile: slices.Contains(s.file.Nodes, p.Name)}
		all = append(all, shown)
		mark, key := "", cmp.Or(p.Variable, "asked for")
		switch {
		case shown.InFile:
			mark = "*"
		case shown.IsSet:
			mark = string(client.Good)
		}
		if p.Local {
			key = "none"
		}
		rows = append(rows, []string{mark, p.Name, key, strings.Join(p.APIs(), " "), p.Model})
	}
	if form == "json" {
		return s.printJSON(struct {
			Schema    int             `json:"schema"`
			Providers []shownProvider `json:"providers"`
		}{1, all})
	}
	if err := s.table(rows, 3); err != nil {
		return err
	}
	s.note("%s its variable is set; * the file has a node of this name", client.Good)
	return nil
}

// runConfigAdd adds a node for a provider, and checks it.
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
	if err := s.isNew(node, "ferry config add "+provider.Name); err != nil {
		return err
	}
	if !provider.Local && s.Lookup.Get(provider.Variable) == "" {
		if fields, err = s.askKey(ctx, provider, node, fields); err != nil {
			return err
		}
	}
	return s.addNode(ctx, node, fields)
}

// isNew refuses a name that a node has already, or that none can have.
func (s *settings) isNew(node, add string) error {
	if slices.Contains(s.file.Nodes, node) {
		return usagef(add+" --as NAME adds another one; ferry config unset nodes."+node+" takes the old one out",
			"there is a node %s in %s already", node, s.file.Path)
	}
	if config.CheckKey("nodes."+node+".url") != nil {
		return invalid("as", node, "a name of letters, digits, - and _, other than demo")
	}
	return nil
}

// askKey asks for the key of a provider whose variable is not set, and stores it.
func (s *settings) askKey(ctx context.Context, p config.Provider, node string, fields []config.Entry) ([]config.Entry, error) {
	if p.Variable != "" && !term.Look(s.Stdin, term.Preferences{}).TTY {
		return nil, usagef("export "+p.Variable+"=…\nor run it on a terminal, where it asks for the key", "no key for %s: %s is not set", p.Name, p.Variable)
	}
	path, err := s.configPath()
	if err != nil {
		return nil, err
	}
	secret, err := s.readKey(node)
	if err != nil {
		return nil, err
	}
	s.masker.AddSecret(secret)
	ref, err := s.storeKey(ctx, path, node, secret)
	fields = slices.DeleteFunc(fields, func(e config.Entry) bool { return e.Key == "key" })
	return append(fields, config.Entry{Key: "key", Value: ref}), err
}

// addNode writes a node's fields into the file, chooses a model where none is among them, and checks the node.
func (s *settings) addNode(ctx context.Context, node string, fields []config.Entry) error {
	set := func(fields ...config.Entry) error {
		return s.edit(ctx, func(src []byte) ([]byte, error) {
			var err error
			for _, field := range fields {
				if src, err = config.Set(src, "nodes."+node+"."+field.Key, field.Value); err != nil {
					break
				}
			}
			return src, err
		})
	}
	if err := set(fields...); err != nil {
		return err
	}
	added, err := s.fileSettings()
	if err != nil {
		return err
	}
	s.note("node %s is in %s", node, added.file.Path)
	if !slices.ContainsFunc(fields, func(e config.Entry) bool { return e.Key == "model" }) {
		if model := added.chooseModel(ctx, node); model != "" {
			if err := set(config.Entry{Key: "model", Value: model}); err != nil {
				return err
			}
			if added, err = s.fileSettings(); err != nil {
				return err
			}
		}
	}
	if err := runConfigCheck(ctx, added, []string{node}, checkOptions{timeout: checkTimeout}); err != nil {
		return err
	}
	s.note("ferry ask -n %s hi asks it; ferry config set node %[1]s asks it always", node)
	return nil
}

// mostChosen is how many models a server of few models has: of more than that the user has to choose.
const mostChosen = 20

// chooseModel gives a model of the node's own list, "" where the user has to choose, or where its default is there.
func (s *settings) chooseModel(ctx context.Context, name string) string {
	node, err := s.selectNode(name)
	if err != nil {
		return ""
	}
	e, err := s.endpoint(ctx, node, endpointOptions{lists: true})
	if err != nil {
		return "" // the check says it
	}
	defer e.close()
	env := s.clientEnv()
	call := client.Call{Timeout: checkTimeout, Deadline: s.Clock.Now().Add(checkTimeout)}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	probe, err := env.Probe(ctx, call.To(&e.Endpoint))
	ids := slices.DeleteFunc(probe.ModelIDs, func(id string) bool { return strings.Contains(strings.ToLower(id), "embed") })
	switch {
	case err != nil, len(ids) == 0, slices.Contains(ids, node.Model):
		return ""
	case probe.Models > mostChosen:
		s.note("it lists %d models; ferry config set nodes.%s.model NAME chooses one", probe.Models, name)
		return ""
	}
	s.note("its model is %s, the first of %d that it lists; ferry config set nodes.%s.model NAME chooses another", ids[0], probe.Models, name)
	return ids[0]
}
