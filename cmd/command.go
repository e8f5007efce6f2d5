package cmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/term"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group returns a command that only has subcommands.
func (a *app) group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use + " COMMAND", Short: short,
		Args: a.onlyCommands,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(children...)
	return c
}

// isGroup reports whether a command only has subcommands. The root is one.
func isGroup(c *cobra.Command) bool { return strings.HasSuffix(c.Use, " COMMAND") }

// tree returns a command and all commands below it.
func tree(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, child := range c.Commands() {
		all = append(all, tree(child)...)
	}
	return all
}

// mapSlice returns the result of f for each element of a list; nil for none.
func mapSlice[T, U any](list []T, f func(T) U) []U {
	var out []U
	for _, one := range list {
		out = append(out, f(one))
	}
	return out
}

// onlyCommands rejects an argument that names no subcommand of c.
func (a *app) onlyCommands(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return a.unknownCommand(c, args)
}

// noArgs rejects any argument.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef(c.CommandPath()+" --help shows its arguments", "%s takes no arguments, but %q was given", c.CommandPath(), args[0])
}

// atMostOne accepts one argument or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usagef(c.CommandPath()+" --help shows its arguments", "%s takes only one %s; %q is too many", c.CommandPath(), what, args[1])
	}
}

// requireArgs is cobra.ExactArgs with a message that names what is missing.
func requireArgs(what string, n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usagef(c.CommandPath()+" --help shows an example", "%s needs %s", c.CommandPath(), what)
	}
}

// requireAtLeastOne is cobra.MinimumNArgs(1) with a message that names what is missing, and the command that lists it.
func requireAtLeastOne(what, lists string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return usagef(lists+" shows them", "%s needs %s", c.CommandPath(), what)
	}
}

// withLoaded loads what a command needs, such as the settings or the store of conversations, and then runs the command.
func withLoaded[T any](
	load func() (T, error), run func(ctx context.Context, on T, args []string) error,
) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		on, err := load()
		if err != nil {
			return err
		}
		return run(c.Context(), on, args)
	}
}

// completeArgs completes the first maxArgs arguments of a command with names that are not among them yet.
func completeArgs(maxArgs int, names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var offered []string
		if len(args) < maxArgs {
			offered = names()
		}
		given := func(name string) bool { return slices.Contains(args, name) }
		return slices.DeleteFunc(offered, given), cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf returns a function that loads what a command needs and returns its names. It drops an error, which a shell
// cannot show.
func namesOf[T any](load func() (T, error), names func(on T) []string) func() []string {
	return func() []string {
		on, err := load()
		if err != nil {
			return nil
		}
		return names(on)
	}
}

// listCmd returns a command without arguments that loads something and lists it in the form of -o.
func listCmd[T any](use, short string, load func() (T, error), list func(on T, form string) error) *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: use, Short: short,
		Args: noArgs,
		RunE: withLoaded(load, func(_ context.Context, on T, _ []string) error { return list(on, form) }),
	}
	formatFlag(c, &form)
	return c
}

// checkedFlag parses and validates its value at once. The error for an invalid value says what to use.
type checkedFlag[T any] struct {
	to              *T
	name, text, use string
	read            func(text string) (T, bool)
}

func (v *checkedFlag[T]) String() string { return v.text }

// Type names the argument in help if the usage text does not.
func (v *checkedFlag[T]) Type() string {
	return strings.ToUpper(strings.TrimPrefix(fmt.Sprintf("%T", *v.to), "time."))
}

func (v *checkedFlag[T]) Set(text string) error {
	value, ok := v.read(text)
	if !ok {
		return invalid(v.name, text, v.use)
	}
	*v.to, v.text = value, text
	return nil
}

// checkedVar declares a flag. read parses a value and reports whether it is valid. The default is *to, which help shows
// as text.
func checkedVar[T any](f *pflag.FlagSet, to *T, name, short, text, usage, use string, read func(string) (T, bool)) {
	f.VarP(&checkedFlag[T]{to, name, text, use, read}, name, short, usage)
}

// intFlag declares a flag for a whole number between two bounds.
func intFlag[N int | int64 | uint64](f *pflag.FlagSet, to *N, name, short string, value, low, high N, usage string) {
	*to = value
	use := fmt.Sprintf("a whole number from %d to %d", low, high)
	checkedVar(f, to, name, short, fmt.Sprint(value), usage, use, between(low, high))
}

// between returns a parser for a whole number between two bounds.
func between[N int | int64 | uint64](low, high N) func(text string) (N, bool) {
	return func(text string) (N, bool) {
		n, err := strconv.ParseInt(text, 0, 64)
		return N(n), err == nil && n >= int64(low) && n <= int64(high)
	}
}

// maxDuration is the longest duration that a flag accepts.
const maxDuration = 24 * time.Hour

// durationFlag declares a flag for a duration between two bounds.
func durationFlag(f *pflag.FlagSet, to *time.Duration, name, short string, value, low, high time.Duration, usage, use string) {
	text := ""
	if *to = value; value > 0 {
		text = value.String()
	}
	checkedVar(f, to, name, short, text, usage, use, func(text string) (time.Duration, bool) {
		d, err := time.ParseDuration(text)
		return d, err == nil && d >= low && d <= high
	})
}

// choiceFlag declares a flag whose value is one of several words. The first word is the default.
func choiceFlag(c *cobra.Command, to *string, name, short, usage string, words ...string) {
	*to = words[0]
	known := func(text string) (string, bool) { return text, slices.Contains(words, text) }
	checkedVar(c.Flags(), to, name, short, words[0], usage, "one of "+strings.Join(words, ", "), known)
	_ = c.RegisterFlagCompletionFunc(name, fixed(words...))
}

// formatFlag declares -o for a command that lists something.
func formatFlag(c *cobra.Command, to *string) {
	choiceFlag(c, to, "output", "o", "output `FORMAT`: text or json", "text", "json")
}

// listing describes how a command prints a list: as a JSON object with the list under a name, or as a table.
type listing[T any] struct {
	name    string
	none    string // noted instead of a table without rows
	heading []string
	keep    int  // how many columns are never cut
	cards   bool // stack the columns if the terminal is too narrow
	row     func(T) []string
}

func (l listing[T]) show(a *app, form string, all []T) error {
	switch {
	case form == "json":
		return printList(a, l.name, all)
	case len(all) == 0:
		if l.none != "" {
			a.note("%s", l.none)
		}
		return nil
	}
	rows := append([][]string{l.heading}, mapSlice(all, l.row)...)
	lay := term.Table
	if l.cards {
		lay = term.TableOrCards
	}
	return a.table(lay, rows, l.keep)
}

// printList prints a list as a JSON object, under a name.
func printList[T any](a *app, name string, list []T) error {
	return a.printJSON(map[string]any{"schema": 1, name: append([]T{}, list...)}) // [] instead of null
}
