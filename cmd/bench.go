package cmd

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/report"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

// benchOptions are the flags of bench. Flags that the report shows are in the header.
type benchOptions struct {
	bench.Header
	node   nodeOptions
	report reportOptions

	prompt   string
	files    []string
	tokenCap int64
	save     string
	dryRun   bool
	// given reports whether a flag was set: some defaults depend on other flags.
	given func(flag string) bool
}

const (
	benchRequests = 20
	// benchTokens is cheap, and enough to see that an answer arrives; streamTokens is for the time between tokens.
	benchTokens  = 16
	streamTokens = 300
	// benchTimeout limits a request if --timeout is not given: a stalled request delays the end of a bench by no more.
	benchTimeout = time.Minute
	// openLoopWorkers is the maximum number of requests in flight per node at a fixed rate, if -c is not given. With
	// one, the node would determine the rate.
	openLoopWorkers = 100
	// maxSeed is the highest seed. JSON readers that use floating-point numbers still read it exactly.
	maxSeed     = 1<<53 - 1
	benchPrompt = "Reply with the single word pong."
	// streamPrompt has an answer of about 100 tokens, of the same length from every model.
	streamPrompt = "Write the numbers from 1 to 50 in digits, separated by single spaces, and nothing else."
)

func newBenchCmd(a *app) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:               "bench [node…]",
		Short:             "Compare the latency and success rate of nodes, with confidence intervals",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeNodes,
		RunE: func(c *cobra.Command, args []string) error {
			o.given = c.Flags().Changed
			return runBench(c.Context(), a, args, o)
		},
	}
	addBenchFlags(c, a, &o)
	c.AddCommand(newBenchReportCmd(a), newBenchCompareCmd(a))
	return c
}

func addBenchFlags(c *cobra.Command, a *app, o *benchOptions) {
	f := c.Flags()
	intFlag(f, &o.Requests, "requests", "r", benchRequests, 1, 10_000_000, "send `N` requests to each node")
	durationFlag(f, &o.Duration, "duration", "d", 0, 1, maxDuration, "send for `TIME` instead; with -r, whichever ends first",
		"a time above 0 and at most 24h, such as 30s or 5m")
	intFlag(f, &o.Concurrency, "concurrency", "c", 1, 1, 100_000, "keep at most `N` requests in flight to each node")
	checkedVar(f, &o.Rate, "rate", "", "",
		"send to each node at a fixed `RATE`, such as 2 (per second) or 50/min; up to 100 in flight without -c",
		"a number of requests a second, or such as 50/min", parseRate)
	intFlag(f, &o.Warmup, "warmup", "", 1, 0, 100_000,
		"do not count the first `N` requests to each node; with reused connections the default is at least -c")
	intFlag(f, &o.Attempts, "attempts", "", 1, 1, 100,
		"make up to `N` attempts for each request, to measure what users experience")
	f.BoolVar(&o.Stream, "stream", false, "use streaming; measure the first token and the tokens after it")
	choiceFlag(c, &o.Connections, "connections", "", "`KIND` of connection: cold, reused or both", "cold", "reused", "both")
	f.BoolVar(&o.Race, "race", false,
		"start a second handshake when one is late, as ask does; without --race there is only one")
	f.StringVar(&o.prompt, "prompt", benchPrompt,
		"prompt `TEXT`; each request puts a different number before it; with --stream the default is to count to 50")
	f.StringArrayVarP(&o.files, "file", "f", nil, "read the prompt from `FILE`")
	intFlag(f, &o.MaxTokens, "max-tokens", "", benchTokens, 1, math.MaxInt32,
		"at most `N` tokens in an answer; 300 with --stream")
	checkedVar(f, &o.tokenCap, "max-tokens-total", "", "", "stop before all nodes together could be billed more than `N` tokens",
		"a whole number of tokens above 0", between[int64](1, math.MaxInt64))
	checkedVar(f, &o.Precision, "precision", "", "", "stop early when every interval is within `SHARE`, such as 5%",
		"a share from 0.1% to 100%, such as 5%", parsePrecision)
	intFlag(f, &o.Seed, "seed", "", 0, 0, maxSeed,
		"random seed `N` for the order and the numbers; 0 selects a random seed")
	f.StringVar(&o.Vantage, "vantage", "", "`PLACE` where this runs, for reports on several places")
	f.StringVar(&o.save, "save", "", "save every attempt to a new `FILE`.jsonl, for bench report")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be sent, and send nothing")
	f.StringVar(&o.node.api, "api", "", "`API` of nodes given as URLs: "+wire.APINames)
	addSettingFlags(f, &o.node,
		"model", "retry.policy", "retry.delay", "timeout", "connect_timeout", "idle_timeout", "limit", "proxy")
	timeout := f.Lookup("timeout")
	timeout.Usage, timeout.DefValue = "time limit for one request, including retries", text.Brief(benchTimeout)
	addStoreFlags(f, &o.node)
	addReportFlags(c, a, &o.report, report.Formats())
	addReferenceFlag(c, &o.report)
}

// runBench measures the nodes and prints a report.
func runBench(ctx context.Context, a *app, names []string, o benchOptions) error {
	if err := o.complete(); err != nil {
		return err
	}
	if o.report.out == "" && a.closed != nil {
		return a.closed
	}
	s, err := a.settings(o.node)
	if err != nil {
		return err
	}
	b, err := s.prepareBench(ctx, names, &o)
	if err != nil {
		return err
	}
	defer b.close()
	if o.dryRun {
		return a.write([]byte(b.describe()))
	}
	if err := checkWritable(o.report.out, o.save); err != nil {
		return err
	}
	if err := b.CheckBudgets(ctx, b.endpoints()); err != nil {
		return err
	}
	b.plan.Header.Begin(a.Clock.Now())
	if o.save != "" {
		if b.plan.Saved, err = bench.Create(o.save, b.plan.Header); err != nil {
			return usagef(text.Hint(err), "--save %s: %s", o.save, bareError(err))
		}
	}
	a.note("%s", b.plan.Estimate(b.input, b.output))
	sizeMemory(b.plan.Rounds() * len(b.plan.Targets))
	run, err := a.measure(ctx, b)
	if b.plan.Saved != nil {
		err = cmp.Or(err, b.plan.Saved.Close())
	}
	if err != nil {
		a.printError(fmt.Errorf("cannot save the run in %s: %w", o.save, err))
		err = exitSilently(exitFailed)
	}
	return cmp.Or(a.printReport(bench.Summarise([]*bench.Run{run}), o.report), err)
}

// measure runs the plan and shows its progress. The first signal stops the sending, the second also aborts requests in
// flight.
func (a *app) measure(ctx context.Context, r *benchRun) (*bench.Run, error) {
	caught, release := a.Catch(ctx)
	defer release()
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	defer context.AfterFunc(caught, func() {
		again, release := a.Catch(ctx)
		context.AfterFunc(again, func() {
			abort()
			release()
		})
	})()
	r.sending = caught
	if a.SchedulingDelay != nil {
		r.plan.SchedulingDelay = a.SchedulingDelay()
	}
	var waiting atomic.Pointer[string]
	live := a.err.TTY && !a.err.Plain
	r.plan.Waiting = func(waits []bench.Progress, most time.Duration) {
		line := report.WaitingLine(waits, most)
		waiting.Store(&line)
		if !live {
			a.note("%s", line)
		}
	}
	b := bench.New(r.plan)
	started := a.Clock.Now()
	since := func() time.Duration { return a.Clock.Now().Sub(started) }
	stop := a.startDisplay(
		0,
		func() []string {
			progress := b.Progress()
			lines := report.ProgressTable(progress, since(), a.err.Facts, a.lang, a.safe)
			answered := slices.ContainsFunc(progress, func(p bench.Progress) bool { return p.Done > 0 })
			if status := r.pauses.status(answered, since()); status != "" {
				lines = append(lines, a.translate(status))
			}
			if line := waiting.Load(); line != nil {
				lines = append(lines, a.translate(a.safe(*line)))
			}
			return lines
		},
		func() { a.note("%s", report.ProgressLine(b.Progress(), since())) },
	)
	defer stop()
	return b.Run(ctx, caught)
}

// complete sets the defaults that depend on other flags, and rejects flags that exclude each other.
func (o *benchOptions) complete() error {
	if o.given("duration") && !o.given("requests") {
		o.Requests = 0
	}
	if o.Rate > 0 && !o.given("concurrency") {
		o.Concurrency = openLoopWorkers
	}
	if o.Stream && !o.given("prompt") {
		o.prompt = streamPrompt
	}
	if o.Stream && !o.given("max-tokens") {
		o.MaxTokens = streamTokens
	}
	if o.Seed == 0 {
		o.Seed = 1 + rand.Uint64N(maxSeed)
	}
	if o.Connections != string(bench.Cold) && o.Warmup < o.Concurrency && !o.given("warmup") {
		o.Warmup = o.Concurrency
		if !o.given("concurrency") { // openLoopWorkers is a maximum, not what the rate needs
			o.Warmup = 1
		}
	}
	switch {
	case o.node.noStore && o.save != "":
		return usagef("leave out one of the two", "--no-store writes no files, and --save writes one")
	case o.given("prompt") && len(o.files) > 0:
		return usagef("", "give the prompt with --prompt or with -f, not both")
	}
	return nil
}
