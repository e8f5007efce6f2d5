package main

import (
	"fmt"
	"math"
)

const (
	delayTitle = "The delay of a stream's events"
	burstTitle = "A long stream"
)

// delayChart shows how long an event is on its way through each contestant.
func delayChart(done int, all []*contestant, t typist) chart {
	ferry, curl := find(all, ferryTextName), find(all, curlNName)
	c := chart{
		title: delayTitle, again: only("stream"),
		about: fmt.Sprintf("from just before the server writes an event until its text is read from the contestant's standard output, a pipe ·\n"+
			"%d events a run, one every 2 to 4 ms · %s after 1 to warm up, interleaved; every run that counts printed every\n"+
			"event, in order, to the byte", pacedEvents, counted(done, "round")),
		heads: []string{"events", "µs", "p99", "ferry ÷ this", "round by round"},
	}
	for _, each := range all {
		r := row{name: each.name, command: t.command(each), absent: each.unfit(len(each.delay))}
		r.cells = []string{fmt.Sprint(len(each.delay)), spread("%.0f", each.delay), figure("%.0f", quantile(each.delay, 0.99)), "–", "–"}
		if each != ferry {
			r.cells[3] = figure("%.3f", median(ferry.delay)/median(each.delay))
			r.cells[4] = spread("%.3f", pairs(ferry.middle, each.middle))
		}
		c.rows = append(c.rows, r)
	}
	for _, name := range []string{ferryTextName, ferryRawName} {
		mine := find(all, name)
		c.goals = append(c.goals, goal{what: "delay, " + name + " ÷ curl -N", format: "%.3f",
			got: median(mine.delay) / median(curl.delay), paired: pairs(mine.middle, curl.middle), low: math.NaN(), high: 1.2})
	}
	return c
}

// burstChart shows what a long stream costs each contestant.
func burstChart(done int, streams *streamed, t typist) chart {
	ferry, plain := find(streams.long, ferryTextName), find(streams.long, plainName)
	c := chart{
		title: burstTitle, again: only("stream"),
		about: fmt.Sprintf("%d events, %.1f MB, as fast as the server sends them, into a pipe that is drained at once; whole process · %s\n"+
			"after 1 to warm up, interleaved; every run that counts printed what it must, to the byte",
			longEvents, float64(streams.longBytes)/1e6, counted(done, "round")),
		heads: []string{"runs", "ms", "MB/s", "ferry ÷ this", "round by round", "processor ms",
			fmt.Sprintf("peak MiB at %d", shortEvents), fmt.Sprintf("at %d", longEvents)},
		notes: "curl decodes nothing: it is the floor",
	}
	for _, each := range streams.long {
		r := row{name: each.name, command: t.command(each), absent: each.unfit(len(each.wall))}
		r.cells = []string{fmt.Sprint(len(each.wall)), spread("%.1f", values(each.wall)),
			figure("%.0f", float64(streams.longBytes)/1e3/median(values(each.wall)))}
		r.cells = append(r.cells, against(each == ferry, ferry.wall, each.wall)...)
		r.cells = append(r.cells, figure("%.1f", median(values(each.cpu))),
			figure("%.1f", median(find(streams.short, each.name).peak)), figure("%.1f", median(each.peak)))
		c.rows = append(c.rows, r)
	}
	c.goals = []goal{
		ratio("long stream, time, ferry ÷ plain Go", ferry.wall, plain.wall, 0.5),
		ratio("long stream, processor, ferry ÷ plain Go", ferry.cpu, plain.cpu, 0.5),
		most(fmt.Sprintf("peak memory, ferry, %d ÷ %d events", longEvents, shortEvents), "%.3f",
			median(ferry.peak)/median(find(streams.short, ferryTextName).peak), 1.1),
	}
	return c
}
