package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// quantities are the values that a load generator reports.
var quantities = []string{"requests", "mean ms", "p50 ms", "p99 ms"}

// reports has the patterns of these values in each report, and the unit of its times if the report has none.
var reports = map[string]struct {
	unit     string
	patterns []string
}{
	"ferry": {"ms", []string{`"ok": *(\d+)`, `"latency_ms": *{[^}]*"mean": *([0-9.]+)`, `"latency_ms": *{[^}]*"p50": *([0-9.]+)`,
		`"latency_ms": *{[^}]*"p99": *([0-9.]+)`}},
	"socket": {"ms", []string{`(\d+) requests`, `mean ([0-9.]+)`, `p50 ([0-9.]+)`, `p99 ([0-9.]+)`}},
	"hey":    {"s", []string{`\[200\]\s+(\d+) responses`, `Average:\s+([0-9.]+)`, `50%+ in ([0-9.]+)`, `99%+ in ([0-9.]+)`}},
	"vegeta": {"ns", []string{`"requests":(\d+)`, `"mean":(\d+)`, `"50th":(\d+)`, `"99th":(\d+)`}},
	"wrk":    {"", []string{`(\d+) requests in`, `Latency\s+([0-9.]+[a-z]+)`, `50%\s+([0-9.]+[a-z]+)`, `99%\s+([0-9.]+[a-z]+)`}},
}

// read returns the quantities of a report, times in milliseconds.
func read(program, report string) (map[string]float64, error) {
	got := map[string]float64{}
	for i, pattern := range reports[program].patterns {
		found := regexp.MustCompile(pattern).FindStringSubmatch(report)
		if found == nil {
			return nil, fmt.Errorf("no %s in the report of %s: %.500s", quantities[i], program, report)
		}
		unit := reports[program].unit
		if i == 0 {
			unit = "ms"
		}
		taken, err := time.ParseDuration(found[1] + unit)
		if err != nil || taken <= 0 {
			return nil, fmt.Errorf("%s in the report of %s: %s (%v)", quantities[i], program, found[0], err)
		}
		got[quantities[i]] = 1000 * taken.Seconds()
	}
	return got, nil
}

// load runs a load generator once and stores what it reports. The node must have answered that many requests; a few
// more are for warm-up, or unfinished.
func (c *comparison) load(s *side, connections int) error {
	out, seen, err := c.execute(s)
	if err != nil {
		return err
	}
	program, _, _ := strings.Cut(s.name, " ")
	got, err := read(program, out)
	if err != nil {
		return err
	}
	reported := int(got["requests"])
	if reported == 0 || seen.Failed > 0 || seen.Requests < reported || seen.Requests > reported+2*connections {
		return fmt.Errorf("it reports %d requests and the node saw %+v", reported, seen)
	}
	for quantity, value := range got {
		s.keep(quantity, value)
	}
	return nil
}

// generators returns the load generators for one path of the node, with their flags.
func generators(path, ferry, hey, vegeta string) []*side {
	to := "$NODE/" + path + "/v1/messages"
	const headers = `-H content-type:application/json -H anthropic-version:2023-06-01 -H "x-api-key: $GATEWAY_KEY" `
	return []*side{
		{name: "ferry bench", line: cores + "ferry bench $NODE/" + path + " --api messages --connections reused -o json " + ferry},
		{name: "hey", line: cores + "hey " + hey + " -m POST " + headers + "-D .ci/compare/body.json " + to},
		{name: "vegeta", line: "echo POST " + to + " | " + cores + "vegeta attack " + vegeta + " " + strings.ReplaceAll(headers, "-H", "-header") +
			"-body .ci/compare/body.json | vegeta report -type=json"},
	}
}

// closed returns the load generators in a closed loop, for requests that take 20 ms.
func closed(connections, requests int) []*side {
	crowd, length := fmt.Sprint(connections), (time.Duration(requests/connections) * 20 * time.Millisecond).String()
	flags := fmt.Sprintf("-c %d -%%s %d", connections, requests)
	sides := generators("delay", fmt.Sprintf(flags, "r")+" --warmup "+crowd, fmt.Sprintf(flags, "n"),
		"-rate=0 -max-workers="+crowd+" -workers="+crowd+" -connections="+crowd+" -duration="+length)
	return append(sides,
		&side{name: "wrk", line: cores + "wrk -t 1 -c " + crowd + " -d " + length + " --latency -s .ci/compare/post.lua $NODE/delay/v1/messages"},
		&side{name: "socket loop", line: fmt.Sprintf(cores+`plain -c %d -n %d socket $NODE/delay/v1/messages "$(cat .ci/compare/body.json)"`, connections, requests)})
}

// accuracy compares the figures of ferry bench with the figures of a loop over sockets, in the same rounds.
func accuracy(connections, requests int) func(c *comparison, t *table) error {
	return func(c *comparison, t *table) error {
		t.about = fmt.Sprintf("%d requests a round, %d at a time, each answered after 20 ms. The loop over raw sockets is the reference; the rows\n"+
			"with a goal are differences within a round. The node has its own core if there are two.", requests, connections)
		sides := closed(connections, requests)
		if err := c.interleave(5, sides, func(s *side) error { return c.load(s, connections) }); err != nil {
			return err
		}
		ferry, socket := sides[0], sides[4]
		for _, quantity := range quantities[1:3] {
			r := row{what: "ferry bench − socket loop, " + quantity, command: ferry.line}
			for round, truth := range socket.got[quantity] {
				r.values = append(r.values, ferry.got[quantity][round]-truth)
			}
			most := 0.01*quantile(socket.got[quantity], 0.5) + 0.2
			r.goal = &goal{-most, most}
			t.add(r)
		}
		for _, quantity := range quantities[1:4] {
			t.compare(quantity, sides, nil)
		}
		return nil
	}
}

// benchCost measures the processor time and the memory of load generators.
func benchCost(c *comparison, t *table) error {
	t.about = "5000 requests a round, 50 at a time, each answered after 20 ms; whole process (vegeta: including its report)."
	sides := closed(50, 5000)
	err := c.interleave(3, sides, func(s *side) error { return c.load(s, 50) })
	t.compare(perThousand, sides, map[string]*goal{"hey": atMost(0.8)})
	t.compare(peakMiB, sides, map[string]*goal{"hey": atMost(1)})
	return err
}

// stall runs load generators at a fixed rate against a node that answers nothing for one second.
func stall(c *comparison, t *table) error {
	t.about = "100 requests a second for 10 s. Halfway through, the node answers nothing for 1 s; otherwise it answers at once. The p99\n" +
		"of ferry and vegeta counts from when a request should have been sent, the p99 of hey from when it was sent."
	sides := generators("stall", "--rate 100 -d 10s -c 200", "-n 1000 -c 1 -q 100", "-rate=100 -duration=10s")
	one := generators("stall", "--rate 100 -d 10s -c 1", "", "")[0]
	one.name += ", one connection"
	err := c.interleave(1, append(sides, one), func(s *side) error { return c.load(s, 200) })
	for _, s := range []*side{sides[0], one} {
		t.add(row{what: s.name + ", p99 ms", values: s.got["p99 ms"], goal: &goal{850, 1000}, command: s.line})
	}
	t.compare("p99 ms", sides, nil)
	return err
}
