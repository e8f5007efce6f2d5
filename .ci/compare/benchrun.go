package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// bench measures `ferry bench` beside other load generators.
func (r *runner) bench(s settings, b *benched) error {
	node, err := b.start(r.ctx, "-delay="+benchDelay.String())
	if err != nil {
		return err
	}
	defer node.close()
	b.one = b.loaders(node.url, "one", 1, 2*time.Second, true)
	b.crowd = b.loaders(node.url, "crowd", benchCrowd, time.Second, true)
	b.cost = b.loaders(node.url, "cost", benchCrowd, 2*time.Second, false)
	measure := func(c *contestant, round int) error { return r.load(node, c, round) }
	if s.bench > 0 {
		doneOne := r.interleave(s.seed, 0, s.bench, b.one, measure)
		doneCrowd := r.interleave(s.seed, 0, s.bench, b.crowd, measure)
		r.show(accuracyChart(doneOne, b.one, r.typist), accuracyChart(doneCrowd, b.crowd, r.typist))
	} else {
		r.leaveOut(accuracyTitle, "-bench-rounds 0")
	}
	if s.costs > 0 {
		done := r.interleave(s.seed, 0, s.costs, b.cost, func(c *contestant, round int) error {
			return r.price(node, c, round)
		})
		r.show(costChart(done, b.cost, r.typist))
	} else {
		r.leaveOut(costTitle, "-bench-costs 0")
	}
	if s.stalls == 0 {
		r.leaveOut(stallTitle, "-bench-stalls 0")
		return nil
	}
	for round := range s.stalls {
		if err := r.stall(b, round); err != nil && r.ctx.Err() == nil {
			return err
		}
	}
	r.show(stallChart(s.stalls, b.stalled, r.typist))
	return nil
}

// load runs c once and keeps what it reports.
func (r *runner) load(node *delayed, c *contestant, round int) error {
	got, _, err := r.generate(node, c, c.argv)
	if err == nil {
		c.load.got[round] = got
	}
	return err
}

// price runs c once, under GNU time where there is one, and keeps its processor time for 1000 requests and its peak
// memory. It starts one process more, which is too small to show.
func (r *runner) price(node *delayed, c *contestant, round int) error {
	run := func(c *contestant, argv []string) (wall, cpu float64, err error) {
		got, cpu, err := r.generate(node, c, argv)
		if err == nil {
			c.load.got[round], c.cpu[round] = got, 1000*cpu/float64(got.requests)
		}
		return 0, cpu, err
	}
	if r.tool == nil {
		_, _, err := run(c, c.argv)
		return err
	}
	peak, err := r.peak(c, run)
	if err == nil {
		c.peak = append(c.peak, peak)
	}
	return err
}

// stall runs all contestants at the same time, against one node that stops answering for a while: at this rate they are
// not in each other's way, and it is the same stall for all.
func (r *runner) stall(b *benched, round int) error {
	node, err := b.start(r.ctx, "-stall-after="+(benchLength/2).String(), "-stall="+benchStall.String())
	if err != nil {
		return err
	}
	defer node.close()
	now := b.stallers(node.url)
	if b.stalled == nil {
		b.stalled = now
	}
	var all sync.WaitGroup
	for i, c := range b.stalled {
		c.argv, c.load.input = now[i].argv, now[i].load.input
		if c.skipped == "" && c.broken == nil {
			all.Go(func() {
				if err := r.load(node, c, round); r.ctx.Err() == nil {
					c.broken = err
				}
			})
		}
	}
	all.Wait()
	return nil
}

// generate runs argv for c, and fails unless what it reports is what arrived at the node. The processor time is that of
// the whole process, in milliseconds.
func (r *runner) generate(node *delayed, c *contestant, argv []string) (got figures, cpu float64, err error) {
	before, err := node.seen(c.load.to)
	if err != nil {
		return got, 0, err
	}
	report, cpu, err := r.report(c.load.pin, c, argv)
	if err == nil && c.load.after != nil {
		report, _, err = r.report(nil, c, c.load.after)
	}
	if err != nil {
		return got, 0, err
	}
	if got, err = c.load.read(report); err != nil {
		return got, 0, fmt.Errorf("%w in %.300q", err, report)
	}
	if !got.sound() {
		return got, 0, fmt.Errorf("it reports %+v", got)
	}
	if c.load.requests > 0 && got.requests != c.load.requests {
		return got, 0, fmt.Errorf("it reports %d requests, want %d", got.requests, c.load.requests)
	}
	after, err := node.seen(c.load.to)
	if err != nil {
		return got, 0, err
	}
	return got, cpu, c.load.verify(got.requests, before, after)
}

// report runs argv and returns what it printed, which goes to a file until it has ended.
func (r *runner) report(pin []string, c *contestant, argv []string) ([]byte, float64, error) {
	out, err := os.CreateTemp(r.work, "report-")
	if err != nil {
		return nil, 0, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	ctx, cancel := context.WithTimeout(r.ctx, runLimit)
	defer cancel()
	argv = append(pin[:len(pin):len(pin)], argv...)
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var notes bytes.Buffer
	command.Env, command.Stdin = c.env, strings.NewReader(c.load.input)
	command.Stdout, command.Stderr, command.WaitDelay = out, &notes, time.Second
	if err := command.Run(); err != nil {
		return nil, 0, fmt.Errorf("%w: %.500s", err, bytes.TrimSpace(notes.Bytes()))
	}
	text, err := os.ReadFile(out.Name())
	return text, processorTime(command), err
}
