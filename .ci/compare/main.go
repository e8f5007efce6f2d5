// Command compare measures one `ferry ask` against what people use instead: curl, a curl + jq retry loop, a bare Go
// program and the official JavaScript SDK, all sending one request to the same loopback server in one interleaved run;
// and one `ferry ask --hold` against `ferry ask` itself, where a held connection saves nothing and where it saves TLS.
// Then it measures `ferry stream` against the same server: the delay of an event beside curl -N, and a long stream beside
// a plain program that reads lines and unmarshals them. At last it measures `ferry bench` against a node of a known delay,
// beside a raw-socket loop, hey, vegeta and wrk: how right its figures are, what it costs, and whether a stall shows. Last
// comes `ferry ask --batch` beside a plain Go loop and xargs with curl.
//
// It prints ratios and whether they meet the goals, and with -readme writes them into the README between two marks, each
// with its command. A missed goal is a finding and not a failure: the exit code is 1 only where something could not be
// measured because it did not work, or where the page could not be written because the time was over.
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
)

func main() {
	s, err := readFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
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
	if s.readme != "" { // it is not found out after ten minutes
		if err := checkMarks(s.readme); err != nil {
			return err
		}
	}
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
	on := thisMachine() // what is built for the comparison is not in its load
	all, err := prepare(work, s)
	if err != nil {
		return err
	}
	defer all.close()

	ctx, cancel := context.WithTimeout(interrupted, s.limit)
	defer cancel()
	r := &runner{ctx: ctx, work: work, server: all.server, typist: newTypist(work, s.ferry), page: newPage(s, on, all.peers())}
	r.page.print(os.Stdout)
	err = errors.Join(r.everything(s, all), failures(all.contestants()))
	if ctx.Err() != nil {
		r.page.cut = "the time limit is " + s.limit.String()
		if interrupted.Err() != nil {
			r.page.cut = "it was interrupted"
		}
	}
	if r.page.cut != "" {
		fmt.Printf("\ncut short: %s\n", r.page.cut)
	}
	if err := r.page.findFiles(r.typist, all.files()); err != nil {
		return err
	}
	return errors.Join(err, publish(s, r.page, err))
}

// everything runs all parts, and names those that are left out.
func (r *runner) everything(s settings, all *prepared) error {
	var missing, errs error
	if r.tool, missing = r.findGNUTime(); missing != nil {
		r.page.gaps = append(r.page.gaps, "peak memory: "+missing.Error())
	}
	if s.memory == 0 {
		r.leaveOut("Peak memory", "-memory 0")
	}
	for _, part := range []struct {
		title, flag string
		wanted      bool
		run         func() error
	}{
		{requestTitle, "-rounds 0", s.rounds > 0, func() error { return r.requests(s, all) }},
		{delayTitle, "-delays 0", s.delays > 0, func() error { return r.delays(s, all.streams) }},
		{burstTitle, "-bursts 0", s.bursts > 0, func() error { return r.bursts(s, all.streams) }},
		{"ferry bench", "-bench-rounds 0, -bench-costs 0, -bench-stalls 0", all.loads != nil, func() error { return r.bench(s, all.loads) }},
		{batchTitle, "-batch-items 0", all.batch != nil, func() error { return r.batches(s, all.batch) }},
	} {
		switch {
		case !part.wanted:
			r.leaveOut(part.title, part.flag)
		case r.ctx.Err() != nil:
			r.show(chart{title: part.title, absent: "the time was over"})
		default:
			if err := part.run(); err != nil && r.ctx.Err() == nil {
				r.show(chart{title: part.title, absent: "failed: " + err.Error()})
				errs = errors.Join(errs, fmt.Errorf("%s: %w", part.title, err))
			}
		}
	}
	r.show(sizeChart(s.ferry))
	return errs
}

// show prints charts and keeps them for the page.
func (r *runner) show(charts ...chart) {
	for _, c := range charts {
		c.print(os.Stdout)
		r.page.charts = append(r.page.charts, c)
	}
}

// leaveOut names a part that nobody asked for.
func (r *runner) leaveOut(title, flag string) {
	r.page.leftOut = append(r.page.leftOut, leftOut{title, flag})
	fmt.Printf("\n%s\nleft out: %s\n", title, flag)
}

// requests measures what one request costs.
func (r *runner) requests(s settings, all *prepared) error {
	done := r.interleave(s.seed, s.warmup, s.rounds, all.one, timed(r.run))
	r.memory(s.memory, all.one, r.run)
	direct := all.one[:len(all.one)-len(all.held.all)]
	r.show(requestChart(s, done, direct, r.typist), all.held.chart(done, all.one, r.typist))
	return nil
}

// delays measures how long an event of a stream is on its way.
func (r *runner) delays(s settings, all *streamed) error {
	done := r.interleave(s.seed, 1, s.delays, all.paced, r.follow)
	r.show(delayChart(done, all.paced, r.typist))
	return nil
}

// bursts measures the cost of a long stream.
func (r *runner) bursts(s settings, all *streamed) error {
	done := r.interleave(s.seed, 1, s.bursts, all.long, timed(r.drain))
	r.memory(min(s.memory, 3), all.short, r.drain)
	r.memory(min(s.memory, 3), all.long, r.drain)
	r.show(burstChart(done, all, r.typist))
	return nil
}

// batches measures many prompts through ferry, a plain loop and xargs.
func (r *runner) batches(s settings, b *batched) error {
	if s.memory > 0 {
		b.tool = r.tool
	}
	node, err := (&benched{node: b.node, env: b.env}).start(r.ctx)
	if err != nil {
		return err
	}
	defer node.close()
	b.url = node.url
	done, err := b.measure(r.ctx, s.batchRounds)
	if err == nil {
		r.show(b.chart(done, r.typist))
	}
	return err
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
func (r *runner) memory(rounds int, all []*contestant, run runFunc) {
	if r.tool == nil {
		return
	}
	for round := range rounds {
		for _, c := range all {
			if c.skipped != "" || c.broken != nil || round%c.every != 0 {
				continue
			}
			peak, err := r.peak(c, run)
			if r.ctx.Err() != nil {
				return
			}
			if err != nil {
				c.broken = fmt.Errorf("under %s: %w", r.tool.program, err)
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
