package main

import (
	"fmt"
	"math"
)

// chart shows what many prompts cost each way.
func (b *batched) chart(rounds int, t typist) chart {
	ferry := b.of(batchName)
	c := chart{
		title: batchTitle, again: only("batch"),
		about: fmt.Sprintf("%d at %d at a time against the demo node, a process of its own, which fails every twentieth; one attempt each, whole\n"+
			"process; xargs, which starts a process for each, gets %d of them · %s · prompts-N holds N lines: “prompt number 1” and so on",
			b.items, batchCrowd, b.of(xargsName).items, counted(rounds, "round")),
		heads: []string{"runs", "items/s", "ferry ÷ this", "round by round", "processor ms / 1000 items", "connections", "peak MiB"},
		notes: "Every item was accounted for: OUT and OUT.failed have as many lines as the node saw successes and faults · here a\n" +
			"ratio above 1 is in ferry's favour · the peak of xargs is that of its largest process",
	}
	for _, m := range b.all {
		each := &contestant{skipped: m.skipped}
		r := row{name: m.name, command: t.line(b.argv(m, 0)...), absent: each.unfit(len(m.rate))}
		r.cells = append([]string{fmt.Sprint(len(m.rate)), spread("%.0f", values(m.rate))}, against(m == ferry || m.name == smallName, ferry.rate, m.rate)...)
		r.cells = append(r.cells, figure("%.1f", median(values(m.cpu))), fmt.Sprint(m.connections), figure("%.1f", median(m.peak)))
		c.rows = append(c.rows, r)
	}
	for _, floor := range []struct {
		against string
		least   float64
	}{{batchLoopName, 0.7}, {xargsName, 5}} {
		g := ratio("items/s, ferry ÷ "+floor.against, ferry.rate, b.of(floor.against).rate, math.Inf(1))
		g.low = floor.least
		c.goals = append(c.goals, g)
	}
	connections := math.NaN()
	if len(ferry.rate) > 0 {
		connections = float64(ferry.connections)
	}
	c.goals = append(c.goals, most("connections of a batch", "%.0f", connections, 2*batchCrowd),
		most("peak memory, the batch ÷ a tenth of it", "%.3f", median(ferry.peak)/median(b.of(smallName).peak), 1.5))
	return c
}
