package cmd

import (
	"context"
	"errors"
	"regexp"

	"ferry/pkg/client"

	"github.com/spf13/cobra"
)

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
	addSettingFlags(f, "idle_timeout")
	f.BoolVar(&o.thinking, "thinking", false, "show the model's reasoning too, on standard error")
	f.Lookup("output").Usage = "text, json (a line for each piece, then one for the call) or raw (the event stream)"
	return c
}

// stream makes the call and shows the answer as it comes.
func (a *app) stream(ctx context.Context, cross *crossing, o callOptions, expect *regexp.Regexp) (
	*client.Result, error,
) {
	ctx, release := a.Catch(ctx) // what came is shown before a signal kills
	defer release()
	sink := cross.filter.filtered(a.newSink(o), o.output, o.thinking)
	result, failed := a.failover(ctx, cross, func(c *crossing) (*client.Result, error) {
		return c.client.Stream(ctx, c.node, c.request, sink)
	})
	var signal signalled
	failed = cross.filter.hold(cross, result, failed, false)
	stopped := errors.As(failed, &signal)
	if err := sink.finish(failed == nil, stopped); err != nil && (failed == nil || isBlocked(err)) {
		failed = err
	}
	if text := sink.text(); failed == nil || text != "" { // else it is that of a whole answer that failed
		result.Answer.Text = text
	}
	if isBlocked(failed) && !stopped {
		failed = withheld(cross, result, failed)
	}
	a.report(result, o)
	if failed == nil {
		failed = a.judge(result, o, expect)
	}
	if o.output == "json" && len(result.Attempts) > 0 {
		end := a.describe(cross, result, failed)
		end.Type = "end"
		if err := a.printCall(end); err != nil {
			return result, err
		}
	}
	switch {
	case failed == nil:
		a.afterwards(cross, result, o)
	case o.output != "json" && !sink.Shown():
		a.keepPartial(result, failed)
	}
	return result, failed
}
