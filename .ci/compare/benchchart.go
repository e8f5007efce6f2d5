package main

import (
	"fmt"
	"math"
	"time"
)

// benchStall is how long the node answers nothing.
const benchStall = time.Second

const (
	accuracyTitle = "How right ferry bench is"
	costTitle     = "What ferry bench costs"
	stallTitle    = "Whether a stall shows"
)

// loadNote holds for every load generator.
const loadNote = "the node is a process of its own; a run counts where every request was answered and reported, over connections that are\n" +
	"used again · of hey and vegeta the first request of each connection holds the connect, of the others none does"

// of are one figure of c's runs, by round.
func (c *contestant) of(figure func(figures) float64) map[int]float64 {
	out := map[int]float64{}
	if c.load != nil {
		for round, got := range c.load.got {
			out[round] = figure(got)
		}
	}
	return out
}

func meanOf(f figures) float64        { return f.mean }
func middleOf(f figures) float64      { return f.p50 }
func highOf(f figures) float64        { return f.p99 }
func uncorrectedOf(f figures) float64 { return f.uncorrected }

// differences are a's figures less b's, for every round that holds both.
func differences(a, b map[int]float64) []float64 {
	var out []float64
	for round, x := range a {
		if y, ok := b[round]; ok {
			out = append(out, x-y)
		}
	}
	return out
}

// accuracyChart shows what each contestant says of one node.
func accuracyChart(done int, all []*contestant, t typist) chart {
	ferry, raw := find(all, benchName), find(all, socketName)
	c := chart{
		title: fmt.Sprintf("%s, %d at a time", accuracyTitle, raw.load.connections), again: only("bench"),
		about: fmt.Sprintf("%d requests a run (wrk, vegeta: as many as fit the same time), %d at a time, each answered after %s · %s,\n"+
			"interleaved · %s", raw.load.requests, raw.load.connections, benchDelay, counted(done, "round"), loadNote),
		heads: []string{"runs", "mean ms", "p50", "p99", "mean − raw", "p50 − raw"},
		notes: "raw: the loop over sockets, which is the truth here; the differences are within each round, in brackets their middle half",
	}
	for _, each := range all {
		mean, p50 := each.of(meanOf), each.of(middleOf)
		r := row{name: each.name, command: t.command(each), absent: each.unfit(len(mean))}
		r.cells = []string{fmt.Sprint(len(mean)), figure("%.3f", median(values(mean))), figure("%.3f", median(values(p50))),
			figure("%.3f", median(values(each.of(highOf)))), "–", "–"}
		if each != raw {
			r.cells[4] = spread("%+.3f", differences(mean, raw.of(meanOf)))
			r.cells[5] = spread("%+.3f", differences(p50, raw.of(middleOf)))
		}
		c.rows = append(c.rows, r)
	}
	for _, of := range []struct {
		name   string
		figure func(figures) float64
	}{{"mean", meanOf}, {"p50", middleOf}} {
		mine, truth := ferry.of(of.figure), raw.of(of.figure)
		within := 0.01*median(values(truth)) + 0.2
		c.goals = append(c.goals, goal{
			what: fmt.Sprintf("bench %s − raw, %d at a time, ms", of.name, raw.load.connections), format: "%+.3f",
			got: median(values(mine)) - median(values(truth)), paired: differences(mine, truth), low: -within, high: within,
		})
	}
	return c
}

// costChart shows what each contestant takes of the machine.
func costChart(done int, all []*contestant, t typist) chart {
	ferry, hey := find(all, benchName), find(all, heyName)
	c := chart{
		title: costTitle, again: only("bench"),
		about: fmt.Sprintf("%d requests a run, %d at a time, each answered after %s; whole process, nothing subtracted · %s, interleaved",
			ferry.load.requests, benchCrowd, benchDelay, counted(done, "round")),
		heads: []string{"runs", "processor ms / 1000 requests", "ferry ÷ this", "round by round", "peak MiB"},
		notes: "hey prints its summary here, and every request where its accuracy is measured · vegeta: the attack alone, without the\n" +
			"report that reads its file",
	}
	for _, each := range all {
		r := row{name: each.name, command: t.command(each), absent: each.unfit(len(each.cpu))}
		r.cells = append([]string{fmt.Sprint(len(each.cpu)), spread("%.1f", values(each.cpu))},
			against(each == ferry, ferry.cpu, each.cpu)...)
		r.cells = append(r.cells, figure("%.1f", median(each.peak)))
		c.rows = append(c.rows, r)
	}
	c.goals = []goal{
		ratio("bench, processor, ferry ÷ hey", ferry.cpu, hey.cpu, 1),
		most("bench, peak memory, ferry ÷ hey", "%.3f", median(ferry.peak)/median(hey.peak), 1),
	}
	return c
}

// stallChart shows who notices that a node stood still.
func stallChart(runs int, all []*contestant, t typist) chart {
	c := chart{
		title: stallTitle, again: only("bench"),
		about: fmt.Sprintf("%d requests a second for %s; from the middle on the node answers nothing for %s, else at once · %s, of all\n"+
			"contestants at the same time", benchRate, benchLength, benchStall, counted(runs, "run")),
		heads: []string{"runs", "requests", "mean ms", "p50", "p99", "uncorrected p99"},
		notes: "p99: counted from when a request should have been sent, where the contestant can · uncorrected: from when it was sent,\n" +
			"which hides all that a busy connection kept waiting",
	}
	for _, each := range all {
		high, uncorrected := values(each.of(highOf)), median(values(each.of(uncorrectedOf)))
		if uncorrected == 0 {
			uncorrected = math.NaN()
		}
		requests := each.of(func(f figures) float64 { return float64(f.requests) })
		c.rows = append(c.rows, row{name: each.name, command: t.command(each), absent: each.unfit(len(high)), cells: []string{
			fmt.Sprint(len(high)), figure("%.0f", median(values(requests))), figure("%.2f", median(values(each.of(meanOf)))),
			figure("%.2f", median(values(each.of(middleOf)))), figure("%.2f", median(high)), figure("%.2f", uncorrected),
		}})
	}
	for _, name := range []string{benchCrowdName, benchOneName} {
		high := values(find(all, name).of(highOf))
		g := goal{what: "a stall of 1 s in p99, " + name + ", ms", format: "%.0f", got: median(high), low: 850, high: 1000}
		if len(high) > 1 {
			g.paired = high
		}
		c.goals = append(c.goals, g)
	}
	return c
}
