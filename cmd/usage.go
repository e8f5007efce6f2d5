package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpText is a help page: what a command does, how it is called, examples, its commands, flags and topics. Texts of
// flags wrap at the width.
func helpText(c *cobra.Command, width int) string {
	var b strings.Builder
	section := func(title, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			b.WriteString(title + text + "\n")
		}
	}
	about := c.Long
	if about == "" {
		about = c.Short
	}
	section("", about)
	if !c.Runnable() {
		return b.String() // a topic
	}
	section("Usage:\n", usageLines(c))
	section("Examples:\n", c.Example)
	section("Commands:\n", listed(c.Commands(), (*cobra.Command).IsAvailableCommand, ""))
	section("Flags:\n", c.LocalFlags().FlagUsagesWrapped(width))
	section("Topics:\n", listed(c.Commands(), (*cobra.Command).IsAdditionalHelpTopicCommand, "help "))
	if c.HasAvailableSubCommands() {
		section("", c.CommandPath()+" COMMAND --help says more about one.")
	}
	return b.String()
}

func usageLines(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return "  " + c.CommandPath() + " COMMAND [flags]"
	}
	return "  " + c.UseLine()
}

// listed lists the commands that belong, each with its short text.
func listed(all []*cobra.Command, belongs func(*cobra.Command) bool, before string) string {
	var b strings.Builder
	for _, c := range all {
		if belongs(c) {
			fmt.Fprintf(&b, "  %-18s %s\n", before+c.Name(), c.Short)
		}
	}
	return b.String()
}
