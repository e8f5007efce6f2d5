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
		Short: "Compare two saved runs, before and after",
		Args:  cobra.ArbitraryArgs,
		RunE:  func(_ *cobra.Command, args []string) error { return runBenchCompare(a, args, o) },
	}
	addReportFlags(c, a, &o, report.ChangeFormats())
	return c
}

// runBenchCompare reads two saved runs and reports what changed between them.
func runBenchCompare(a *app, files []string, o reportOptions) error {
	if len(files) != 2 {
		return usagef("ferry bench compare OLD.jsonl NEW.jsonl; ferry bench --save FILE.jsonl writes one", "compare needs two saved runs")
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
	if err := checkWritable(o.out); err != nil {
		return err
	}
	checks := c.Check(o.thresholds, o.successesOnly)
	err = a.show(o, checks, report.Warnings(c.New, c.Warnings, a.lang), report.OutcomeOfChanges(c, a.lang), func(w io.Writer, options report.Options) error {
		return report.WriteChanges(w, o.output, c, options)
	})
	if err != nil {
		return err
	}
	return a.verdict(c.New, checks, true)
}
