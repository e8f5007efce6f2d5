package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

func printHeader(s settings, done int) {
	fmt.Printf("compare: one request over loopback, whole process · %s\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Printf("%s/%s, %d cores · %s · %s · node %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		firstWords(2, "curl", "--version"), firstWords(1, "node", "--version"))
	if info, err := os.Stat(s.ferry); err == nil {
		fmt.Printf("ferry binary: %.1f MB\n", float64(info.Size())/1e6)
	}
	if s.load != "" {
		fmt.Printf("load average of the last minute, before the first run: %s\n", s.load)
	}
	fmt.Printf("%d rounds after %d to warm up, interleaved, order shuffled in each (seed %d); every run that\n"+
		"counts crossed exactly once and printed the answer\n", done, s.warmup, s.seed)
	if done < s.rounds {
		fmt.Printf("stopped at %d of %d rounds: the time limit is %s\n", done, s.rounds, s.limit)
	}
	fmt.Println()
}

// loadAverage is how busy the machine was without us, "" where it does not say. Ratios from a busy machine drift: more
// of each time is spent waiting for a core.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// firstWords is the start of what a program says, "not found" without it.
func firstWords(n int, program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) < n {
		return "not found"
	}
	return strings.Join(words[:n], " ")
}

func printTable(all []*contestant) {
	curl := find(all, curlName)
	fmt.Printf("%-22s %4s %8s %8s %8s %8s %8s   %-22s %9s\n", "", "n", "min ms", "median", "p90", "cpu ms", "× curl",
		"paired × curl [p25–p75]", "peak MiB")
	for _, c := range all {
		if printUnfit(c) {
			continue
		}
		wall, paired := values(c.wall), pairs(c.wall, curl.wall)
		fmt.Printf("%-22s %4d %8.2f %8.2f %8.2f %8.2f %8.3f   %.3f [%.3f–%.3f]    %9s\n", c.name, len(wall),
			quantile(wall, 0), median(wall), quantile(wall, 0.9), median(values(c.cpu)), median(wall)/median(values(curl.wall)),
			median(paired), quantile(paired, 0.25), quantile(paired, 0.75), figure("%.1f", median(c.peak)))
	}
	fmt.Println("× curl: ratio of the medians · paired: the ratio within each round, its median and middle half · cpu: user + system")
	fmt.Println()
}

func figure(format string, v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

func printMemoryNote(tool *gnuTime, reason error) {
	if reason != nil {
		fmt.Printf("peak memory: skipped: %v\n\n", reason)
		return
	}
	fmt.Printf("peak memory: a pass of its own through %s (GNU time, %%M), which forks from a small process: of a program that\n"+
		"does nothing it says %.1f MiB. Median of the runs; of several processes the largest one, not their sum\n\n",
		tool.program, tool.floor)
}

// printGoals says which goals were met in this run, and nothing about any other machine.
func printGoals(all []*contestant) {
	ferry, curl := find(all, ferryName), find(all, curlName)
	fmt.Println("goals, by the ratio of the medians of this run (in brackets: the median of the paired ratios)")
	for _, goal := range []struct {
		against string
		limit   float64
	}{{curlName, 0.55}, {curlName, 0.5}, {loopName, 0.17}, {bareName, 1.2}} {
		other := find(all, goal.against)
		ratio := median(values(ferry.wall)) / median(values(other.wall))
		printGoal("wall time, ferry / "+goal.against, ratio, median(pairs(ferry.wall, other.wall)), goal.limit)
	}
	printGoal("peak memory, ferry / curl", median(ferry.peak)/median(curl.peak), math.NaN(), 1)
}

func printGoal(what string, ratio, paired, limit float64) {
	verdict := "missed"
	switch {
	case math.IsNaN(ratio):
		verdict = "not measured"
	case ratio <= limit:
		verdict = "met"
	}
	fmt.Printf("  %-42s %6s %-8s  goal ≤ %.2f   %s\n", what, figure("%.3f", ratio), figure("[%.3f]", paired), limit, verdict)
}

func find(all []*contestant, name string) *contestant {
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	return &contestant{}
}
