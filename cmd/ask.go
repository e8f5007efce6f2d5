package cmd

import "github.com/spf13/cobra"

func newAskCmd(a *app) *cobra.Command {
	var o callOptions
	var batch batchOptions
	c := &cobra.Command{
		Use:   "ask [prompt…|-]",
		Short: "The whole answer to a prompt, once",
		Long: `ask sends a prompt through a node and prints the answer when it is whole. The prompt is the arguments, joined by a
space; standard input is added after a blank line when it is a pipe or a file; - or no argument reads standard input
alone. Standard output carries the model's text and nothing else.`,
		Example: `  ferry ask "why is the sky blue?"
  git diff | ferry ask "write a commit message"
  ferry ask -n demo -u hello                      no key needed
  ferry ask --expect '(?i)pong' "say pong"        a smoke check: exit 5 when it does not match
  ferry ask --dry-run hi                          what would be sent, and as a curl line
  ferry ask --batch in.jsonl --out out.jsonl -c 8 many prompts; the same command again goes on`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			many, err := batchWanted(c.Flags())
			switch {
			case err != nil:
				return err
			case many:
				return runBatch(c, a, o, batch, args)
			}
			return runCall(c, a, o, args)
		},
	}
	addCallFlags(c, a, &o)
	f := c.Flags()
	addBatchFlags(f, &batch)
	f.Lookup("output").Usage = "text, json (on every outcome) or raw (the body)"
	f.BoolVarP(&o.extract, "extract", "x", false, "print only the first fenced code block")
	return c
}
