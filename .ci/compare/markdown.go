package main

import (
	"fmt"
	"strings"
)

// markdown is the README's section: values in, text out, so that a test can hold it to a file. Who reads on finds first
// what one request costs and which goals were met; the rest can be unfolded.
func (p page) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "One run of `make compare` on **%s** (UTC): **%s**;\nferry %s; %s.\n"+
		"Each figure is of a whole process against a node on loopback: the median, in brackets the middle half.\n",
		p.when.UTC().Format("2006-01-02"), p.machine.sentence(), p.ferry, p.machine.loadSentence())
	if p.cut != "" {
		fmt.Fprintf(&b, "\n**The run was cut short: %s.**\n", p.cut)
	}
	if len(p.leftOut) > 0 {
		fmt.Fprintf(&b, "\n**Left out of this run:** %s.\n", p.leftOutSentence())
	}
	for _, gap := range p.gaps {
		fmt.Fprintf(&b, "\n**Not measured on this machine:** %s.\n", gap)
	}
	for _, c := range p.charts {
		if c.title == requestTitle {
			fmt.Fprintf(&b, "\n**%s**\n", c.title)
			c.markdown(&b)
		}
	}
	p.goalTable(&b)
	for _, c := range p.charts {
		if c.title != requestTitle {
			fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n", c.title)
			c.markdown(&b)
			b.WriteString("\n</details>\n")
		}
	}
	p.commands(&b)
	return b.String()
}

// goalTable lists all goals, the missed ones as plainly as those that were met.
func (p page) goalTable(b *strings.Builder) {
	goals, again := p.goals()
	if len(goals) == 0 {
		return
	}
	reached, failed, unknown := tally(goals)
	fmt.Fprintf(b, "\nWhat ferry is held to: of %d goals this run met %d and missed %d", len(goals), reached, failed)
	if unknown > 0 {
		fmt.Fprintf(b, "; %d could not be measured", unknown)
	}
	b.WriteString(".\n\n| goal | measured | round by round | has to be | | measured again by |\n|---|---:|---:|---:|---|---|\n")
	for i, g := range goals {
		verdict := g.verdict()
		if verdict != met {
			verdict = "**" + verdict + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", g.what, figure(g.format, g.got), spread(g.format, g.paired), g.limit(),
			verdict, inCode(again[i]))
	}
}

// markdown is one chart: a line about it, its table, its notes.
func (c chart) markdown(b *strings.Builder) {
	if c.absent != "" {
		fmt.Fprintf(b, "\nNot measured: %s.\n", c.absent)
		return
	}
	fmt.Fprintf(b, "\n%s.\n\n| | command |", upperFirst(c.about))
	for _, head := range c.heads {
		fmt.Fprintf(b, " %s |", head)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---:|", len(c.heads)) + "\n")
	for _, r := range c.rows {
		cells := r.cells
		if r.absent != "" {
			cells = make([]string, len(c.heads))
			cells[0] = "**" + strings.ReplaceAll(strings.Join(strings.Fields(r.absent), " "), "|", `\|`) + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", r.name, inCode(r.command), strings.Join(cells, " | "))
	}
	if c.notes != "" {
		fmt.Fprintf(b, "\n%s.\n", c.notes)
	}
}

// commands says how to type a row by oneself: where the programs come from, and what they read.
func (p page) commands(b *strings.Builder) {
	b.WriteString("\n<details><summary>To type a command by yourself: the programs, and the files they read</summary>\n\n" +
		"`$NODE` is the address of the node that `make compare` serves for each part. To try a command, `ferry demo` in another\n" +
		"terminal is a node too, at `http://127.0.0.1:8787`. `GATEWAY_KEY=" + key + "` is exported for all, `GATEWAY_URL=$NODE`\n" +
		"for the SDK, `FERRY_KEY=" + key + "` and `FERRY_CONFIG=" + configFile + "` for ferry. Each program is the one that is built or\n" +
		"installed so:\n\n" +
		"| program | version | from |\n|---|---|---|\n")
	for _, each := range p.peers {
		fmt.Fprintf(b, "| %s | %s | %s |\n", each.name, each.version, inCode(each.command))
	}
	for _, f := range p.files {
		fmt.Fprintf(b, "\n`%s`:\n\n```text\n%s\n```\n", f.name, strings.TrimRight(f.text, "\n"))
	}
	b.WriteString("\n</details>\n")
}

// upperFirst makes a sentence of what begins with a letter that has but one byte.
func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// inCode is code within a table: there a bar would end the cell.
func inCode(code string) string {
	fence := "`"
	if strings.Contains(code, fence) {
		fence = "`` "
	}
	end := strings.TrimSpace(fence)
	if fence != end {
		end = " " + end
	}
	return fence + strings.ReplaceAll(code, "|", `\|`) + end
}
