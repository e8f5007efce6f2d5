package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/report"

	"github.com/spf13/cobra"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	node   nodeOptions
	report reportOptions

	prompt      string
	files       []string
	requests    int
	duration    time.Duration
	concurrency int
	rate        string
	warmup      int
	attempts    int
	maxTokens   int
	stream      bool
	connections string
	seed        uint64
	tokenCap    int64
	precision   string
	save        string
	vantage     string
	dryRun      bool
	// given says which flags were: some defaults follow from others.
	given func(flag string) bool
}

// reportOptions are the flags that bench and bench report share.
type reportOptions struct {
	output, lang, out string
	thresholds        []string
	reference         string

	parsed []bench.Threshold
}

const (
	benchRequests = 20
	longestBench  = 24 * time.Hour
	// benchTokens is enough to see that an answer comes, and cheap.
	benchTokens = 16
	// openLoopWorkers is how many requests of one node a fixed rate may have in flight unless -c says otherwise: with one
	// the rate would be the node's.
	openLoopWorkers = 100
	benchPrompt     = "Reply with the single word pong."
)

func newBenchCmd(a *app) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench [node…]",
		Short: "Latency and success rate of nodes, side by side, and how sure they are",
		Long: `bench sends the same small prompt to all nodes in rounds and compares them pair by pair: mean and percentiles of the
successes, the success rate with its interval, and whether a difference to the reference node is shown at all. Without
nodes it takes all of the file. Each request is one attempt on a new connection, as with curl, unless flags say
otherwise. Requests are paid for: it says how many there will be before the first one, and --dry-run says no more.

The first Ctrl-C stops sending and reports what there is; the second ends at once.`,
		Example: `  ferry bench demo/direct demo/hongkong demo/singapore
  ferry bench -r 50 -c 5 hongkong singapore
  ferry bench -d 1m --rate 2 hongkong                  a fixed rate, whatever the answers take
  ferry bench --threshold 'p95<1200ms' --threshold 'success>=95%' hongkong
  ferry ask -n "$(ferry bench -o best hongkong singapore)" "why is the sky blue?"
  ferry bench --save monday.jsonl && ferry bench report monday.jsonl tuesday.jsonl`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeNodes,
		RunE: func(c *cobra.Command, args []string) error {
			o.given = c.Flags().Changed
			return runBench(c.Context(), a, args, o)
		},
	}
	addBenchFlags(c, a, &o)
	c.AddCommand(newBenchReportCmd(a))
	return c
}

func addBenchFlags(c *cobra.Command, a *app, o *benchOptions) {
	f := c.Flags()
	f.IntVarP(&o.requests, "requests", "r", benchRequests, "how many requests each node gets, `N`")
	f.DurationVarP(&o.duration, "duration", "d", 0, "send for a `TIME` instead; with -r, whichever ends first")
	f.IntVarP(&o.concurrency, "concurrency", "c", 1, "the most requests of one node in flight, `N`")
	f.StringVar(&o.rate, "rate", "", "a fixed `RATE` for each node, such as 2 (a second) or 50/min; up to 100 in flight without -c")
	f.IntVar(&o.warmup, "warmup", 1, "the first `N` requests of each node do not count; on reused connections as many as -c")
	f.IntVar(&o.attempts, "attempts", 1, "up to `N` attempts of each request, to measure what users feel")
	f.BoolVar(&o.stream, "stream", false, "stream, and measure the first token and those after it")
	f.StringVar(&o.connections, "connections", string(bench.Cold), "the `KIND` of connection: cold, reused or both")
	f.StringVar(&o.prompt, "prompt", benchPrompt, "the prompt, a `TEXT`; each request has a number of its own before it")
	f.StringArrayVarP(&o.files, "file", "f", nil, "a `FILE` with the prompt")
	f.IntVar(&o.maxTokens, "max-tokens", benchTokens, "at most `N` tokens of an answer")
	f.Int64Var(&o.tokenCap, "max-tokens-total", 0, "stop before all nodes together could be billed more than `N` tokens")
	f.StringVar(&o.precision, "precision", "", "stop early once every interval is within that `SHARE`, such as 5%")
	f.Uint64Var(&o.seed, "seed", 0, "the seed `N` of the order and the numbers; 0 takes one by chance")
	f.StringVar(&o.vantage, "vantage", "", "the `PLACE` that this runs in, for reports on several")
	f.StringVar(&o.save, "save", "", "write every attempt to a new `FILE`.jsonl for bench report")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "nothing on standard error but errors")
	f.StringVar(&o.node.api, "api", "", "the `API` of nodes given as URLs: messages, complete or chat")
	addSettingFlags(f, &o.node, "model", "retry.policy", "retry.delay", "timeout", "connect_timeout", "idle_timeout", "limit", "proxy")
	f.Lookup("timeout").Usage = "time limit for one request, including retries"
	addStoreFlags(f, &o.node)
	addReportFlags(c, &o.report)
	_ = c.RegisterFlagCompletionFunc("connections",
		cobra.FixedCompletions([]string{"cold", "reused", "both"}, cobra.ShellCompDirectiveNoFileComp))
}

// runBench measures the nodes and reports on them.
func runBench(ctx context.Context, a *app, names []string, o benchOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.report.out == "" {
		if err := a.canPrint(); err != nil {
			return err
		}
	}
	s, err := a.settings(o.node)
	if err != nil {
		return err
	}
	plan, err := a.benchPlan(ctx, s, names, &o)
	if err != nil {
		return err
	}
	defer plan.close()
	if o.dryRun {
		return a.write([]byte(plan.describe()))
	}
	if err := a.writable(o.report.out); err != nil {
		return err
	}
	if err := plan.affords(ctx); err != nil {
		return err
	}
	plan.plan.Header.Begin(a.Clock.Now())
	saved, closeSaved, err := startSaving(o.save, plan.plan.Header)
	if err != nil {
		return err
	}
	plan.plan.Saved = saved
	if !a.quiet {
		a.note("%s", plan.estimate())
	}
	sizeMemory(plan.plan.Rounds() * len(plan.plan.Targets))
	run, err := a.measure(ctx, plan)
	if failed := closeSaved(); err == nil {
		err = failed
	}
	if err != nil {
		a.complain(fmt.Errorf("cannot save the run in %s: %w", o.save, err))
	}
	if failed := a.conclude(bench.Summarise([]*bench.Run{run}), o.report); failed != nil {
		return failed
	}
	if err != nil {
		return silent(exitFailed)
	}
	return nil
}

// measure runs the plan and shows how far it is. The first signal ends the sending, the second kills.
func (a *app) measure(ctx context.Context, c *benchPlan) (*bench.Run, error) {
	caught, release := a.Catch(ctx)
	defer release()
	plan := c.plan
	plan.Stop, c.sending = caught.Done(), caught
	if a.SchedulingDelay != nil {
		plan.SchedulingDelay = a.SchedulingDelay()
	}
	b := bench.New(plan)
	stop := a.showProgress(b)
	defer stop()
	return b.Run(ctx)
}

// startSaving opens a new file for the attempts and writes its head.
func startSaving(path string, h bench.Header) (saved *bench.Writer, done func() error, err error) {
	if path == "" {
		return nil, func() error { return nil }, nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		hint := "its folder has to be there and be yours"
		if errors.Is(err, fs.ErrExist) {
			hint = "a saved run is never written over: take another name"
		}
		return nil, nil, usagef(hint, "--save %s: %s", path, bare(err))
	}
	if saved, err = bench.NewWriter(file, h); err != nil {
		file.Close()
		_ = os.Remove(path) // best effort
		return nil, nil, usagef("", "--save %s: %s", path, bare(err))
	}
	return saved, func() error {
		err := file.Close()
		if saved.Empty() {
			_ = os.Remove(path) // best effort: there is nothing in it to report on
		}
		return err
	}, nil
}

// check looks at the flags that need nothing but themselves, and completes them.
func (o *benchOptions) check() error {
	if o.given("duration") && !o.given("requests") {
		o.requests = 0
	}
	if o.rate != "" && !o.given("concurrency") {
		o.concurrency = openLoopWorkers
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	if o.connections != string(bench.Cold) && o.warmup < o.concurrency && !o.given("warmup") {
		o.warmup = o.concurrency
	}
	for _, f := range []struct {
		flag       string
		n, low, up int
	}{
		{"requests", o.requests, 0, 10_000_000}, {"concurrency", o.concurrency, 1, 100_000}, {"warmup", o.warmup, 0, 100_000},
		{"attempts", o.attempts, 1, 100}, {"max-tokens", o.maxTokens, 1, 1<<31 - 1},
	} {
		if f.n < f.low || f.n > f.up {
			return invalid(f.flag, f.n, fmt.Sprintf("a whole number from %d to %d", f.low, f.up))
		}
	}
	switch {
	case o.given("requests") && o.requests == 0:
		return invalid("requests", o.requests, "a whole number from 1 to 10000000")
	case o.duration < 0 || o.given("duration") && o.duration == 0 || o.duration > longestBench:
		return invalid("duration", o.duration, "a time above 0 and at most 24h, such as 30s or 5m")
	case o.tokenCap < 0 || o.given("max-tokens-total") && o.tokenCap == 0:
		return invalid("max-tokens-total", o.tokenCap, "a whole number of tokens above 0")
	case o.node.noStore && o.save != "":
		return usagef("leave one of the two away", "--no-store keeps nothing, and --save does")
	case o.given("prompt") && len(o.files) > 0:
		return usagef("", "give the prompt by --prompt or by -f, not both")
	}
	if err := choice("connections", o.connections, "cold", "reused", "both"); err != nil {
		return err
	}
	return o.report.check(report.Formats())
}
