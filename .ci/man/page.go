package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// edition is what all pages of a run share. Without git both are "".
type edition struct{ version, day string }

func isTopic(c *cobra.Command) bool { return c.IsAdditionalHelpTopicCommand() }

func documented(c *cobra.Command) bool { return c.IsAvailableCommand() || isTopic(c) }

func section(c *cobra.Command) string {
	if isTopic(c) {
		return "7"
	}
	return "1"
}

// pageName follows git's naming: man ferry-config-key.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page returns a complete man page.
func page(c *cobra.Command, e edition) string {
	var b roff
	// The day is not escaped: mandoc does not accept an escaped hyphen in a date.
	b.line(fmt.Sprintf(`.TH "%s" %s "%s" "%s" "ferry"`, escape(strings.ToUpper(pageName(c))), section(c), e.day,
		escape(strings.TrimSpace("ferry "+e.version))))
	b.line(".nh") // a hyphenated word cannot be copied
	b.line(".SH NAME")
	b.line(escape(pageName(c)) + ` \- ` + escape(c.Short))
	if !isTopic(c) {
		b.line(".SH SYNOPSIS")
		b.synopsis(c)
	}
	b.line(".SH DESCRIPTION")
	b.text(cmp.Or(c.Long, c.Short))
	if flags := c.LocalFlags(); !isTopic(c) && flags.HasAvailableFlags() {
		b.line(".SH OPTIONS")
		flags.VisitAll(b.option)
	}
	b.children("COMMANDS", c, (*cobra.Command).IsAvailableCommand)
	b.children("TOPICS", c, isTopic)
	if c.Example != "" {
		b.line(".SH EXAMPLES")
		b.verbatim(c.Example)
	}
	b.seeAlso(c)
	return b.String()
}

func (b *roff) synopsis(c *cobra.Command) {
	rest := strings.TrimPrefix(c.UseLine(), c.CommandPath())
	b.prose(bold(c.CommandPath()) + " " + escape(strings.TrimSpace(rest)))
	if c.HasAvailableSubCommands() && !strings.HasSuffix(c.Use, "COMMAND") {
		b.line(".br")
		b.prose(bold(c.CommandPath()) + " COMMAND [flags]")
	}
}

// option adds one flag, with its default as on the help page.
func (b *roff) option(f *pflag.Flag) {
	if f.Hidden {
		return
	}
	names := bold("--" + f.Name)
	if f.Shorthand != "" {
		names = bold("-"+f.Shorthand) + ", " + names
	}
	value, usage := pflag.UnquoteUsage(f)
	if value != "" {
		names += " " + italic(value)
	}
	if none := []string{"", "0", "0s", "false", "[]"}; !slices.Contains(none, f.DefValue) {
		usage += fmt.Sprintf(" (default %s)", f.DefValue)
	}
	b.entry(names, usage)
}

// children lists the pages below a command for which belongs returns true.
func (b *roff) children(title string, c *cobra.Command, belongs func(*cobra.Command) bool) {
	heading := ".SH " + title + "\n"
	for _, child := range c.Commands() {
		if belongs(child) {
			b.WriteString(heading)
			b.entry(reference(child), child.Short)
			heading = ""
		}
	}
}

// seeAlso lists the pages above and beside a page. The pages below it have their own list.
func (b *roff) seeAlso(c *cobra.Command) {
	if !c.HasParent() {
		return
	}
	pages := []string{reference(c.Parent())}
	for _, beside := range c.Parent().Commands() {
		if beside != c && documented(beside) {
			pages = append(pages, reference(beside))
		}
	}
	b.line(".SH SEE ALSO")
	b.prose(strings.Join(pages, ", "))
}

func reference(c *cobra.Command) string { return bold(pageName(c)) + "(" + section(c) + ")" }
