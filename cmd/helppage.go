package cmd

import (
	"slices"
	"strings"

	"ferry/pkg/term"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// part is a titled list of names: of the commands or the flags that stand together in help.
type part struct {
	title string
	names string
}

// commandParts are the groups of config's commands. A command that none names comes last.
func commandParts() map[string][]part {
	return map[string][]part{
		"config": {
			{"Settings", "init list get set unset path"},
			{"Nodes", "nodes add check key models pin"},
			{"Kept on this machine", "session usage hold purge"},
			{"Gateway", "nginx token"},
		},
	}
}

// flagParts groups the flags of commands that have many, the common ones first. A flag in no group comes last.
func flagParts() map[string][]part {
	return map[string][]part{
		"ask": callParts, "stream": callParts,
		"bench": {
			{"Flags of every day", "requests duration concurrency stream threshold output save model prompt dry-run quiet help"},
			{"What is sent, and when", "file max-tokens rate warmup connections race precision max-tokens-total seed"},
			{"Retries and time", "attempts retry-policy retry-delay timeout connect-timeout idle-timeout limit"},
			{"Nodes", "api proxy"},
			{"Report", "reference successes-only lang explain out vantage"},
			{"Kept on this machine", "no-store budget-unchecked"},
		},
	}
}

var callParts = []part{
	{"Flags of every day", "node model system file session continue output extract usage verbose quiet dry-run help"},
	{"Retries and time", "retry-policy attempts retry-delay timeout idle-timeout connect-timeout limit"},
	{"Nodes and connections", "api across pick hold http3 http3-only proxy resolve"},
	{"Model", "role max-tokens temperature top-p stop schema param"},
	{"Conversation", "new resend no-store budget-unchecked"},
	{"Input and output", "no-stdin expect strict no-render thinking lang"},
	{"Batch", "batch out concurrency again max-failures max-tokens-total shard merge"},
}

// The bounds of the width of a help page; a pipe gets pipeWidth columns.
const (
	leastHelp = 40
	mostHelp  = 120
	pipeWidth = 80
)

// helpWidth is the width of help on a stream.
func helpWidth(f term.Facts) int {
	if !f.TTY {
		return pipeWidth
	}
	return min(max(f.Width, leastHelp), mostHelp)
}

// helpPage is a page under way.
type helpPage struct {
	strings.Builder
	width   int
	heading term.Style
}

// section adds a text under a title, "" for none; a text "" adds nothing.
func (p *helpPage) section(title, text string) {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return
	}
	if p.Len() > 0 {
		p.WriteString("\n")
	}
	if title != "" {
		p.WriteString(p.heading.Render(title+":") + "\n")
	}
	p.WriteString(text + "\n")
}

// helpText is a help page: what a command does, how it is called, examples, its commands, flags and topics.
func helpText(c *cobra.Command, f term.Facts) string {
	p := helpPage{width: helpWidth(f), heading: term.NewStyles(f).Strong}
	about := c.Long
	if about == "" {
		about = c.Short
	}
	p.section("", reflow(about, p.width))
	if !c.Runnable() {
		return p.String() // a topic
	}
	p.section("Usage", usageLines(c))
	p.section("Examples", reflow(c.Example, p.width))
	p.commands(c)
	p.flags(c)
	p.section("Topics", columns(listed(c.Commands(), (*cobra.Command).IsAdditionalHelpTopicCommand, "help "), p.width))
	if c.HasAvailableSubCommands() {
		p.section("", reflow(c.CommandPath()+" COMMAND --help says more about one.", p.width))
	}
	return p.String()
}

// usageLines are the forms of a command, the main one first.
func usageLines(c *cobra.Command) string {
	lines := "  " + c.UseLine()
	if c.HasAvailableSubCommands() && !strings.HasSuffix(c.Use, "COMMAND") {
		lines += "\n  " + c.CommandPath() + " COMMAND [flags]"
	}
	return lines
}

// commands adds the commands below c in their groups.
func (p *helpPage) commands(c *cobra.Command) {
	rest := c.Commands()
	for _, part := range commandParts()[c.Name()] {
		var here []*cobra.Command
		for _, name := range strings.Fields(part.names) {
			if i := slices.IndexFunc(rest, func(c *cobra.Command) bool { return c.Name() == name }); i >= 0 {
				here = append(here, rest[i])
				rest = slices.Delete(slices.Clone(rest), i, i+1)
			}
		}
		p.section(part.title, columns(listed(here, (*cobra.Command).IsAvailableCommand, ""), p.width))
	}
	p.section("Commands", columns(listed(rest, (*cobra.Command).IsAvailableCommand, ""), p.width))
}

// listed are the commands that belong, each with its short text.
func listed(all []*cobra.Command, belongs func(*cobra.Command) bool, before string) [][2]string {
	var rows [][2]string
	for _, c := range all {
		if belongs(c) {
			rows = append(rows, [2]string{"  " + before + c.Name(), c.Short})
		}
	}
	return rows
}

// flags adds the flags of c in their groups.
func (p *helpPage) flags(c *cobra.Command) {
	rest := pflag.NewFlagSet("", pflag.ContinueOnError)
	rest.SortFlags = c.Flags().SortFlags
	rest.AddFlagSet(c.LocalFlags())
	parts, others := flagParts()[c.Name()], "Flags"
	if !c.HasParent() || c.Parent().HasParent() {
		parts = nil
	}
	for _, part := range parts {
		here := pflag.NewFlagSet("", pflag.ContinueOnError)
		here.SortFlags = false
		for _, name := range strings.Fields(part.names) {
			if f := rest.Lookup(name); f != nil {
				here.AddFlag(f)
			}
		}
		p.section(part.title, columns(flagRows(here), p.width))
		kept := pflag.NewFlagSet("", pflag.ContinueOnError)
		rest.VisitAll(func(f *pflag.Flag) {
			if here.Lookup(f.Name) == nil {
				kept.AddFlag(f)
			}
		})
		rest, others = kept, "More flags"
	}
	p.section(others, columns(flagRows(rest), p.width))
}

// flagRows are the flags as pflag writes them: a flag with what it takes, and its text.
func flagRows(f *pflag.FlagSet) [][2]string {
	var rows [][2]string
	for line := range strings.Lines(f.FlagUsages()) {
		margin := len(line) - len(strings.TrimLeft(line, " "))
		left, right, _ := strings.Cut(line[margin:], "   ")
		rows = append(rows, [2]string{line[:margin] + left, strings.TrimSpace(right)})
	}
	return rows
}

// columns lays rows out: the left as it is, the right beside it and wrapped. Where the left is too long, the right begins
// on the next line.
func columns(rows [][2]string, width int) string {
	wide, most := 0, width*2/5
	for _, row := range rows {
		if w := text.Width(row[0]); w <= most {
			wide = max(wide, w)
		}
	}
	if wide == 0 {
		wide = most
	}
	var b strings.Builder
	for _, row := range rows {
		left := row[0]
		switch w := text.Width(left); {
		case w > wide:
			left += "\n" + strings.Repeat(" ", wide+2)
		default:
			left += strings.Repeat(" ", wide+2-w)
		}
		indent := strings.Repeat(" ", wide+2)
		right := strings.ReplaceAll(term.Wrap(row[1], width-wide-2, 0), "\n", "\n"+indent)
		b.WriteString(strings.TrimRight(left+right, " ") + "\n")
	}
	return b.String()
}

// sourceWidth is about where the lines of long texts end: one that the next word would take past it goes on there.
const sourceWidth = 108

// reflow wraps a page that was written for a wide terminal: paragraphs by their margins, lines of two columns below each
// other, and tables and commands as they are.
func reflow(page string, width int) string {
	var out []string
	paragraph := ""
	flush := func() {
		if paragraph != "" {
			indent := len(paragraph) - len(strings.TrimLeft(paragraph, " "))
			out = append(out, wrapped(paragraph, width, indent))
			paragraph = ""
		}
	}
	last := ""
	for line := range strings.SplitSeq(strings.Trim(page, "\n"), "\n") {
		word, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		goesOn := margin(line) == margin(last) && !tabular(line) && !tabular(last) && text.Width(last)+1+text.Width(word) > sourceWidth
		goesOn = goesOn || margin(line) >= secondColumn && tabular(paragraph)
		if paragraph != "" && line != "" && goesOn {
			paragraph += " " + strings.TrimLeft(line, " ")
		} else {
			flush()
			if line == "" {
				out = append(out, "")
			}
			paragraph = line
		}
		last = line
	}
	flush()
	return strings.Join(out, "\n")
}

// secondColumn is the margin from which on a line goes on with the second column of the one above.
const secondColumn = 20

func margin(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// tabular reports whether a line has columns, or is a command: a sentence about one is longer, or ends.
func tabular(line string) bool {
	rest := strings.TrimLeft(line, " ")
	program, _, _ := strings.Cut(rest, " ")
	sentence := strings.Contains(rest+" ", ". ") || text.Width(line) > sourceWidth
	return strings.Contains(rest, "  ") || rest != line && !sentence && slices.Contains([]string{"ferry", "printf", "bash"}, program)
}

// wrapped wraps one line of a page. Its further lines have its margin, or stand below its second column.
func wrapped(line string, width, indent int) string {
	if text.Width(line) <= width {
		return line
	}
	body := line[indent:]
	left, right, two := strings.Cut(body, "  ")
	right = strings.TrimLeft(right, " ")
	switch {
	case two && !strings.Contains(right, "  "):
		below := strings.Repeat(" ", indent+4)
		if at := text.Width(line) - text.Width(right); at <= width/2 {
			below = strings.Repeat(" ", at)
			return line[:len(line)-len(right)] + strings.ReplaceAll(term.Wrap(right, width-at, 0), "\n", "\n"+below)
		}
		left = strings.Repeat(" ", indent) + left
		if !strings.Contains(left, "{") && !tabular(left) {
			left = term.Wrap(left, width, indent)
		}
		return left + "\n" + below + strings.ReplaceAll(term.Wrap(right, width-indent-4, 0), "\n", "\n"+below)
	case two, tabular(line), strings.Contains(body, " | ferry "):
		return line
	}
	below := strings.Repeat(" ", indent)
	return below + strings.ReplaceAll(term.Wrap(body, width-indent, 0), "\n", "\n"+below)
}
