package cmd

import (
	"slices"
	"strings"

	"ferry/pkg/report"
	"ferry/pkg/retry"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

// addCompletions says what the flags of all commands take. A shell asks for it; a command that runs does without.
func (a *app) addCompletions(root *cobra.Command) {
	all := tree(root)
	add := func(flag string, complete cobra.CompletionFunc) {
		for _, c := range all {
			if _, has := c.GetFlagCompletionFunc(flag); c.Flags().Lookup(flag) != nil && !has {
				_ = c.RegisterFlagCompletionFunc(flag, complete)
			}
		}
	}
	fixed := func(words ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	}
	add("node", a.completeNodes)
	add("reference", a.completeNodes)
	add("api", fixed(words(wire.APIs())...))
	add("retry-policy", fixed(words(retry.Policies())...))
	add("output", fixed("text", "json", "raw"))
	add("pick", fixed("order", "fastest"))
	add("http3", fixed("true", "false", "only"))
	add("lang", fixed(report.Languages()...))
	all = slices.DeleteFunc(all, func(c *cobra.Command) bool { return c.Name() == "add" }) // whose node is not there yet
	add("model", a.completeModels)
}

// completeNodes offers the names of the nodes to a shell, behind a comma too. A broken file offers nothing: a shell has
// no place for its error.
func (a *app) completeNodes(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	file, err := a.loadFile()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := a.nodeNames(file)
	before := word[:strings.LastIndexByte(word, ',')+1]
	for i := range names {
		names[i] = before + names[i]
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = string(item)
	}
	return out
}
