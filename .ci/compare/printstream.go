package main

import (
	"fmt"
	"math"
)

// printDelays shows how long an event is on its way through each contestant.
func printDelays(done int, all []*contestant) {
	curl := find(all, curlNName)
	fmt.Printf("\ndelay in a stream: from just before the server writes an event until its text is read from the\n"+
		"contestant's standard output, a pipe; one clock · %d events a run, one every 2 to 4 ms · %d rounds after 1 to\n"+
		"warm up, interleaved; every run that counts printed every event, in order, to the byte\n\n", pacedEvents, done)
	fmt.Printf("%-22s %6s %8s %8s %8s %8s %9s\n", "", "n", "min µs", "median", "p90", "p99", "× curl -N")
	for _, c := range all {
		if printUnfit(c) {
			continue
		}
		fmt.Printf("%-22s %6d %8.0f %8.0f %8.0f %8.0f %9.3f\n", c.name, len(c.delay), quantile(c.delay, 0), median(c.delay),
			quantile(c.delay, 0.9), quantile(c.delay, 0.99), median(c.delay)/median(curl.delay))
	}
	fmt.Println("\ngoals, by the ratio of the medians of all events (in brackets: the median of the ratio in each round)")
	for _, name := range []string{ferryTextName, ferryRawName} {
		ferry := find(all, name)
		ratio := median(ferry.delay) / median(curl.delay)
		printGoal("delay, "+name+" / curl -N", ratio, median(pairs(ferry.middle, curl.middle)), 1.2)
	}
}

// printBursts shows what a long stream costs each contestant.
func printBursts(done int, streams *streamed) {
	ferry, plain := find(streams.long, ferryTextName), find(streams.long, plainName)
	fmt.Printf("\na long stream: %d events, %.1f MB, as fast as the server sends them, into a pipe that is drained at once;\n"+
		"whole process · %d rounds after 1 to warm up, interleaved; every run that counts printed what it must, to the byte\n\n",
		longEvents, float64(streams.longBytes)/1e6, done)
	fmt.Printf("%-22s %4s %8s %8s %8s %6s %8s %8s   peak MiB at %d, %d\n", "", "n", "min ms", "median", "p90", "MB/s",
		"cpu ms", "× plain", shortEvents, longEvents)
	for _, c := range streams.long {
		if printUnfit(c) {
			continue
		}
		wall, short := values(c.wall), find(streams.short, c.name)
		middle := median(wall)
		fmt.Printf("%-22s %4d %8.1f %8.1f %8.1f %6.0f %8.1f %8.3f   %8s %13s\n", c.name, len(wall),
			quantile(wall, 0), middle, quantile(wall, 0.9), float64(streams.longBytes)/1e3/middle, median(values(c.cpu)),
			middle/median(values(plain.wall)), figure("%.1f", median(short.peak)), figure("%.1f", median(c.peak)))
	}
	fmt.Println("MB/s: bytes of the event stream over the median · curl decodes nothing: it is the floor")
	fmt.Println("\ngoals, by the ratio of the medians of this run (in brackets: the median of the paired ratios)")
	printGoal("wall time, ferry / plain", median(values(ferry.wall))/median(values(plain.wall)),
		median(pairs(ferry.wall, plain.wall)), 0.5)
	printGoal("processor time, ferry / plain", median(values(ferry.cpu))/median(values(plain.cpu)),
		median(pairs(ferry.cpu, plain.cpu)), 0.5)
	flat := median(ferry.peak) / median(find(streams.short, ferryTextName).peak)
	printGoal(fmt.Sprintf("peak memory, ferry, %d / %d", longEvents, shortEvents), flat, math.NaN(), 1.1)
}

// printUnfit prints why a contestant has no figures, if it has none.
func printUnfit(c *contestant) bool {
	switch {
	case c.skipped != "":
		fmt.Printf("%-22s skipped: %s\n", c.name, c.skipped)
	case c.broken != nil:
		fmt.Printf("%-22s failed: %v\n", c.name, c.broken)
	default:
		return false
	}
	return true
}
