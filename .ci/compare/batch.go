package main

import (
	"fmt"
	"strings"
)

// manyPrompts measures ferry ask --batch against a plain Go loop and xargs.
func manyPrompts(c *comparison, t *table) error {
	items := 100_000
	if c.quick {
		items = 500
	}
	t.about = fmt.Sprintf("%d prompts, 64 at a time, to the demo node, which fails one request in twenty; one attempt each, whole process. xargs\n"+
		"starts a process for each prompt and gets one fiftieth of the prompts. A ratio above 1 is in ferry's favour.", items)
	const to = ` "$NODE/api/v1/messages?success=95" `
	batch := "ferry ask -q --batch prompts-%d --out answers.jsonl -c 64 --attempts 1 --max-tokens 100 -n \"$NODE/api?success=95\""
	sides := []*side{
		{name: "ferry ask --batch", line: fmt.Sprintf(batch, items), code: 1},
		{name: "plain Go loop", line: fmt.Sprintf("plain -c 64 batch"+to+"prompts-%d plain.jsonl", items)},
		{name: "xargs -P curl", line: fmt.Sprintf("xargs -a prompts-%d -P 64 -I{} ", items/50) + curl + "-o /dev/null -H anthropic-version:2023-06-01" +
			` -d '{"model":"claude-haiku-5-5","max_tokens":100,"messages":[{"role":"user","content":"{}"}]}'` + to},
		{name: "ferry ask --batch, a tenth", line: fmt.Sprintf(batch, items/10), code: 1},
	}
	count := map[*side]int{sides[0]: items, sides[1]: items, sides[2]: items / 50, sides[3]: items / 10}
	write := fmt.Sprintf("for n in %d %d %d; do seq -f 'prompt number %%.0f' $n >prompts-$n; done", items, items/10, items/50)
	if _, _, err := c.execute(&side{line: write}); err != nil {
		return err
	}
	err := c.interleave(3, sides, func(s *side) error { return c.batch(s, count[s]) })
	t.compare(perSecond, sides[:3], map[string]*goal{"plain Go loop": atLeast(0.9), "xargs -P curl": atLeast(5)})
	t.compare(perThousand, sides[:3], nil)
	ferry, tenth := sides[0], sides[3]
	t.add(row{what: "ferry ask --batch, connections", values: ferry.got[connections], goal: atMost(128), command: ferry.line})
	t.compare(peakMiB, sides[:3], nil)
	t.compare(peakMiB, []*side{ferry, tenth}, map[string]*goal{tenth.name: atMost(1.5)})
	return err
}

// batch runs a side once and fails unless every item is counted.
func (c *comparison) batch(s *side, items int) error {
	said, seen, err := c.execute(s)
	if err != nil {
		return err
	}
	want := fmt.Sprintf("%d answered, %d failed", items-seen.Failed, seen.Failed)
	if strings.HasPrefix(s.line, "ferry") {
		said, _, err = c.execute(&side{line: "echo $(wc -l <answers.jsonl) answered, $(wc -l <answers.jsonl.failed) failed; rm answers.jsonl*"})
	}
	if said = strings.TrimSpace(said); err != nil || seen.Requests != items || said != "" && said != want { // xargs prints nothing
		return fmt.Errorf("%s, want %s, and the node saw %+v (%v)", said, want, seen, err)
	}
	return nil
}
