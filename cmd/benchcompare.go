package cmd

import (
	"io"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/report"

	"github.com/spf13/cobra"
)

func newBenchCompareCmd(a *app) *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Two saved runs, before and after",
		Long: `compare says of each node whether it became slower or fails more often from one saved run to another, and how sure
that is. The runs share no rounds, so nothing is paired: the ratio is the median of all ratios of a new latency to an
old one, with the interval of the rank-sum test; success rates have Newcombe's; all intervals hold together with 95 %.

--threshold 'ratio<1.2' checks the latency ratio, 'ttft.ratio<1.2' the ratio of the times to first token. ratio_low and
ratio_high are the ends of the interval: ratio_low<1.2 is missed only where a rise by a fifth is proven. A node that
fails more often keeps no upper bound, unless --successes-only. Others, such as 'p95<2s', check the new run.

Runs of other prompts, of other token limits, or of which only one streamed or had a fixed rate are refused. Other
settings that differ, and nodes that only one run has, are named in a warning. An interval is of these two runs: how
much a node varies from hour to hour is not in it, so compare runs of the same hour.`,
		Example: `  ferry bench compare monday.jsonl tuesday.jsonl
  ferry bench compare --threshold 'ratio<1.2' -o junit --out bench.xml old.jsonl new.jsonl

  # a script for cron to run each day: today's run is kept and compared with yesterday's
  day=$(date +%F); ferry bench -q -r 100 --save $day.jsonl --out $day.txt hongkong singapore
  ferry bench compare --threshold 'ratio<1.2' $(date -d yesterday +%F).jsonl $day.jsonl || echo slower`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return runBenchCompare(a, args, o) },
	}
	addReportFlags(c, a, &o, report.ChangeFormats())
	c.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "nothing on standard error but errors")
	return c
}

// runBenchCompare reads two saved runs and says what changed between them.
func runBenchCompare(a *app, files []string, o reportOptions) error {
	if len(files) != 2 {
		return usagef("ferry bench compare OLD.jsonl NEW.jsonl; ferry bench --save FILE.jsonl writes one", "compare takes two saved runs")
	}
	sizeMemory(bench.SavedSamples(files))
	c, err := bench.CompareFiles(files[0], files[1])
	if err != nil {
		return err
	}
	var both []string
	for _, n := range c.Nodes {
		both = append(both, n.New.Node.Name)
	}
	for _, t := range o.thresholds {
		known := slices.Contains(both, t.Node()) || !t.Compares() &&
			slices.ContainsFunc(c.New.Rows, func(r *bench.Row) bool { return r.Node.Name == t.Node() })
		if t.Node() != "" && !known {
			return usagef("both have: "+strings.Join(both, ", "), "--threshold %s: %s is not one of the nodes of both runs", t, t.Node())
		}
	}
	if err := writable(o.out); err != nil {
		return err
	}
	checks := c.Check(o.thresholds, o.successesOnly)
	err = a.show(o, checks, c.Warnings, func(w io.Writer, options report.Options) error {
		return report.WriteChanges(w, o.output, c, options)
	})
	if err != nil {
		return err
	}
	return a.verdict(c.New, checks, true)
}
