// Command compare measures one `ferry ask` against what people use instead: curl, a curl + jq retry loop, a bare Go
// program and the official JavaScript SDK, all sending one request to the same loopback server in one interleaved run.
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
	"time"
)

// settings are the flags, each bounded so that no run is endless.
type settings struct {
	ferry          string
	rounds, warmup int
	memory         int
	seed           uint64
	limit          time.Duration

	load string // how busy the machine was before the first run
}

func main() {
	var s settings
	flag.StringVar(&s.ferry, "ferry", "", "the ferry binary; built from this checkout when empty")
	flag.IntVar(&s.rounds, "rounds", 60, "measured rounds, 1 to 2000")
	flag.IntVar(&s.warmup, "warmup", 3, "rounds before them that are not counted, 0 to 100")
	flag.IntVar(&s.memory, "memory", 10, "runs for peak memory, 0 to 200")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "the seed of the order in each round")
	flag.DurationVar(&s.limit, "limit", 4*time.Minute, "the time for all of it; what is measured by then is printed")
	flag.Parse()
	if flag.NArg() > 0 || s.rounds < 1 || s.rounds > 2000 || s.warmup < 0 || s.warmup > 100 || s.memory < 0 || s.memory > 200 {
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
	node, err := startServer()
	if err != nil {
		return err
	}
	defer node.close()
	all, err := contestants(work, s.ferry, node.url)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(interrupted, s.limit)
	defer cancel()
	r := &runner{ctx: ctx, work: work, server: node}
	s.load = loadAverage()
	done := r.rounds(s, all)
	tool, reason := r.memory(s, all)

	printHeader(s, done)
	printTable(all)
	printMemoryNote(tool, reason)
	printGoals(all)
	return failures(all)
}

// rounds runs every contestant once a round, in an order of its own each time, and returns how many rounds were run.
func (r *runner) rounds(s settings, all []*contestant) int {
	order := rand.New(rand.NewPCG(s.seed, 0))
	for round := -s.warmup; round < s.rounds; round++ {
		for _, i := range order.Perm(len(all)) {
			c := all[i]
			if c.skipped != "" || c.broken != nil || round > 0 && round%c.every != 0 {
				continue
			}
			wall, cpu, err := r.run(c, c.argv)
			if r.ctx.Err() != nil {
				return max(round, 0)
			}
			if err != nil {
				c.broken = err
				continue
			}
			if round >= 0 {
				c.wall[round], c.cpu[round] = wall, cpu
			}
		}
	}
	return s.rounds
}

// memory is a pass of its own, because the tool that measures peak memory adds a process to each run.
func (r *runner) memory(s settings, all []*contestant) (*gnuTime, error) {
	tool, err := r.findGNUTime()
	if err != nil {
		return nil, err
	}
	for round := range s.memory {
		for _, c := range all {
			if c.skipped != "" || c.broken != nil || round%c.every != 0 {
				continue
			}
			peak, err := r.peak(tool, c)
			if r.ctx.Err() != nil {
				return tool, nil
			}
			if err != nil {
				c.broken = fmt.Errorf("under %s: %w", tool.program, err)
				continue
			}
			c.peak = append(c.peak, peak)
		}
	}
	return tool, nil
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
