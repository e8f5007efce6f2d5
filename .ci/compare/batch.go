package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	batchName     = "ferry ask --batch"
	batchLoopName = "plain Go loop"
	xargsName     = "xargs -P curl"

	batchCrowd = 64
	// batchShare is how many of the items xargs gets one of: it starts a process for each.
	batchShare = 50
	// batchSmall is how many of the items the smaller run gets one of, whose memory the larger one's is held against.
	batchSmall = 10
	// batchLimit bounds one run.
	batchLimit = 3 * time.Minute
	// batchFaults is what the node is asked to fail: every twentieth request.
	batchFaults = "?success=95"
)

// batched are the ways to ask many prompts.
type batched struct {
	work, ferry, node, loop string
	env                     []string
	url                     string
	tool                    *gnuTime

	rate map[string][]float64 // items a second
	cpu  map[string][]float64 // milliseconds of the processor for 1000 items
	peak map[string][]float64 // MiB
	// connections are the most that a run opened.
	connections map[string]int
	skipped     string // why xargs does not run
}

// crowdSeen is what the node says of what arrived.
type crowdSeen struct{ Requests, Faults, Connections int }

// batches measures and prints many prompts through ferry, a plain loop and xargs.
func (r *runner) batches(s settings, tool *gnuTime, env []string) error {
	if r.ctx.Err() != nil {
		fmt.Printf("\n%s: not measured: the time limit is %s\n", batchName, s.limit)
		return nil
	}
	b := &batched{
		work: r.work, ferry: s.ferry, node: filepath.Join(r.work, "crowd"), loop: filepath.Join(r.work, "plain-loop"),
		env: append(env[:len(env):len(env)], "FERRY_KEY="+key), tool: tool,
		rate: map[string][]float64{}, cpu: map[string][]float64{}, peak: map[string][]float64{}, connections: map[string]int{},
	}
	for out, pkg := range map[string]string{b.node: "./.ci/compare/crowd", b.loop: "./.ci/compare/loop"} {
		if err := goBuild(out, pkg); err != nil {
			return err
		}
	}
	for _, program := range []string{"xargs", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			b.skipped = program + " is not installed"
		}
	}
	node, err := (&benched{node: b.node, env: b.env}).start(r.ctx)
	if err != nil {
		return err
	}
	defer node.close()
	b.url = node.url
	done := 0
	for round := range s.batchRounds {
		if err := b.round(r.ctx, round, s.batchItems); err != nil {
			if r.ctx.Err() != nil {
				break
			}
			return err
		}
		done++
	}
	b.print(done, s.batchItems)
	return nil
}

// round runs each way once. The order turns with the rounds.
func (b *batched) round(ctx context.Context, round, items int) error {
	runs := []func() error{
		func() error { return b.throughFerry(ctx, fmt.Sprintf("ferry-%d", round), batchName, items) },
		func() error { return b.throughLoop(ctx, items) },
	}
	if round%2 == 1 {
		runs[0], runs[1] = runs[1], runs[0]
	}
	runs = append(runs, func() error { return b.throughXargs(ctx, max(1, items/batchShare)) }, func() error {
		return b.throughFerry(ctx, fmt.Sprintf("small-%d", round), smallName, max(1, items/batchSmall))
	})
	for _, run := range runs {
		if err := run(); err != nil {
			return err
		}
	}
	return nil
}

const smallName = batchName + ", a tenth"

// input writes so many prompts.
func (b *batched) input(items int) (string, error) {
	path := filepath.Join(b.work, "prompts-"+strconv.Itoa(items))
	var text bytes.Buffer
	for i := range items {
		fmt.Fprintf(&text, "prompt number %d\n", i+1)
	}
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

func (b *batched) throughFerry(ctx context.Context, out, name string, items int) error {
	in, err := b.input(items)
	if err != nil {
		return err
	}
	out = filepath.Join(b.work, out+".jsonl")
	// One attempt, as the others make: with more, what is measured is how long the waits are.
	_, seen, err := b.timed(ctx, name, items, 1, b.ferry, "ask", "-q", "--batch", in, "--out", out, "-c",
		strconv.Itoa(batchCrowd), "--attempts", "1", "--max-tokens", "100", "-n", b.url+batchFaults)
	if err != nil {
		return err
	}
	answered, err := countLines(out)
	if err != nil {
		return err
	}
	failed, err := countLines(out + ".failed")
	if err != nil {
		return err
	}
	if answered+failed != items || failed != seen.Faults || seen.Requests != items {
		return fmt.Errorf("%s: %d answered and %d failed of %d, and the node saw %+v", name, answered, failed, items, seen)
	}
	return nil
}

func (b *batched) throughLoop(ctx context.Context, items int) error {
	in, err := b.input(items)
	if err != nil {
		return err
	}
	said, seen, err := b.timed(ctx, batchLoopName, items, 0, b.loop, "-c", strconv.Itoa(batchCrowd),
		b.url+messagesPath+batchFaults, in, filepath.Join(b.work, "loop.jsonl"))
	if want := fmt.Sprintf("%d answered, %d failed", items-seen.Faults, seen.Faults); err == nil && strings.TrimSpace(said) != want {
		return fmt.Errorf("%s said %q, want %q", batchLoopName, said, want)
	}
	return err
}

func (b *batched) throughXargs(ctx context.Context, items int) error {
	if b.skipped != "" {
		return nil
	}
	in, err := b.input(items)
	if err != nil {
		return err
	}
	_, seen, err := b.timed(ctx, xargsName, items, 0, "xargs", "-a", in, "-P", strconv.Itoa(batchCrowd), "-I{}", "curl", "-sS",
		"-o", "/dev/null", "-H", "x-api-key: "+key, "-H", "content-type: application/json", "-H", "anthropic-version: 2023-06-01",
		"-d", `{"model":"claude-haiku-5-5","max_tokens":100,"messages":[{"role":"user","content":"{}"}]}`,
		b.url+messagesPath+batchFaults)
	if err == nil && seen.Requests != items {
		return fmt.Errorf("%s: the node saw %+v of %d", xargsName, seen, items)
	}
	return err
}

// timed runs a program, which has to end with a code, and keeps its rate, peak memory and connections.
func (b *batched) timed(ctx context.Context, name string, items, code int, argv ...string) (string, crowdSeen, error) {
	ctx, cancel := context.WithTimeout(ctx, batchLimit)
	defer cancel()
	report := filepath.Join(b.work, "peak")
	if b.tool != nil {
		argv = append([]string{b.tool.program, "-q", "-f", "%M", "-o", report}, argv...)
	}
	if _, err := b.seen(); err != nil { // what came before
		return "", crowdSeen{}, err
	}
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, notes bytes.Buffer
	command.Env, command.Stdout, command.Stderr, command.WaitDelay = b.env, &out, &notes, time.Second
	started := time.Now()
	err := command.Run()
	took := time.Since(started)
	if ctx.Err() != nil {
		return "", crowdSeen{}, ctx.Err()
	}
	if command.ProcessState == nil || command.ProcessState.ExitCode() != code {
		return "", crowdSeen{}, fmt.Errorf("%s: %w: %.500s", name, err, bytes.TrimSpace(notes.Bytes()))
	}
	seen, err := b.seen()
	if err != nil {
		return "", seen, err
	}
	b.rate[name] = append(b.rate[name], float64(items)/took.Seconds())
	b.cpu[name] = append(b.cpu[name], 1000*processorTime(command)/float64(items))
	b.connections[name] = max(b.connections[name], seen.Connections)
	if b.tool != nil {
		peak, err := readPeak(report)
		if err != nil {
			return "", seen, err
		}
		b.peak[name] = append(b.peak[name], peak)
	}
	return out.String(), seen, nil
}

func (b *batched) seen() (crowdSeen, error) {
	client := http.Client{Timeout: runLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(b.url + "/seen")
	if err != nil {
		return crowdSeen{}, err
	}
	defer answer.Body.Close()
	var seen crowdSeen
	err = json.NewDecoder(answer.Body).Decode(&seen)
	return seen, err
}

func countLines(path string) (int, error) {
	text, err := os.ReadFile(path)
	return bytes.Count(text, []byte("\n")), err
}

func (b *batched) print(rounds, items int) {
	fmt.Printf("\nmany prompts: %d at %d at a time against the demo node, a process of its own, which fails every twentieth; one\n"+
		"attempt each, whole process · %s: %d of them · %d rounds\n\n", items, batchCrowd, xargsName, max(1, items/batchShare), rounds)
	fmt.Printf("%-26s %10s %22s %12s %10s\n", "", "items/s", "cpu ms / 1000 items", "connections", "peak MiB")
	for _, name := range []string{batchName, smallName, batchLoopName, xargsName} {
		switch {
		case name == xargsName && b.skipped != "":
			fmt.Printf("%-26s skipped: %s\n", name, b.skipped)
		default:
			fmt.Printf("%-26s %10s %22s %12d %10s\n", name, figure("%.0f", median(b.rate[name])),
				figure("%.1f", median(b.cpu[name])), b.connections[name], figure("%.1f", median(b.peak[name])))
		}
	}
	fmt.Println("every item was accounted for: OUT and OUT.failed have as many lines as the node saw successes and faults · the\n" +
		"peak of xargs is that of its largest process")
	fmt.Println("\ngoals, by the ratio of the medians of this run")
	rate := func(name string) float64 { return median(b.rate[name]) }
	printWithin("items/s, ferry / plain loop", "%.2f", rate(batchName)/rate(batchLoopName), math.NaN(), 0.7, 1000)
	printWithin("items/s, ferry / xargs", "%.2f", rate(batchName)/rate(xargsName), math.NaN(), 5, 1000)
	printWithin("connections", "%.0f", float64(b.connections[batchName]), math.NaN(), 1, 2*batchCrowd)
	printGoal("peak memory, all / a tenth", median(b.peak[batchName])/median(b.peak[smallName]), math.NaN(), 1.5)
}
