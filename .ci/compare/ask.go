package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	curl   = `curl -sS -X POST -H "x-api-key: $GATEWAY_KEY" -H content-type:application/json `
	prompt = ` '{"prompt":"hi","max_tokens":100}'`
	gate   = `$NODE/api/v1/complete?envelope`
)

// oneRequest measures a complete process that sends one request. It measures --hold where a kept connection saves next
// to nothing (loopback) and where it saves a handshake (https).
func oneRequest(c *comparison, t *table) error {
	t.about = "From process start to exit, by hyperfine: a round is the median of 5 runs (SDK: 1). Peak memory by GNU time, in separate\n" +
		"runs. The ratios of --hold are to the same command without it; on loopback it saves no round trip."
	sides := []*side{
		{name: "ferry ask -o raw", line: "ferry ask -o raw -n gateway hi", runs: 5},
		{name: "curl", line: curl + "-d" + prompt + " " + gate, runs: 5},
		{name: "curl + jq retry loop", line: "bash .ci/compare/loop.sh " + gate + prompt, runs: 5},
		{name: "bare Go, net/http", line: "plain post " + gate + prompt, runs: 5},
		{name: "official JavaScript SDK", line: "node .ci/compare/sdk.mjs", runs: 1},
		{name: "ferry ask --hold", line: "ferry ask -o raw -n gateway --hold 5m hi", runs: 5},
		{name: "ferry ask --hold, https", line: "ferry ask -o raw -n secure --hold 5m hi", runs: 5},
		{name: "ferry ask, https", line: "ferry ask -o raw -n secure hi", runs: 5},
	}
	ferry, held, secureHeld, secure := sides[0], sides[5], sides[6], sides[7]
	defer c.execute(&side{line: "ferry config hold stop"}) // if it fails, the holders end by their own idle time
	err := c.interleave(5, sides, func(s *side) error {
		out, seen, err := c.execute(s)
		if err != nil || seen.Requests != 1 || seen.Failed > 0 || len(out) < 20 {
			return fmt.Errorf("it printed %q, and the node saw %+v (%v)", out, seen, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if opened := secureHeld.got[connections]; opened[1] != 0 { // the first request started the holder
		return fmt.Errorf("a held connection was not used: %v were opened", opened)
	}
	if err := c.interleave(20, sides, func(s *side) error { return c.hyperfine(s) }); err != nil {
		return err
	}
	t.compare("ms", sides[:5], map[string]*goal{"curl": atMost(0.5), "curl + jq retry loop": atMost(0.15), "bare Go, net/http": atMost(1.2)})
	t.compare("processor ms", sides[:5], nil)
	t.compare(peakMiB, sides[:5], map[string]*goal{"curl": atMost(1)})
	t.compare("ms", []*side{held, ferry}, map[string]*goal{ferry.name: atMost(1.1)})
	t.compare("ms", []*side{secureHeld, secure}, map[string]*goal{secure.name: atMost(1)})
	return c.holders(t)
}

// holders adds the memory of the larger of the two holders.
func (c *comparison) holders(t *table) error {
	list := &side{line: "ferry config hold -o json | jq -s 'if length == 2 then map(.memory_bytes) | max else error end'"}
	for _, when := range []string{"at work", "at rest"} {
		out, _, err := c.execute(list)
		if err != nil {
			return err
		}
		bytes, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
		if err != nil {
			return err
		}
		t.add(row{what: "the larger holder " + when + ", MiB", values: []float64{bytes / (1 << 20)}, goal: atMost(12), command: list.line})
		time.Sleep(3 * time.Second)
	}
	return nil
}
