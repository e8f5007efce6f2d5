package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// settings are the flags, each bounded so that no run is endless. A part whose number is 0 is left out.
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

	only   string
	readme string
	force  bool
}

// parts are what -only may name.
var parts = []string{"ask", "stream", "bench", "batch"}

func readFlags(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	number := func(p *int, name string, value, least, most int, usage string) func() error {
		flags.IntVar(p, name, value, fmt.Sprintf("%s, %d to %d", usage, least, most))
		return func() error {
			if *p < least || *p > most {
				return fmt.Errorf("-%s is %d, want %d to %d", name, *p, least, most)
			}
			return nil
		}
	}
	flags.StringVar(&s.ferry, "ferry", "", "the ferry binary; built from this checkout when empty")
	bounds := []func() error{
		number(&s.rounds, "rounds", 60, 0, 2000, "measured rounds of one request; 0 leaves it out"),
		number(&s.warmup, "warmup", 3, 0, 100, "rounds before them that are not counted"),
		number(&s.memory, "memory", 10, 0, 200, "runs for peak memory; 0 leaves it out"),
		number(&s.delays, "delays", 5, 0, 100, "rounds of the delay in a stream; 0 leaves it out"),
		number(&s.bursts, "bursts", 7, 0, 100, "rounds of the long stream; 0 leaves it out"),
		number(&s.bench, "bench-rounds", 5, 0, 100, "rounds of ferry bench's accuracy; 0 leaves it out"),
		number(&s.costs, "bench-costs", 3, 0, 100, "rounds of what ferry bench costs; 0 leaves it out"),
		number(&s.stalls, "bench-stalls", 1, 0, 10, "runs of ferry bench against a node that stalls; 0 leaves it out"),
		number(&s.batchItems, "batch-items", 100_000, 0, 1_000_000, "prompts of ferry ask --batch; 0 leaves it out"),
		number(&s.batchRounds, "batch-rounds", 3, 1, 20, "rounds of them"),
	}
	flags.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "the seed of the order in each round")
	flags.DurationVar(&s.limit, "limit", 12*time.Minute, "the time for all measurements; what is measured by then is printed")
	flags.StringVar(&s.only, "only", "", "leave out all parts but these: "+strings.Join(parts, ", ")+", with commas")
	flags.StringVar(&s.readme, "readme", "", "the file whose section of figures is written when all was measured")
	flags.BoolVar(&s.force, "force", false, "write it too where a part was left out, cut short or failed")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	for _, within := range bounds {
		if err := within(); err != nil {
			return s, err
		}
	}
	return s, s.keep()
}

// keep leaves out the parts that -only does not name.
func (s *settings) keep() error {
	if s.only == "" {
		return nil
	}
	named := strings.Split(s.only, ",")
	for _, name := range named {
		if !slices.Contains(parts, name) {
			return fmt.Errorf("-only: %q is not one of %s", name, strings.Join(parts, ", "))
		}
	}
	for name, numbers := range map[string][]*int{
		"ask": {&s.rounds}, "stream": {&s.delays, &s.bursts}, "bench": {&s.bench, &s.costs, &s.stalls}, "batch": {&s.batchItems},
	} {
		for _, number := range numbers {
			if !slices.Contains(named, name) {
				*number = 0
			}
		}
	}
	return nil
}
