package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// page is all that a run has measured, and what it was measured on.
type page struct {
	when    time.Time // its UTC day is shown
	machine machine
	ferry   string // version and commit
	peers   []peer

	charts  []chart
	files   []file
	leftOut []leftOut
	gaps    []string // what could not be measured on this machine
	cut     string   // why the run ended early, "" where it did not
}

// machine is where it was measured. What it does not say is "".
type machine struct {
	cores          int
	cpu, kernel    string
	goVersion      string
	load           string // the average of the last minute, before the first run
	system, family string // GOOS, GOARCH
}

// leftOut is a part that a flag leaves out.
type leftOut struct{ title, flag string }

// file is what a command reads.
type file struct{ name, text string }

func newPage(s settings, on machine, peers []peer) page {
	return page{when: time.Now(), machine: on, ferry: versionOf(s.ferry), peers: peers}
}

func thisMachine() machine {
	m := machine{cores: runtime.NumCPU(), goVersion: runtime.Version(), system: runtime.GOOS, family: runtime.GOARCH}
	if said, err := exec.Command("uname", "-sr").Output(); err == nil {
		m.kernel, _, _ = strings.Cut(strings.TrimSpace(string(said)), "-") // who built it says nothing to a reader
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.cpu = processor(string(text))
	}
	// How busy the machine was without us: ratios from a busy one drift, as more of each time is spent waiting for a core.
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

// processor is the first model in /proc/cpuinfo.
func processor(text string) string {
	for line := range strings.Lines(text) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return ""
}

// versionOf is what the binary under test says of itself.
func versionOf(ferry string) string {
	var said struct{ Version, Commit string }
	out, err := exec.Command(ferry, "version", "-o", "json").Output()
	if err != nil || json.Unmarshal(out, &said) != nil {
		return "of a version it does not say"
	}
	if said.Commit == "" || strings.HasPrefix(said.Commit, strings.TrimSuffix(said.Version, "-dirty")) {
		return said.Version
	}
	return said.Version + " (" + said.Commit + ")"
}

// busy says whether others kept at least half of the cores: then times are longer, and spread more.
func (m machine) busy() bool {
	load, err := strconv.ParseFloat(m.load, 64)
	return err == nil && load >= float64(m.cores)/2
}

// sentence names the machine.
func (m machine) sentence() string {
	parts := []string{fmt.Sprintf("%d cores", m.cores)}
	if m.cores == 1 {
		parts[0] = "1 core"
	}
	for _, part := range []string{m.cpu, m.kernel, m.system + "/" + m.family, m.goVersion} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func (m machine) loadSentence() string {
	switch {
	case m.load == "":
		return "the machine does not say how busy it was"
	case m.busy():
		return fmt.Sprintf("load average before the first run %s: **the machine was busy**, so that\n"+
			"times are longer and spread more than on a quiet machine", m.load)
	}
	return "load average before the first run " + m.load
}

// print is the head of what goes to a terminal.
func (p page) print(w io.Writer) {
	fmt.Fprintf(w, "compare: ferry %s · %s\n%s\n%s\na figure is the median, in brackets the middle half\n", p.ferry,
		p.when.UTC().Format("2006-01-02 15:04 UTC"), p.machine.sentence(), strings.ReplaceAll(p.machine.loadSentence(), "**", ""))
	for _, each := range p.peers {
		fmt.Fprintf(w, "%s %s: %s\n", each.name, each.version, each.command)
	}
}

// goals are those of all charts, each with the command that repeats it.
func (p page) goals() (all []goal, again []string) {
	for _, c := range p.charts {
		for _, g := range c.goals {
			all, again = append(all, g), append(again, c.again)
		}
	}
	return all, again
}

// less is why the page holds less than it could, "" where it is whole. What a machine has not is named on it, and is no
// reason.
func (p page) less() string {
	switch {
	case p.cut != "":
		return "cut short: " + p.cut
	case len(p.leftOut) > 0:
		return "left out: " + p.leftOutSentence()
	}
	for _, c := range p.charts {
		if c.absent != "" {
			return c.title + ": " + c.absent
		}
		for _, r := range c.rows {
			if strings.HasPrefix(r.absent, "failed") {
				return r.name + " " + r.absent
			}
		}
	}
	return ""
}

func (p page) leftOutSentence() string {
	var names []string
	for _, each := range p.leftOut {
		names = append(names, fmt.Sprintf("%s (`%s`)", lowerFirst(each.title), each.flag))
	}
	return strings.Join(names, ", ")
}

// lowerFirst is a title within a sentence.
func lowerFirst(title string) string {
	return strings.ToLower(title[:1]) + title[1:]
}

// tally counts verdicts.
func tally(goals []goal) (reached, failed, unknown int) {
	for _, g := range goals {
		switch {
		case math.IsNaN(g.got):
			unknown++
		case g.verdict() == met:
			reached++
		default:
			failed++
		}
	}
	return reached, failed, unknown
}
