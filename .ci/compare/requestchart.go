package main

import (
	"fmt"
	"math"
	"os"
	"time"
)

const requestTitle = "One request"

// binaryGoal is what the binary may have, MB.
const binaryGoal = 20

// requestChart shows what one request costs each contestant.
func requestChart(s settings, done int, all []*contestant, t typist) chart {
	ferry := find(all, ferryName)
	c := chart{
		title: requestTitle, again: only("ask"),
		about: fmt.Sprintf("from the start of the process to its end, over loopback · %s after %d to warm up, interleaved, in another order\n"+
			"each time (seed %d); every run that counts crossed exactly once and printed the answer", counted(done, "round"), s.warmup, s.seed),
		heads: []string{"runs", "ms", "ferry ÷ this", "round by round", "processor ms", "peak MiB"},
		notes: "ferry ÷ this: of the medians; below 1 ferry takes less · round by round: within each round, which the machine's slow\n" +
			"moments spread less · peak: GNU time's, in a pass of its own; of several processes the largest",
	}
	for _, each := range all {
		r := row{name: each.name, command: t.command(each), absent: each.unfit(len(each.wall))}
		r.cells = append([]string{fmt.Sprint(len(each.wall)), spread("%.2f", values(each.wall))},
			against(each == ferry, ferry.wall, each.wall)...)
		r.cells = append(r.cells, figure("%.2f", median(values(each.cpu))), figure("%.1f", median(each.peak)))
		c.rows = append(c.rows, r)
	}
	for _, g := range []struct {
		against string
		limit   float64
	}{{curlName, 0.5}, {loopName, 0.17}, {bareName, 1.2}} {
		c.goals = append(c.goals, ratio("time, ferry ÷ "+g.against, ferry.wall, find(all, g.against).wall, g.limit))
	}
	c.goals = append(c.goals, most("peak memory, ferry ÷ curl", "%.3f", median(ferry.peak)/median(find(all, curlName).peak), 1))
	return c
}

// sizeChart weighs the binary.
func sizeChart(ferry string) chart {
	size := math.NaN()
	if info, err := os.Stat(ferry); err == nil {
		size = float64(info.Size()) / 1e6
	}
	return chart{
		title: "The binary", again: "make build && wc -c <ferry", about: "static, without debug tables, as make build leaves it",
		heads: []string{"MB"},
		rows:  []row{{name: "ferry", command: "make build && wc -c <ferry", cells: []string{figure("%.1f", size)}}},
		goals: []goal{most("binary, MB", "%.1f", size, binaryGoal)},
	}
}

// chart says what a holder costs where there is nothing to save, and what it saves where there is a handshake.
func (h *held) chart(done int, all []*contestant, t typist) chart {
	c := chart{
		title: "A connection that stays", again: only("ask"),
		about: fmt.Sprintf("in the same %s · over plain http a kept connection saves next to nothing, so that the holder's price shows;\n"+
			"over https it saves a handshake, on loopback without its round trips", counted(done, "round")),
		heads: []string{"runs", "ms", "÷ without --hold", "round by round", "peak MiB"},
	}
	without := map[string]string{heldName: ferryName, heldSecureName: secureName}
	limits := map[string]float64{heldName: 1.1, heldSecureName: 1}
	for _, name := range []string{ferryName, heldName, secureName, heldSecureName} {
		each, direct := find(all, name), find(all, without[name])
		r := row{name: name, command: t.command(each), absent: each.unfit(len(each.wall))}
		r.cells = append([]string{fmt.Sprint(len(each.wall)), spread("%.2f", values(each.wall))},
			against(without[name] == "", each.wall, direct.wall)...)
		r.cells = append(r.cells, figure("%.1f", median(each.peak)))
		c.rows = append(c.rows, r)
		if without[name] != "" {
			c.goals = append(c.goals, ratio("time, "+name+" ÷ without", each.wall, direct.wall, limits[name]))
		}
	}
	for _, name := range []string{"the larger holder, at work", "the larger holder, at rest"} {
		largest := math.NaN()
		if err := h.weigh(); err != nil {
			c.notes = "memory of the holders: " + err.Error()
		} else {
			largest = quantile(h.memory, 1)
		}
		c.rows = append(c.rows, row{name: name, command: "ferry config hold -o json",
			cells: []string{"–", "–", "–", "–", figure("%.1f", largest)}})
		c.goals = append(c.goals, most("memory of "+name+", MiB", "%.1f", largest, holderGoal))
		time.Sleep(quiet)
	}
	return c
}
