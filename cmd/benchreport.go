package cmd

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/report"
	"ferry/pkg/state"
	"ferry/pkg/term"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

// reportOptions are the flags that bench, bench report and bench compare share.
type reportOptions struct {
	output, out, reference string
	explain                bool
	thresholds             []bench.Threshold
	successesOnly          bool
}

func addReportFlags(c *cobra.Command, a *app, o *reportOptions, formats []string) {
	f := c.Flags()
	choiceFlag(c, &o.output, "output", "o", "`FORMAT` of the report: "+strings.Join(formats, ", "), formats...)
	checkedVar(c.Flags(), &a.lang, "lang", "", "",
		"`LANGUAGE` of text, markdown and html: en or zh (default from LC_ALL, LC_MESSAGES or LANG)",
		"one of "+strings.Join(report.Languages, ", "), report.Language)
	f.BoolVar(&o.explain, "explain", false, "explain the terms of the report, in text and markdown")
	f.StringVar(&o.out, "out", "",
		"write the report to `FILE`, complete or not at all; its suffix sets the format if there is no -o")
	c.PreRunE = func(*cobra.Command, []string) error {
		form := report.FormatOf(o.out)
		switch {
		case f.Changed("output"):
		case form == "" && len(filepath.Ext(o.out)) > 1:
			return usagef("use "+strings.Join(report.Suffixes(), ", ")+", or set the format with -o",
				"--out %s: there is no report for the suffix %s", o.out, filepath.Ext(o.out))
		case form == "":
		case !slices.Contains(formats, form):
			return usagef("-o takes "+strings.Join(formats, ", "), "--out %s: there is no report in the form %s here", o.out, form)
		default:
			o.output = form
		}
		return nil
	}
	f.Func("threshold",
		"`[NODE:]METRIC<VALUE`: exit 5 unless this is true, such as 'hk:p95<1200ms' or 'success>=95%'; can be repeated",
		func(text string) error {
			threshold, err := bench.ParseThreshold(text)
			o.thresholds = append(o.thresholds, threshold)
			return err
		})
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print only errors, no notes")
	f.BoolVar(&o.successesOnly, "successes-only", false,
		"check latency thresholds only on successes; failures do not count")
}

func addReferenceFlag(c *cobra.Command, o *reportOptions) {
	c.Flags().StringVar(&o.reference, "reference", "", "`NODE` to compare the others with (default the first one)")
}

func newBenchReportCmd(a *app) *cobra.Command {
	var o reportOptions
	var vantages []string
	c := &cobra.Command{
		Use:   "report FILE…",
		Short: "Merge saved runs and report on them",
		Args:  cobra.ArbitraryArgs,
		RunE:  func(_ *cobra.Command, args []string) error { return runBenchReport(a, args, vantages, o) },
	}
	addReportFlags(c, a, &o, report.Formats())
	addReferenceFlag(c, &o)
	c.Flags().StringSliceVar(&vantages, "vantage", nil, "use only runs from these `PLACES`")
	return c
}

// runBenchReport reads saved runs and prints a report.
func runBenchReport(a *app, files, vantages []string, o reportOptions) error {
	if len(files) == 0 {
		return usagef("ferry bench --save FILE.jsonl writes one", "no saved run to report on")
	}
	sizeMemory(bench.SavedSamples(files))
	runs, err := bench.ReadFiles(files, vantages)
	if err != nil {
		return err
	}
	var nodes []string
	for _, run := range runs {
		run.Header.Reference = cmp.Or(o.reference, run.Header.Reference)
		nodes = append(nodes, mapSlice(run.Header.Nodes, func(n bench.Node) string { return n.Name })...)
	}
	if err := o.checkNames(nodes); err != nil {
		return err
	}
	if err := checkWritable(o.out, files...); err != nil {
		return err
	}
	return a.printReport(bench.Summarise(runs), o)
}

// checkNames rejects a threshold or a reference for a node that the run does not have.
func (o *reportOptions) checkNames(nodes []string) error {
	known := func(flag, name string) error {
		if name == "" || slices.Contains(nodes, name) {
			return nil
		}
		given := bench.Distinct(nodes, func(name string) string { return name })
		return usagef("these are: "+strings.Join(given, ", "), "%s: %s is not one of the nodes", flag, name)
	}
	for _, threshold := range o.thresholds {
		if threshold.Compares() {
			return usagef("ferry bench compare OLD NEW checks it on two saved runs", "--threshold %s needs two runs", threshold)
		}
		if err := known("--threshold "+threshold.String(), threshold.Node); err != nil {
			return err
		}
	}
	return known("--reference", o.reference)
}

// checkPlan rejects a threshold that the plan cannot measure, before anything is paid for: a percentile that needs more
// requests than each node gets, or a figure of streams.
func (o *reportOptions) checkPlan(h bench.Header) error {
	rounds, more := (&bench.Plan{Header: h}).Rounds(), "-r %d, or a lower percentile"
	if h.Rate > 0 && h.Duration > 0 {
		more = "a longer -d and at least -r %d, or a lower percentile"
	}
	for _, t := range o.thresholds {
		switch {
		case t.Streams() && !h.Stream:
			return usagef("add --stream", "--threshold %s: only streams have this figure", t)
		case rounds > 0 && rounds < t.Needs():
			return usagef(fmt.Sprintf(more, t.Needs()),
				"--threshold %s: %s needs at least %d requests, and each node gets %d", t, t.Stat, t.Needs(), rounds)
		}
	}
	return nil
}

// checkWritable checks whether the report can be written, before anything is paid for.
func checkWritable(path string, saved ...string) error {
	if path == "" {
		return nil
	}
	for _, name := range saved {
		out, outErr := os.Stat(path)
		in, inErr := os.Stat(name)
		if filepath.Clean(path) == filepath.Clean(name) && name != "" || outErr == nil && inErr == nil && os.SameFile(out, in) {
			return usagef("use another name", "--out %s would overwrite the saved run", path)
		}
	}
	err := state.CheckWritable(path)
	if err == nil {
		return nil
	}
	return usagef(cmp.Or(text.Hint(err), "its folder must exist and belong to you"), "--out %s", err)
}

// printReport prints the report, and what was missed.
func (a *app) printReport(s *bench.Summary, o reportOptions) error {
	checks := s.Check(o.thresholds, o.successesOnly)
	err := a.show(o, checks, report.Warnings(s, s.Warnings, a.lang), report.Outcome(s, a.lang), func(w io.Writer, options report.Options) error {
		return report.Write(w, o.output, s, options)
	})
	switch {
	case len(s.Best) == 0 && o.output == report.Best && a.printUnsuccessful(s):
		return exitSilently(exitFailed)
	case err != nil:
		return err
	}
	return a.verdict(s, checks, o.output != report.Best) // -o best needs only one node with a success
}

// show writes a report. It also prints the warnings if the form is not text, and the outcome if the report is a file.
func (a *app) show(o reportOptions, checks []bench.Check, warnings, outcome []string,
	write func(io.Writer, report.Options) error,
) error {
	var b bytes.Buffer
	options := report.Options{Facts: a.out.Facts, Lang: a.lang, Explain: o.explain, Checks: checks}
	if o.out != "" {
		options.Facts = term.Facts{Plain: true}
	}
	if err := write(&b, options); err != nil {
		return err
	}
	shown := a.masker.Bytes(b.Bytes())
	if o.out == "" {
		if err := a.write(shown); err != nil {
			return err
		}
	} else if err := state.WriteFile(o.out, shown, 0o644); err != nil {
		return &outputError{err}
	}
	if o.output != report.Text {
		for _, warning := range warnings {
			a.note("%s", warning)
		}
	}
	if o.out != "" {
		a.note("wrote %s", o.out)
		for _, line := range outcome {
			a.note("%s", line)
		}
	}
	return nil
}

// verdict prints which thresholds were missed and which nodes had no success. The latter fail the run only if all is
// set.
func (a *app) verdict(s *bench.Summary, checks []bench.Check, all bool) error {
	missed := false
	for _, check := range checks {
		if check.Missed {
			a.printError(fmt.Errorf("threshold missed: %s: %s, measured: %s", check.Node, check.Threshold, check.Seen))
			missed = true
		}
	}
	switch {
	case a.printUnsuccessful(s) && all:
		return exitSilently(exitFailed)
	case missed:
		return exitSilently(exitMissed)
	}
	return nil
}

// printUnsuccessful prints which nodes never answered, and reports whether there are any.
func (a *app) printUnsuccessful(s *bench.Summary) bool {
	found := false
	for _, row := range s.Rows {
		if row.OK > 0 {
			continue
		}
		found = true
		why := cmp.Or(row.Ended, "the run ended before the first request that counts; warm-up and interrupted requests do not count")
		if len(row.Failures) > 0 {
			why = row.Failures[0].Detail
		}
		a.printError(fmt.Errorf("%s had no success in %s: %s", report.Series(row.Node), text.Count(row.Requests, "request"), why))
	}
	return found
}

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
	both := mapSlice(c.Nodes, func(n *bench.Change) string { return n.New.Node.Name })
	for _, t := range o.thresholds {
		known := slices.Contains(both, t.Node) || !t.Compares() &&
			slices.ContainsFunc(c.New.Rows, func(r *bench.Row) bool { return r.Node.Name == t.Node })
		if t.Node != "" && !known {
			return usagef("both have: "+strings.Join(both, ", "), "--threshold %s: %s is not one of the nodes of both runs", t, t.Node)
		}
	}
	if err := checkWritable(o.out, files...); err != nil {
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
