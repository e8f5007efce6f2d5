package cmd

import (
	"embed"
	"fmt"
	"io"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/demo"

	"github.com/spf13/cobra"
)

// pages are the long help texts, named like their golden files, with each paragraph on one line. The page of a topic
// begins with its short text. After "Examples:" come the examples. After "Groups:" come the commands or flags to list
// together; those in no group come last.
//
//go:embed help
var pages embed.FS

// newHelpTopics returns the help topics as commands.
func newHelpTopics() []*cobra.Command {
	files, _ := pages.ReadDir("help") // embedded, so it exists
	var all []*cobra.Command
	for _, file := range files {
		if topic, ok := strings.CutPrefix(strings.TrimSuffix(file.Name(), ".txt"), "topic-"); ok {
			page, _ := pages.ReadFile("help/" + file.Name())
			short, _, _ := strings.Cut(string(page), "\n")
			all = append(all, &cobra.Command{Use: topic, Short: short})
		}
	}
	return all
}

// readPage sets a command's long text and examples and returns the groups of its page. Every run builds commands, but
// only help needs these texts.
func readPage(c *cobra.Command) (groups string) {
	name := strings.ReplaceAll(strings.TrimPrefix(c.CommandPath(), "ferry "), " ", "-")
	if c.IsAdditionalHelpTopicCommand() {
		name = "topic-" + name
	}
	page, err := pages.ReadFile("help/" + name + ".txt")
	if err != nil {
		return "" // the short text is enough, or Cobra has its own text
	}
	long, groups, _ := strings.Cut(string(page), "Groups:\n")
	long, c.Example, _ = strings.Cut(long, "Examples:\n")
	if c.IsAdditionalHelpTopicCommand() {
		long = strings.TrimPrefix(long, c.Short)
	}
	c.Long = listsOfPages().Replace(strings.Trim(long, "\n"))
	return groups
}

// listsOfPages returns a replacer for the lists that pages take from the program.
func listsOfPages() *strings.Replacer {
	var variables, faults, presets strings.Builder
	for _, v := range config.Environment() {
		fmt.Fprintf(&variables, "%-24s  %s\n", v.Name, v.Usage)
	}
	for _, f := range demo.Faults() {
		fmt.Fprintf(&faults, "  %-14s %s\n", f.Name, f.Usage)
	}
	for _, p := range demo.Presets() {
		fmt.Fprintf(&presets, "  %-16s %s\n", p.Name, p.Query)
	}
	return strings.NewReplacer("{variables}\n", variables.String(), "{faults}\n", faults.String(), "{presets}", presets.String())
}

// Commands returns the tree of all commands and topics with their long texts, to generate the man pages outside the
// binary. Nothing in the binary calls it, so the linker leaves it out.
func Commands() *cobra.Command {
	root := newRootCmd(newApp(Env{
		Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard,
		Lookup: func(string) (string, bool) { return "", false },
	}), nil)
	for _, c := range tree(root) {
		readPage(c)
	}
	return root
}
