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

// pages are the long texts of help by the names of their golden files, with each paragraph on one line. A topic's begins
// with its short text. Below "Examples:" stand the examples, and below "Groups:" the commands or flags that stand together;
// what no group names comes last.
//
//go:embed help
var pages embed.FS

// newHelpTopics are the topics as commands.
func newHelpTopics() []*cobra.Command {
	files, _ := pages.ReadDir("help") // a folder of the binary
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

// readPage gives a command its long text and its examples, and returns the groups of its page. Every run builds commands,
// and only help needs these.
func readPage(c *cobra.Command) (groups string) {
	name := strings.ReplaceAll(strings.TrimPrefix(c.CommandPath(), "ferry "), " ", "-")
	if c.IsAdditionalHelpTopicCommand() {
		name = "topic-" + name
	}
	page, err := pages.ReadFile("help/" + name + ".txt")
	if err != nil {
		return "" // the short text says all, or a library has its own
	}
	long, groups, _ := strings.Cut(string(page), "Groups:\n")
	long, c.Example, _ = strings.Cut(long, "Examples:\n")
	if c.IsAdditionalHelpTopicCommand() {
		long = strings.TrimPrefix(long, c.Short)
	}
	c.Long = listsOfPages().Replace(strings.Trim(long, "\n"))
	return groups
}

// listsOfPages are the lists that pages take from the program.
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

// Commands is the tree of all commands and topics, each with its long text, for what is made of them outside of the
// binary: the man pages. Nothing in the binary calls it, so that the linker leaves it out.
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
