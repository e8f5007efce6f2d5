// Command compare measures ferry against the usual alternatives, in one run on one machine: curl, a script, Go programs
// and the official SDK; hey, vegeta and wrk; xargs. hyperfine measures the processes. This program measures what no
// tool does: the delay of a stream's events, bench's figures against a loop over sockets, a stall, a held connection,
// peak memory.
//
// A missed goal is a result, not a failure. The exit code is 1 if something did not work. The file is written only
// after a complete run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// subject is one measurement; -only selects its part.
type subject struct {
	part, title string
	measure     func(c *comparison, t *table) error
}

var subjects = []subject{
	{"ask", "One request", oneRequest},
	{"stream", "The delay of a stream's events", streamDelay},
	{"stream", "A long stream", longStream},
	{"bench", "What ferry bench reports, 1 at a time", accuracy(1, 100)},
	{"bench", "What ferry bench reports, 50 at a time", accuracy(50, 2500)},
	{"bench", "What ferry bench costs", benchCost},
	{"bench", "A stall of one second", stall},
	{"batch", "Many prompts", manyPrompts},
	{"binary", "The binary", binary},
}

func main() {
	ferry := flag.String("ferry", "./ferry", "the ferry binary")
	out := flag.String("out", "", "the Markdown file for the figures of a whole run")
	only := flag.String("only", "", "measure these parts alone: ask, stream, bench, batch, binary, with commas")
	quick := flag.Bool("quick", false, "as few runs as possible, to see that everything works; the figures mean nothing")
	flag.Parse()
	if err := run(*ferry, *out, *only, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ferry, out, only string, quick bool) error {
	parts := strings.Split(only, ",")
	wanted := slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool { return only != "" && !slices.Contains(parts, s.part) })
	if len(wanted) == 0 {
		return fmt.Errorf("-only: there is no part %s", only)
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, 12*time.Minute)
	defer cancel()
	head := machine(ferry)
	fmt.Print(head)
	dir, err := os.MkdirTemp("", "ferry-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := prepare(ctx, dir, ferry, quick)
	if err != nil {
		return err
	}
	defer c.stop()
	var tables []*table
	var failed error
	for _, s := range wanted {
		t := &table{title: s.title}
		if err := s.measure(c, t); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.title, err))
			continue
		}
		fmt.Print(t.markdown())
		tables = append(tables, t)
	}
	if failed != nil || out == "" || len(wanted) < len(subjects) || quick {
		return failed
	}
	before, _ := os.ReadFile(out)
	_, link, _ := strings.Cut(string(before), linkHeading)
	return os.WriteFile(out, []byte(report(head, tables)+linkHeading+link), 0o644)
}

// linkHeading begins the part of the file that `make link ROUNDS=150` measures. This program does not change that part.
const linkHeading = "\n**Over a lossy link**\n"

// binary measures the size of ferry.
func binary(c *comparison, t *table) error {
	t.about = "Static, without debug tables."
	text, err := os.ReadFile(c.dir + "/bin/ferry")
	t.add(row{what: "ferry, MB", values: []float64{float64(len(text)) / 1e6}, goal: atMost(20), command: "make build && wc -c <ferry"})
	return err
}
