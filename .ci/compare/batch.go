package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	smallName     = batchName + ", a tenth"
	batchLoopName = "plain Go loop"
	xargsName     = "xargs -P curl"
	batchTitle    = "Many prompts"

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
	items                   int
	tool                    *gnuTime

	all []*mass
}

// mass is one way to ask many prompts, and what came of it.
type mass struct {
	name  string
	items int
	// code is how it has to end.
	code    int
	skipped string

	rate map[int]float64 // items a second, by round
	cpu  map[int]float64 // milliseconds of the processor for 1000 items
	peak []float64       // MiB
	// connections are the most that a run opened.
	connections int
}

// crowdSeen is what the node says of what arrived.
type crowdSeen struct{ Requests, Faults, Connections int }

// newBatched builds what the comparison of many prompts needs.
func newBatched(work, ferry string, env []string, items int) (*batched, error) {
	b := &batched{
		work: work, ferry: ferry, node: filepath.Join(work, "crowd"), loop: filepath.Join(work, "loop"),
		env: append(env[:len(env):len(env)], "FERRY_KEY="+key), items: items,
	}
	for out, pkg := range map[string]string{b.node: "./.ci/compare/crowd", b.loop: "./.ci/compare/loop"} {
		if err := goBuild(out, pkg); err != nil {
			return nil, err
		}
	}
	b.all = []*mass{
		// One attempt, as the others make: with more, what is measured is how long the waits are.
		{name: batchName, items: items, code: 1},
		{name: batchLoopName, items: items},
		{name: xargsName, items: max(1, items/batchShare)},
		{name: smallName, items: max(1, items/batchSmall), code: 1},
	}
	for _, m := range b.all {
		m.rate, m.cpu = map[int]float64{}, map[int]float64{}
	}
	for _, program := range []string{"xargs", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			b.of(xargsName).skipped = program + " is not installed"
		}
	}
	return b, nil
}

func (b *batched) of(name string) *mass {
	for _, m := range b.all {
		if m.name == name {
			return m
		}
	}
	return &mass{}
}

// in is the file of prompts, out that of the answers.
func (b *batched) in(m *mass) string {
	return filepath.Join(b.work, fmt.Sprintf("prompts-%d", m.items))
}

func (b *batched) out(m *mass, round int) string {
	return filepath.Join(b.work, fmt.Sprintf("answers-%d-%d.jsonl", m.items, round))
}

// argv is what runs one way in a round.
func (b *batched) argv(m *mass, round int) []string {
	to, crowd := b.url+messagesPath+batchFaults, strconv.Itoa(batchCrowd)
	switch m.name {
	case batchLoopName:
		return []string{b.loop, "-c", crowd, to, b.in(m), filepath.Join(b.work, "loop.jsonl")}
	case xargsName:
		return []string{"xargs", "-a", b.in(m), "-P", crowd, "-I{}", "curl", "-sS", "-o", "/dev/null", "-H", "x-api-key: " + key,
			"-H", "content-type: application/json", "-H", "anthropic-version: 2023-06-01",
			"-d", `{"model":"claude-haiku-5-5","max_tokens":100,"messages":[{"role":"user","content":"{}"}]}`, to}
	}
	return []string{b.ferry, "ask", "-q", "--batch", b.in(m), "--out", b.out(m, round), "-c", crowd,
		"--attempts", "1", "--max-tokens", "100", "-n", b.url + batchFaults}
}

// measure runs all ways for so many rounds and returns how many were whole.
func (b *batched) measure(ctx context.Context, rounds int) (int, error) {
	for _, m := range b.all {
		if err := b.write(m); err != nil {
			return 0, err
		}
	}
	for round := range rounds {
		turn := []*mass{b.all[0], b.all[1], b.all[2], b.all[3]}
		if round%2 == 1 {
			turn[0], turn[1] = turn[1], turn[0]
		}
		for _, m := range turn {
			if err := b.run(ctx, m, round); err != nil && ctx.Err() == nil {
				return round, fmt.Errorf("%s: %w", m.name, err)
			}
			if ctx.Err() != nil {
				return round, nil
			}
		}
	}
	return rounds, nil
}

// write writes as many prompts as m asks.
func (b *batched) write(m *mass) error {
	var text bytes.Buffer
	for i := range m.items {
		fmt.Fprintf(&text, "prompt number %d\n", i+1)
	}
	return os.WriteFile(b.in(m), text.Bytes(), 0o600)
}

// run runs m once, and fails unless every item is accounted for.
func (b *batched) run(ctx context.Context, m *mass, round int) error {
	if m.skipped != "" {
		return nil
	}
	said, seen, err := b.timed(ctx, m, round)
	if err != nil {
		return err
	}
	answered, failed := m.items-seen.Faults, seen.Faults
	switch m.name {
	case batchLoopName:
		if want := fmt.Sprintf("%d answered, %d failed", answered, failed); strings.TrimSpace(said) != want {
			err = fmt.Errorf("it said %q, want %q", said, want)
		}
	case batchName, smallName:
		if answered, err = countLines(b.out(m, round)); err == nil {
			failed, err = countLines(b.out(m, round) + ".failed")
		}
	}
	if err == nil && (answered+failed != m.items || failed != seen.Faults || seen.Requests != m.items) {
		err = fmt.Errorf("%d answered and %d failed of %d, and the node saw %+v", answered, failed, m.items, seen)
	}
	return err
}

// timed runs m's program, which has to end with its code, and keeps its rate, peak memory and connections.
func (b *batched) timed(ctx context.Context, m *mass, round int) (string, crowdSeen, error) {
	ctx, cancel := context.WithTimeout(ctx, batchLimit)
	defer cancel()
	argv, report := b.argv(m, round), filepath.Join(b.work, "peak")
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
	if command.ProcessState == nil || command.ProcessState.ExitCode() != m.code {
		return "", crowdSeen{}, fmt.Errorf("%w: %.500s", err, bytes.TrimSpace(notes.Bytes()))
	}
	seen, err := b.seen()
	if err != nil {
		return "", seen, err
	}
	if b.tool != nil {
		peak, err := readPeak(report)
		if err != nil {
			return "", seen, err
		}
		m.peak = append(m.peak, peak)
	}
	m.rate[round] = float64(m.items) / took.Seconds()
	m.cpu[round] = 1000 * processorTime(command) / float64(m.items)
	m.connections = max(m.connections, seen.Connections)
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
