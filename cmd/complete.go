package cmd

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"ferry/pkg/report"
	"ferry/pkg/retry"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

func newCompletionCmd(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:    "completion bash|zsh|fish|powershell",
		Short:  "Print the completion script of a shell",
		Hidden: true, DisableFlagsInUseLine: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && slices.Contains(shells, args[0]) {
				return nil
			}
			return usagef("ferry completion shows how to install it", "ferry completion needs one shell: %s", strings.Join(shells, ", "))
		},
		ValidArgsFunction: completeArgs(1, func() []string { return shells }),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			generate := map[string]func(io.Writer) error{
				"bash":       func(w io.Writer) error { return c.Root().GenBashCompletionV2(w, true) },
				"zsh":        c.Root().GenZshCompletion,
				"fish":       func(w io.Writer) error { return c.Root().GenFishCompletion(w, true) },
				"powershell": c.Root().GenPowerShellCompletionWithDesc,
			}[args[0]]
			var script bytes.Buffer
			if err := generate(&script); err != nil {
				return err
			}
			return a.write(script.Bytes())
		},
	}
}

// addCompletions registers the completions of all flags. Only a shell needs them; a command that runs skips this.
func (a *app) addCompletions(root *cobra.Command) {
	all := tree(root)
	add := func(flag string, complete cobra.CompletionFunc) {
		for _, c := range all {
			if _, has := c.GetFlagCompletionFunc(flag); c.Flags().Lookup(flag) != nil && !has {
				_ = c.RegisterFlagCompletionFunc(flag, complete)
			}
		}
	}
	add("node", a.completeNodes)
	add("reference", a.completeNodes)
	add("api", fixed(wire.APIs()...))
	add("retry-policy", fixed(retry.Policies()...))
	add("output", fixed("text", "json", "raw"))
	add("pick", fixed("order", "fastest"))
	add("http3", fixed("true", "false", "only"))
	add("lang", fixed(report.Languages...))
	all = slices.DeleteFunc(all, func(c *cobra.Command) bool { return c.Name() == "add" }) // its node does not exist yet
	add("model", a.completeModels)
}

// completeNodes offers node names to a shell, also after a comma.
func (a *app) completeNodes(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	names := namesOf(a.loadFile, a.nodeNames)()
	before := word[:strings.LastIndexByte(word, ',')+1]
	for i := range names {
		names[i] = before + names[i]
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// fixed completes a flag with these words.
func fixed[T ~string](words ...T) cobra.CompletionFunc {
	names := mapSlice(words, func(word T) string { return string(word) })
	return cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)
}
