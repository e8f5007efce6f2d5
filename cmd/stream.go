package cmd

import "github.com/spf13/cobra"

func newStreamCmd(a *app) *cobra.Command {
	o := callOptions{streams: true}
	c := &cobra.Command{
		Use:   "stream [prompt…|-]",
		Short: "The answer to a prompt, printed as it arrives",
		Long: `stream sends a prompt as ask does and prints the answer as it arrives. Exit code 0 means that it came to its end: a
stream that is cut before the server said so keeps what came and exits 1. It is tried again only while nothing of it has
been printed.`,
		Example: `  ferry stream "tell me a story"
  ferry stream -o json hello | jq -r 'select(.type == "text").text'
  ferry stream -n 'demo:?pace=50ms' hello         no key needed`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { return runCall(c, a, o, args) },
	}
	addCallFlags(c, a, &o)
	f := c.Flags()
	addSettingFlags(f, &o.node, "idle_timeout")
	f.BoolVar(&o.thinking, "thinking", false, "show the model's reasoning too, on standard error")
	f.Lookup("output").Usage = "text, json (a line for each piece, then one for the call) or raw (the event stream)"
	return c
}
