package cmd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/term"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
)

func newConfigCheckCmd(a *app) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:               "check [node…]",
		Short:             "Check nodes: key, name, address, TLS, and that the node accepts the key; free of charge",
		ValidArgsFunction: a.completeNodes,
		RunE: withLoaded(a.fileSettings, func(ctx context.Context, s *settings, names []string) error {
			return runConfigCheck(ctx, s, names, o)
		}),
	}
	formatFlag(c, &o.output)
	c.Flags().BoolVar(&o.live, "live", false, "also send one small request, which is billed")
	durationFlag(c.Flags(), &o.timeout, "timeout", "", checkTimeout, time.Second, maxDuration,
		"time limit for one node", "1s to 24h")
	return c
}

// checkTimeout is the default time limit for one node.
const checkTimeout = 30 * time.Second

type checkOptions struct {
	output  string
	live    bool
	timeout time.Duration
	// added reports that the node is new and may have no model yet.
	added bool
}

// runConfigCheck checks the named nodes. Without names it checks all nodes of the file and those that a call without -n
// uses.
func runConfigCheck(ctx context.Context, s *settings, names []string, o checkOptions) error {
	if s.closed != nil {
		return s.closed
	}
	if len(names) == 0 {
		names = slices.Clone(s.file.Nodes)
		chosen := len(names) == 0 || s.values.Origin("node") != "default"
		for _, name := range s.values.Nodes {
			if chosen && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	nodes := make([]config.Node, len(names))
	for i, name := range names {
		var err error
		if nodes[i], err = s.values.Select(name, s.api); err != nil {
			return err
		}
	}
	var onStart func(*client.ActiveAttempt) (ended func())
	if s.err.TTY && !s.quiet {
		var release context.CancelFunc
		ctx, release = s.catchWhileWaiting(ctx)
		defer release()
		onStart = s.showPhase
	}
	failed, all := false, []checkJSON{}
	for _, node := range nodes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report := &checkReport{settings: s, styles: s.outStyles(), onStart: onStart, json: o.output == "json"}
		report.result = checkJSON{Node: node.Name, URL: s.safe(node.URL), OK: true, Findings: []findingJSON{}}
		report.print(report.styles.Strong.Render(text.Line(s.safe(heading(node)))) + "\n")
		report.check(ctx, node, o)
		if report.err != nil {
			return report.err
		}
		failed = failed || !report.result.OK
		all = append(all, report.result)
	}
	if o.output == "json" {
		if err := printList(s.app, "nodes", all); err != nil {
			return err
		}
	}
	if failed {
		return exitSilently(exitFailed)
	}
	return nil
}

func heading(node config.Node) string {
	text := node.Name
	if node.Label != "" {
		text += " (" + node.Label + ")"
	}
	return text + "  " + node.URL
}

// checkReport prints the findings about one node as soon as they are known.
type checkReport struct {
	*settings
	styles term.Styles
	// onStart shows what the check waits for.
	onStart func(*client.ActiveAttempt) func()
	json    bool // the findings are printed as JSON at the end
	result  checkJSON
	err     error // a failed write to standard output
}

// checkJSON is the result for one node, as -o json prints it. Fields are only ever added.
type checkJSON struct {
	Node     string        `json:"node"`
	URL      string        `json:"url"`
	OK       bool          `json:"ok"`
	Findings []findingJSON `json:"findings"`
}

type findingJSON struct {
	Step   string `json:"step"`
	Result string `json:"result"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

// results are the marks as words.
var results = map[client.Mark]string{client.Good: "ok", client.Bad: "failed", client.Skipped: "skipped"}

// check checks the key, and then everything else.
func (r *checkReport) check(ctx context.Context, node config.Node, o checkOptions) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, &client.DeadlineError{Timeout: o.timeout})
	defer cancel()
	e, err := r.newEndpoint(ctx, node, endpointOptions{listOnly: true})
	keyless := err != nil
	switch {
	case keyless:
		fault := err
		// The other steps can be checked without the key. The node then answers 401, which does not mean that a step
		// failed.
		node.Auth, node.Headers = config.Auth{Scheme: config.AuthNone}, nil
		if e, err = r.newEndpoint(ctx, node, endpointOptions{keyUnread: true, listOnly: true}); err != nil { // the key is not at fault
			r.finding(client.Fault("settings", err))
			return
		}
		r.finding(client.Fault("key", fault))
	case node.Auth.Scheme == config.AuthNone:
		r.finding(client.Finding{Mark: client.Good, Step: "key", Text: "none needed"})
	default:
		r.finding(client.Finding{Mark: client.Good, Step: "key", Text: string(node.Key)})
	}
	defer e.close()
	env := r.clientEnv()
	env.OnStart = r.onStart
	check := client.Check{
		Env: env, Endpoint: &e.Endpoint, Node: node, TransportOptions: e.options, InProcess: e.demo != nil, Keyless: keyless,
		Live: o.live, Timeout: o.timeout, Report: r.finding,
		OnModels: func(ids []string) { _ = r.storeModels(node, ids) }, // a list that cannot be stored does not fail the check
	}
	if !o.added {
		check.NoModel = node.CheckModel()
	}
	check.Run(ctx)
}

// checkIndent is the column at which the text of a line begins.
const checkIndent = 13

// finding prints a line, and its hint below it.
func (r *checkReport) finding(f client.Finding) {
	mark := string(f.Mark)
	r.result.Findings = append(r.result.Findings, findingJSON{f.Step, results[f.Mark], r.safe(f.Text), r.safe(f.Hint)})
	switch f.Mark {
	case client.Good:
		mark = r.styles.Good.Render(mark)
	case client.Bad:
		mark, r.result.OK = r.styles.Bad.Render(mark), false
	}
	found := indented(r.translate(r.safe(f.Text)), checkIndent)
	lines := r.out.Wrap(fmt.Sprintf("  %s %-8s %s", mark, f.Step, found), checkIndent) + "\n"
	if f.Hint != "" {
		lines += r.out.Wrap(hintText(r.styles, checkIndent, r.translate(r.safe(f.Hint))), checkIndent+hintIndent) + "\n"
	}
	r.print(lines)
}

// print writes to standard output until a write fails.
func (r *checkReport) print(text string) {
	if r.err == nil && !r.json {
		r.err = r.write([]byte(text))
	}
}
