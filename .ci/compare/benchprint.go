package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// benchStall is how long the node answers nothing.
const benchStall = time.Second

func printBenchHeader(s settings, b *benched) {
	fmt.Printf("\n%s beside other load generators, each as it comes%s\n", benchName, strings.Join(append([]string{""}, b.versions...), " · "))
	fmt.Println("the node is a process of its own; a run counts where every request was answered and reported, over connections\n" +
		"that are used again · of hey and vegeta the first request of each connection holds the connect, of the others\n" +
		"none does · wrk adds to its slow answers those that it thinks they kept waiting")
	if b.server == nil {
		fmt.Println("node and contestants share all cores: there is one core alone, or no taskset")
	} else {
		fmt.Printf("node: %s · contestants: %s\n", strings.Join(b.server, " "), strings.Join(b.clients, " "))
	}
	fmt.Printf("interleaved, order shuffled in each round (seed %d)\n", s.seed)
}

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

// printAccuracy shows what each contestant says of one node.
func printAccuracy(done int, all []*contestant) {
	raw := find(all, socketName)
	fmt.Printf("\naccuracy: %d requests a run (wrk, vegeta: as many as fit the same time), %d at a time, each answered after %s\n"+
		"%d rounds; in brackets the middle half of the rounds\n\n", raw.load.requests, raw.load.connections, benchDelay, done)
	fmt.Printf("%-22s %4s %8s %8s %8s   %-25s  %s\n", "", "n", "mean ms", "p50", "p99", "mean − raw", "p50 − raw")
	for _, c := range all {
		if printUnmeasured(c) {
			continue
		}
		mean, p50, off := c.of(meanOf), c.of(middleOf), [2]string{"–", "–"}
		if c != raw {
			off = [2]string{spread(differences(mean, raw.of(meanOf))), spread(differences(p50, raw.of(middleOf)))}
		}
		fmt.Printf("%-22s %4d %8.3f %8.3f %8.3f   %-25s  %s\n", c.name, len(mean), median(values(mean)),
			median(values(p50)), median(values(c.of(highOf))), off[0], off[1])
	}
}

// spread is the median of a sample with its middle half.
func spread(sample []float64) string {
	if len(sample) == 0 {
		return "–"
	}
	return fmt.Sprintf("%+.3f [%+.3f–%+.3f]", median(sample), quantile(sample, 0.25), quantile(sample, 0.75))
}

// printUnmeasured prints why a contestant has no figures, if it has none.
func printUnmeasured(c *contestant) bool {
	if printUnfit(c) {
		return true
	}
	if len(c.load.got) == 0 {
		fmt.Printf("%-22s not measured: the time was over\n", c.name)
		return true
	}
	return false
}

func printAccuracyGoals(b *benched) {
	fmt.Println("\ngoals, by the difference of the medians of all rounds (in brackets: the median of the differences in each round), ms")
	for _, all := range [][]*contestant{b.one, b.crowd} {
		ferry, raw := find(all, benchName), find(all, socketName)
		for _, of := range []struct {
			name   string
			figure func(figures) float64
		}{{"mean", meanOf}, {"p50", middleOf}} {
			mine, truth := ferry.of(of.figure), raw.of(of.figure)
			within := 0.01*median(values(truth)) + 0.2
			printWithin(fmt.Sprintf("%s, ferry − raw, -c %d", of.name, raw.load.connections), "%+.3f",
				median(values(mine))-median(values(truth)), median(differences(mine, truth)), -within, within)
		}
	}
}

// printCosts shows what each contestant takes of the machine.
func printCosts(done int, all []*contestant) {
	ferry, hey := find(all, benchName), find(all, heyName)
	fmt.Printf("\ncost: %d requests a run, %d at a time, each answered after %s; whole process, nothing subtracted · %d rounds\n\n",
		ferry.load.requests, benchCrowd, benchDelay, done)
	fmt.Printf("%-22s %4s %22s %8s %8s %8s   %9s\n", "", "n", "cpu ms / 1000 requests", "min", "max", "× hey", "peak MiB")
	for _, c := range all {
		if printUnmeasured(c) {
			continue
		}
		cpu := values(c.cpu)
		fmt.Printf("%-22s %4d %22.1f %8.1f %8.1f %8s   %9s\n", c.name, len(cpu), median(cpu), quantile(cpu, 0), quantile(cpu, 1),
			figure("%.3f", median(cpu)/median(values(hey.cpu))), figure("%.1f", median(c.peak)))
	}
	fmt.Println("cpu: user + system · hey prints its summary here, and every request where its accuracy is measured · vegeta: the\n" +
		"attack alone, without the report that reads its file")
	fmt.Println("\ngoals, by the ratio of the medians of this run (in brackets: the median of the paired ratios)")
	printGoal("processor time a request, ferry / hey", median(values(ferry.cpu))/median(values(hey.cpu)),
		median(pairs(ferry.cpu, hey.cpu)), 1)
	printGoal("peak memory, ferry / hey", median(ferry.peak)/median(hey.peak), math.NaN(), 1)
}

// printStalls shows who notices that a node stood still.
func printStalls(runs int, all []*contestant) {
	fmt.Printf("\nstall: %d requests a second for %s; from the middle on the node answers nothing for %s, else at once · %d runs, of\n"+
		"all contestants at the same time\n\n", benchRate, benchLength, benchStall, runs)
	fmt.Printf("%-22s %8s %8s %8s %8s %14s\n", "", "requests", "mean ms", "p50", "p99", "uncorrected p99")
	for _, c := range all {
		if printUnmeasured(c) {
			continue
		}
		uncorrected := median(values(c.of(uncorrectedOf)))
		if uncorrected == 0 {
			uncorrected = math.NaN()
		}
		fmt.Printf("%-22s %8.0f %8.2f %8.2f %8.2f %15s\n", c.name,
			median(values(c.of(func(f figures) float64 { return float64(f.requests) }))), median(values(c.of(meanOf))),
			median(values(c.of(middleOf))), median(values(c.of(highOf))), figure("%.2f", uncorrected))
	}
	fmt.Println("p99: counted from when a request should have been sent, where the contestant can · uncorrected: from when it was\n" +
		"sent, which hides all that a busy connection kept waiting")
	fmt.Println("\ngoals, by the median of the runs, ms")
	for _, name := range []string{benchCrowdName, benchOneName} {
		p99 := median(values(find(all, name).of(highOf)))
		printWithin("p99, "+name, "%.1f", p99, math.NaN(), 850, 1000)
	}
}

// printWithin is printGoal for a figure that is to lie between two.
func printWithin(what, format string, got, paired, low, high float64) {
	verdict := "missed"
	switch {
	case math.IsNaN(got):
		verdict = "not measured"
	case low <= got && got <= high:
		verdict = "met"
	}
	fmt.Printf("  %-42s %7s %-9s goal %s to %s   %s\n", what, figure(format, got), figure("["+format+"]", paired),
		figure(format, low), figure(format, high), verdict)
}
