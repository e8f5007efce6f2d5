package cmd

import (
	"cmp"
	"context"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/term"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

func newConfigCmd(a *app) *cobra.Command {
	return a.group("config", "Manage the configuration file, its nodes and their keys",
		newConfigInitCmd(a), newConfigListCmd(a), newConfigGetCmd(a), newConfigSetCmd(a), newConfigUnsetCmd(a),
		newConfigPathCmd(a), newConfigNodesCmd(a), newConfigAddCmd(a), newConfigCheckCmd(a), newConfigModelsCmd(a), newConfigKeyCmd(a),
		newConfigPinCmd(a), newConfigSessionCmd(a), newConfigHoldCmd(a), newConfigUsageCmd(a), newConfigPurgeCmd(a),
		newConfigNginxCmd(a), newConfigTokenCmd(a),
	)
}

func (e Env) configPath() (string, error) { return config.Path(runtime.GOOS, e.Lookup) }

// fileSettings returns the settings without flags.
func (a *app) fileSettings() (*settings, error) { return a.settings(nodeOptions{}) }

func newConfigInitCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented file to start from; never overwrite one",
		Args:  noArgs,
		RunE: withLoaded(a.configPath, func(_ context.Context, path string, _ []string) error {
			if err := config.Init(path); err != nil {
				return err
			}
			a.note("wrote %s; it changes nothing until you uncomment something", path)
			return nil
		}),
	}
}

func newConfigPathCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Print the path of the file",
		Args:  noArgs,
		RunE: withLoaded(a.configPath, func(_ context.Context, path string, _ []string) error {
			var named error
			if a.Lookup.Get("FERRY_CONFIG") != "" {
				named = config.CheckNamed(path)
			}
			if _, err := os.Stat(path); err != nil && named == nil {
				a.note("there is no file there yet; ferry config init writes one")
			}
			return cmp.Or(a.write([]byte(path+"\n")), named)
		}),
	}
}

func newConfigListCmd(a *app) *cobra.Command {
	list := func(s *settings, form string) error {
		return listing[config.Entry]{
			name: "settings", heading: []string{"setting", "value", "from"}, keep: 1,
			row: func(e config.Entry) []string { return []string{e.Key, e.Value, e.Origin} },
		}.show(a, form, s.list())
	}
	return listCmd("list", "List all effective settings and where each comes from", a.fileSettings, list)
}

// table prints rows. On a terminal it fits them to the width and never cuts the first keep columns; in a pipe it cuts
// nothing.
func (a *app) table(lay func([][]string, int, int, term.Style) string, rows [][]string, keep int) error {
	width, heading := math.MaxInt, term.Style{}
	if a.out.TTY {
		width, heading = a.out.Width, a.outStyles().Strong
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = text.Line(cell)
		}
	}
	return a.write([]byte(lay(rows, width, keep, heading)))
}

func newConfigGetCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "get KEY",
		Short:             "Print an effective setting, such as retry.attempts or nodes.hongkong.url",
		Args:              requireArgs("a setting, such as retry.attempts", 1),
		ValidArgsFunction: completeArgs(1, namesOf(a.fileSettings, (*settings).keyNames)),
		RunE: withLoaded(a.fileSettings, func(_ context.Context, s *settings, args []string) error {
			if err := config.CheckKey(args[0]); err != nil {
				return err
			}
			value, ok := config.Get(s.list(), args[0])
			if !ok {
				return exitSilently(exitFailed)
			}
			return a.write([]byte(value + "\n"))
		}),
	}
}

func newConfigSetCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "set KEY VALUE",
		Short:             "Set a value in the file; comments are kept",
		Args:              requireArgs("a setting and a value", 2),
		ValidArgsFunction: completeArgs(1, namesOf(a.fileSettings, (*settings).fileKeyNames)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.edit(c.Context(), func(src []byte) ([]byte, error) { return config.Set(src, args[0], args[1]) })
		},
	}
}

func newConfigUnsetCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "unset KEY",
		Short:             "Remove a setting or a node from the file; comments are kept",
		Args:              requireArgs("a setting, such as retry.attempts", 1),
		ValidArgsFunction: completeArgs(1, namesOf(a.fileSettings, (*settings).fileKeyNames)),
		RunE: func(c *cobra.Command, args []string) error {
			return a.edit(c.Context(), func(src []byte) ([]byte, error) { return config.Unset(src, args[0]) })
		},
	}
}

// edit changes the configuration file.
func (a *app) edit(ctx context.Context, change func([]byte) ([]byte, error)) error {
	path, err := a.configPath()
	if err != nil {
		return err
	}
	ctx, stop := a.Catch(ctx) // a signal leaves the file unchanged and no temporary file
	defer stop()
	return config.Save(ctx, path, change)
}

// keyNames returns the keys of all settings.
func (s *settings) keyNames() []string {
	return mapSlice(s.list(), func(e config.Entry) string { return e.Key })
}

// fileKeyNames returns the keys that the file can contain.
func (s *settings) fileKeyNames() []string {
	return slices.DeleteFunc(s.keyNames(), func(key string) bool { return !config.InFile(key) })
}

func newConfigNodesCmd(a *app) *cobra.Command {
	var all bool
	c := listCmd("nodes", "List the nodes", a.fileSettings, func(s *settings, form string) error {
		var nodes []nodeJSON
		for _, name := range s.nodeNames(s.file) {
			node, err := s.values.Select(name, s.api)
			if err != nil {
				return err
			}
			if all || node.InFile || !node.IsDemo() {
				nodes = append(nodes, s.describeNode(node))
			}
		}
		return listing[nodeJSON]{
			name: "nodes", heading: []string{"", "node", "label", "api", "address", "key", "model", "pins"},
			keep: 2, cards: true,
			row: func(n nodeJSON) []string { return n.row(len(s.values.Nodes)) },
		}.show(a, form, nodes)
	})
	c.Flags().BoolVar(&all, "all", false, "also list the built-in demo nodes")
	return c
}

// nodeJSON is a node as -o json prints it. Fields are only ever added.
type nodeJSON struct {
	Node     string `json:"node"`
	Label    string `json:"label"`
	API      string `json:"api"`
	URL      string `json:"url"`
	Key      string `json:"key"` // a reference, "" for none
	NeedsKey bool   `json:"keyed"`
	Model    string `json:"model"`
	Pins     int    `json:"pins"`
	Order    int    `json:"order"` // position in the failover order, from 1; 0 if not in it
}

func (s *settings) describeNode(node config.Node) nodeJSON {
	n := nodeJSON{
		Node: node.Name, Label: guard.HideKeys(node.Label), API: string(node.API), URL: guard.HideKeys(node.URL), Key: string(node.Key),
		NeedsKey: node.Auth.Scheme != config.AuthNone, Pins: len(node.Pins), Order: slices.Index(s.values.Nodes, node.Name) + 1,
	}
	if node.CheckModel() == nil {
		n.Model = node.Model
	}
	return n
}

// row returns a table row. Its mark is a star, or the position if the failover order has several nodes.
func (n nodeJSON) row(ordered int) []string {
	mark, key, pins := "", n.Key, ""
	if n.Order > 0 {
		mark = "*"
		if ordered > 1 {
			mark = strconv.Itoa(n.Order)
		}
	}
	if !n.NeedsKey {
		key = "none needed"
	}
	if n.Pins > 0 {
		pins = strconv.Itoa(n.Pins)
	}
	return []string{mark, n.Node, n.Label, n.API, n.URL, cmp.Or(key, "missing"), cmp.Or(n.Model, "missing"), pins}
}
