package cmd

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Commands is the tree of all commands and topics, each with its long text, for what is made of them outside of the
// binary: the man pages. Nothing in the binary calls it, so that the linker leaves it out.
func Commands() *cobra.Command {
	a := newApp(Env{
		Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard,
		Lookup: func(string) (string, bool) { return "", false },
	})
	root := newRootCmd(a, nil)
	withLongTexts(root)
	return root
}

// withLongTexts renders every help page and drops the output: some long texts are made only then.
func withLongTexts(c *cobra.Command) {
	c.HelpFunc()(c, nil)
	for _, child := range c.Commands() {
		withLongTexts(child)
	}
}
