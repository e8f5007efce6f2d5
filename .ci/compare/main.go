// Command compare measures one `ferry ask` against what people use instead: curl, a curl + jq retry loop, a bare Go
// program and the official JavaScript SDK, all sending one request to the same loopback server in one interleaved run;
// and one `ferry ask --hold` against `ferry ask` itself, where a held connection saves nothing and where it saves TLS.
// Then it measures `ferry stream` against the same server: the delay of an event beside curl -N, and a long stream beside
// a plain program that reads lines and unmarshals them. At last it measures `ferry bench` against a node of a known delay,
// beside a raw-socket loop, hey, vegeta and wrk: how right its figures are, what it costs, and whether a stall shows. Last
// comes `ferry ask --batch` beside a plain Go loop and xargs with curl.
//
// It prints ratios and whether they meet the goals. A missed goal is a finding and not a failure: the exit code is 1
// only where something could not be measured because it did not work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

// settings are the flags, each bounded so that no run is endless.
type settings struct {
	ferry          string
	rounds, warmup int
	memory         int
	delays, bursts int
	bench, costs   int
	stalls         int

	batchItems, batchRounds int
	seed                    uint64
	limit                   time.Duration

	load string // how busy the machine was before the first run
}

func main() {
	var s settings
	flag.StringVar(&s.ferry, "ferry", "", "the ferry binary; built from this checkout when empty")
	flag.IntVar(&s.rounds, "rounds", 60, "measured rounds, 1 to 2000")
	flag.IntVar(&s.warmup, "warmup", 3, "rounds before them that are not counted, 0 to 100")
	flag.IntVar(&s.memory, "memory", 10, "runs for peak memory, 0 to 200")
	flag.IntVar(&s.delays, "delays", 5, "rounds of the delay in a stream, 0 to 100")
	flag.IntVar(&s.bursts, "bursts", 7, "rounds of the long stream, 0 to 100")
	flag.IntVar(&s.bench, "bench-rounds", 5, "rounds of ferry bench's accuracy, 0 to 100")
	flag.IntVar(&s.costs, "bench-costs", 3, "rounds of what ferry bench costs, 0 to 100")
	flag.IntVar(&s.stalls, "bench-stalls", 1, "runs of ferry bench against a node that stalls, 0 to 10")
	flag.IntVar(&s.batchItems, "batch-items", 100_000, "prompts of ferry ask --batch, 0 to 1000000; 0 leaves it out")
	flag.IntVar(&s.batchRounds, "batch-rounds", 3, "rounds of them, 1 to 20")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "the seed of the order in each round")
	flag.DurationVar(&s.limit, "limit", 9*time.Minute, "the time for all of it; what is measured by then is printed")
	flag.Parse()
	if flag.NArg() > 0 || s.rounds < 1 || s.rounds > 2000 || s.warmup < 0 || s.warmup > 100 ||
		s.memory < 0 || s.memory > 200 || s.delays < 0 || s.delays > 100 || s.bursts < 0 || s.bursts > 100 ||
		s.bench < 0 || s.bench > 100 || s.costs < 0 || s.costs > 100 || s.stalls < 0 || s.stalls > 10 ||
		s.batchItems < 0 || s.batchItems > 1_000_000 || s.batchRounds < 1 || s.batchRounds > 20 {
		flag.Usage()
		os.Exit(2)
	}
	if err := compare(s); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compare(s settings) error {
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	work, err := os.MkdirTemp("", "ferry-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	if s.ferry == "" {
		s.ferry = filepath.Join(work, "ferry")
		if err := goBuild(s.ferry, "."); err != nil {
			return err
		}
	}
	if s.ferry, err = filepath.Abs(s.ferry); err != nil {
		return err
	}
	scripts := []*script{pacedScript(s.seed), burstScript("short", shortEvents), burstScript("long", longEvents)}
	node, err := startServer(scripts...)
	if err != nil {
		return err
	}
	defer node.close()
	env, err := surroundings(work, node.url, scripts)
	if err != nil {
		return err
	}
	all, err := contestants(work, s.ferry, node.url, env)
	if err != nil {
		return err
	}
	held, err := newHeld(work, s.ferry, node, env)
	if err != nil {
		return err
	}
	defer held.stop()
	all = append(all, held.all...)
	streams, err := newStreamed(work, s.ferry, node.url, env, scripts)
	if err != nil {
		return err
	}
	var loads *benched
	if s.bench+s.costs+s.stalls > 0 {
		if loads, err = newBenched(work, s.ferry, env); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithTimeout(interrupted, s.limit)
	defer cancel()
	r := &runner{ctx: ctx, work: work, server: node}
	s.load = loadAverage()
	tool := r.requests(s, all, held)
	r.streams(s, tool, streams)
	err = nil
	if loads != nil {
		err = r.bench(s, tool, loads)
		all = slices.Concat(all, loads.one, loads.crowd, loads.cost, loads.stalled)
	}
	if s.batchItems > 0 {
		err = errors.Join(err, r.batches(s, tool, env))
	}
	return errors.Join(err, failures(slices.Concat(all, streams.paced, streams.short, streams.long)))
}

// requests measures and prints what one request costs, and returns the tool for peak memory, nil where there is none.
func (r *runner) requests(s settings, all []*contestant, held *held) *gnuTime {
	done := r.interleave(s.seed, s.warmup, s.rounds, all, timed(r.run))
	tool, reason := r.findGNUTime()
	r.memory(tool, s.memory, all, r.run)

	printHeader(s, done)
	printTable(all)
	printMemoryNote(tool, reason)
	printGoals(all)
	held.printGoals(all)
	return tool
}

// streams measures and prints the delay of events and the cost of a long stream.
func (r *runner) streams(s settings, tool *gnuTime, all *streamed) {
	if s.delays > 0 {
		done := r.interleave(s.seed, 1, s.delays, all.paced, r.follow)
		printDelays(done, all.paced)
	}
	if s.bursts > 0 {
		done := r.interleave(s.seed, 1, s.bursts, all.long, timed(r.drain))
		r.memory(tool, min(s.memory, 3), all.short, r.drain)
		r.memory(tool, min(s.memory, 3), all.long, r.drain)
		printBursts(done, all)
	}
}

// interleave calls run for every contestant once a round, in an order of its own each time, and returns how many rounds
// were run. The rounds that warm up have negative numbers.
func (r *runner) interleave(
	seed uint64, warmup, rounds int, all []*contestant, run func(c *contestant, round int) error,
) int {
	order := rand.New(rand.NewPCG(seed, 0))
	for round := -warmup; round < rounds; round++ {
		for _, i := range order.Perm(len(all)) {
			c := all[i]
			if c.skipped != "" || c.broken != nil || round > 0 && round%c.every != 0 {
				continue
			}
			err := run(c, round)
			if r.ctx.Err() != nil {
				return max(round, 0)
			}
			c.broken = err
		}
	}
	return rounds
}

// timed keeps the times of a run that counts.
func timed(run runFunc) func(c *contestant, round int) error {
	return func(c *contestant, round int) error {
		wall, cpu, err := run(c, c.argv)
		if err == nil && round >= 0 {
			c.wall[round], c.cpu[round] = wall, cpu
		}
		return err
	}
}

// memory is a pass of its own, because the tool that measures peak memory adds a process to each run.
func (r *runner) memory(tool *gnuTime, rounds int, all []*contestant, run runFunc) {
	if tool == nil {
		return
	}
	for round := range rounds {
		for _, c := range all {
			if c.skipped != "" || c.broken != nil || round%c.every != 0 {
				continue
			}
			peak, err := r.peak(tool, c, run)
			if r.ctx.Err() != nil {
				return
			}
			if err != nil {
				c.broken = fmt.Errorf("under %s: %w", tool.program, err)
				continue
			}
			c.peak = append(c.peak, peak)
		}
	}
}

func failures(all []*contestant) error {
	var errs []error
	for _, c := range all {
		if c.broken != nil {
			errs = append(errs, fmt.Errorf("%s did not do the job: %w", c.name, c.broken))
		}
	}
	return errors.Join(errs...)
}
