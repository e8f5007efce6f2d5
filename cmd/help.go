package cmd

import (
	"cmp"
	"embed"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"ferry/pkg/config"
	"ferry/pkg/demo"
	"ferry/pkg/term"
	"ferry/pkg/text"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages are the long help texts, named like their golden files, with each paragraph on one line. The page of a topic
// begins with its short text. After "Examples:" come the examples. After "Groups:" come the commands or flags to list
// together; those in no group come last.
//
//go:embed help
var pages embed.FS

// newHelpTopics returns the help topics as commands.
func newHelpTopics() []*cobra.Command {
	files, _ := pages.ReadDir("help") // embedded, so it exists
	var all []*cobra.Command
	for _, file := range files {
		if topic, ok := strings.CutPrefix(strings.TrimSuffix(file.Name(), ".txt"), "topic-"); ok {
			page, _ := pages.ReadFile("help/" + file.Name())
			short, _, _ := strings.Cut(string(page), "\n")
			all = append(all, &cobra.Command{Use: topic, Short: short})
		}
	}
	return all
}

// readPage sets a command's long text and examples and returns the groups of its page. Every run builds commands, but
// only help needs these texts.
func readPage(c *cobra.Command) (groups string) {
	name := strings.ReplaceAll(strings.TrimPrefix(c.CommandPath(), "ferry "), " ", "-")
	if c.IsAdditionalHelpTopicCommand() {
		name = "topic-" + name
	}
	page, err := pages.ReadFile("help/" + name + ".txt")
	if err != nil {
		return "" // the short text is enough, or Cobra has its own text
	}
	long, groups, _ := strings.Cut(string(page), "Groups:\n")
	long, c.Example, _ = strings.Cut(long, "Examples:\n")
	if c.IsAdditionalHelpTopicCommand() {
		long = strings.TrimPrefix(long, c.Short)
	}
	c.Long = listsOfPages().Replace(strings.Trim(long, "\n"))
	return groups
}

// listsOfPages returns a replacer for the lists that pages take from the program.
func listsOfPages() *strings.Replacer {
	var variables, faults, presets strings.Builder
	for _, v := range config.Environment() {
		fmt.Fprintf(&variables, "%-24s  %s\n", v.Name, v.Usage)
	}
	for _, f := range demo.Faults() {
		fmt.Fprintf(&faults, "  %-14s %s\n", f.Name, f.Usage)
	}
	for _, p := range demo.Presets() {
		fmt.Fprintf(&presets, "  %-16s %s\n", p.Name, p.Query)
	}
	return strings.NewReplacer("{variables}\n", variables.String(), "{faults}\n", faults.String(), "{presets}", presets.String())
}

// Commands returns the tree of all commands and topics with their long texts, to generate the man pages outside the
// binary. Nothing in the binary calls it, so the linker leaves it out.
func Commands() *cobra.Command {
	root := newRootCmd(newApp(Env{
		Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard,
		Lookup: func(string) (string, bool) { return "", false },
	}), nil)
	for _, c := range tree(root) {
		readPage(c)
	}
	return root
}

// The limits of the width of a help page. In a pipe it is pipeWidth columns.
const (
	minHelpWidth = 40
	maxHelpWidth = 120
	pipeWidth    = 80
)

// helpPage is a help page that is being built.
type helpPage struct {
	strings.Builder
	width   int
	heading term.Style
}

// section adds text under a title. It omits an empty title, and adds nothing if the text is empty.
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

// helpText returns a help page: what a command does, its usage, examples, subcommands, flags and topics.
func helpText(c *cobra.Command, f term.Facts) string {
	p := helpPage{width: pipeWidth, heading: term.NewStyles(f).Strong}
	if f.TTY {
		p.width = min(max(f.Width, minHelpWidth), maxHelpWidth)
	}
	groups := readPage(c)
	p.section("", reflow(cmp.Or(c.Long, c.Short), p.width))
	if !c.Runnable() {
		return p.String() // a topic
	}
	p.section("Usage", usageLines(c))
	p.section("Examples", reflow(c.Example, p.width))
	p.grouped(commandRows(c, (*cobra.Command).IsAvailableCommand, ""), groups, "Commands")
	p.grouped(flagRows(c.LocalFlags()), groups, "Flags")
	p.grouped(commandRows(c, (*cobra.Command).IsAdditionalHelpTopicCommand, "help "), "", "Topics")
	if c.HasAvailableSubCommands() {
		p.section("", reflow("Use \""+c.CommandPath()+" COMMAND --help\" for more about a command.", p.width))
	}
	return p.String()
}

// usageLines returns the usage lines of a command, the main one first.
func usageLines(c *cobra.Command) string {
	lines := "  " + c.UseLine()
	if c.HasAvailableSubCommands() && !strings.HasSuffix(c.Use, "COMMAND") {
		lines += "\n  " + c.CommandPath() + " COMMAND [flags]"
	}
	return lines
}

// helpRow is a command, a flag or a topic in a list.
type helpRow struct{ name, left, right string }

// commandRows returns the rows of the commands below c for which belongs returns true.
func commandRows(c *cobra.Command, belongs func(*cobra.Command) bool, before string) (rows []helpRow) {
	for _, child := range c.Commands() {
		if belongs(child) {
			rows = append(rows, helpRow{child.Name(), "  " + before + child.Name(), child.Short})
		}
	}
	return rows
}

// flagRows returns flags with their arguments, and their texts, in the format of pflag with three changes: an
// optional argument is in brackets, as in --http3[=true|false|only]; only a default of several words is in quotes; and
// if the usage text begins with "`NAME`: ", this part only names the argument and is left out.
func flagRows(flags *pflag.FlagSet) (rows []helpRow) {
	flags.VisitAll(func(f *pflag.Flag) {
		one := pflag.NewFlagSet("", pflag.ContinueOnError)
		one.AddFlag(f)
		const names = len("  -n, ") // the left column begins with a shorthand or with spaces
		if line := one.FlagUsages(); line != "" {
			left, right, _ := strings.Cut(line[names:], "   ")
			if flag, arg, ok := strings.Cut(strings.TrimSuffix(left, "[="+f.NoOptDefVal+"]"), " "); ok && f.NoOptDefVal != "" {
				left = flag + "[=" + arg + "]"
			}
			arg, _ := pflag.UnquoteUsage(f)
			right = strings.TrimPrefix(strings.TrimSpace(right), arg+": ")
			if !strings.Contains(f.DefValue, " ") {
				right = strings.Replace(right, fmt.Sprintf("(default %q)", f.DefValue), "(default "+f.DefValue+")", 1)
			}
			rows = append(rows, helpRow{f.Name, line[:names] + left, right})
		}
	})
	return rows
}

// grouped adds rows by group, and the remaining rows under the title others.
func (p *helpPage) grouped(rows []helpRow, groups, others string) {
	for group := range strings.Lines(groups) {
		title, names, _ := strings.Cut(group, ": ")
		var here []helpRow
		for name := range strings.FieldsSeq(names) {
			if i := slices.IndexFunc(rows, func(r helpRow) bool { return r.name == name }); i >= 0 {
				here = append(here, rows[i])
				rows = slices.Delete(rows, i, i+1)
			}
		}
		p.section(title, columns(here, p.width))
	}
	p.section(others, columns(rows, p.width))
}

// columns lays out rows in two columns and wraps the right one. If the left column is too long, the right one begins on
// the next line.
func columns(rows []helpRow, width int) string {
	wide, maxLeft := 0, width*2/5
	for _, row := range rows {
		if w := text.Width(row.left); w <= maxLeft {
			wide = max(wide, w)
		}
	}
	indent := cmp.Or(wide, maxLeft) + 2
	var b strings.Builder
	for _, row := range rows {
		between := strings.Repeat(" ", max(0, indent-text.Width(row.left)))
		if len(between) < 2 {
			between = "\n" + strings.Repeat(" ", indent)
		}
		b.WriteString(strings.TrimRight(row.left+between+hangingIndent(row.right, width, indent), " ") + "\n")
	}
	return b.String()
}

// flagWithValue matches a flag and the word after it.
var flagWithValue = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^|[ (])--?[a-z][a-z0-9-]* [^ -][^ ]*`)
})

// hangingIndent wraps text that begins at column indent. A short value stays on the line of its flag.
func hangingIndent(words string, width, indent int) string {
	const noBreak = "\u00a0"
	words = flagWithValue().ReplaceAllStringFunc(words, func(pair string) string {
		if text.Width(pair) > (width-indent)/2 {
			return pair
		}
		flag := strings.TrimLeft(pair, " ")
		return pair[:len(pair)-len(flag)] + strings.ReplaceAll(flag, " ", noBreak)
	})
	return indented(strings.ReplaceAll(term.Wrap(words, width-indent, 0), noBreak, " "), indent)
}

// reflow wraps the lines of a page that are too long: paragraphs at their margin, two-column lines at or below their
// second column. Tables and commands are not changed; the explanation of a command, after "  # ", is wrapped.
func reflow(page string, width int) string {
	lines := strings.Split(strings.Trim(page, "\n"), "\n")
	continues := false // the line before ends with a backslash
	for i, line := range lines {
		code, explanation, explained := strings.Cut(line, "  # ")
		switch {
		case continues || text.Width(line) <= width:
		case explained:
			lines[i] = commandWithExplanation(code, explanation, width)
		case !isCommandLine(line):
			lines[i] = wrapped(line, width)
		}
		continues = strings.HasSuffix(line, "\\")
	}
	return strings.Join(lines, "\n")
}

// isCommandLine reports whether a line is a command: it begins with a program or an assignment, or pipes something to
// ferry, and is not a sentence about a program.
func isCommandLine(line string) bool {
	program, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	_, value, assigns := strings.Cut(program, "=")
	isTable := strings.Contains(strings.TrimLeft(line, " "), "  ")
	return strings.HasPrefix(line, " ") && !strings.HasSuffix(line, ".") && !isTable &&
		(assigns && value != "" || slices.Contains(programs(), program) || strings.Contains(line, " | ferry "))
}

// programs returns the programs that the commands in help pages begin with.
func programs() []string {
	return []string{"ferry", "bash", "apt", "certbot", "mv", "nginx", "parallel", "timeout", "echo", "git", "pass"}
}

// commandWithExplanation lays out a line that is too long. Every line of the explanation is a comment, so that the
// lines can be pasted into a shell.
func commandWithExplanation(code, explanation string, width int) string {
	trimmed := strings.TrimRight(code, " ")
	indent := len(code) - len(strings.TrimLeft(code, " ")) + 4
	between := "\n" + strings.Repeat(" ", indent)
	if at := text.Width(code) + 2; at <= width/2 {
		between, indent = code[len(trimmed):]+"  ", at
	}
	comment := strings.ReplaceAll(term.Wrap(explanation, width-indent-2, 0), "\n", "\n"+strings.Repeat(" ", indent)+"# ")
	return trimmed + between + "# " + comment
}

// wrapped wraps one line of a page. Further lines have its margin or align with its second column.
func wrapped(line string, width int) string {
	body := strings.TrimLeft(line, " ")
	indent := len(line) - len(body)
	left, right, two := strings.Cut(body, "  ")
	right = strings.TrimLeft(right, " ")
	at := text.Width(line) - text.Width(right)
	switch {
	case strings.Contains(right, "  "):
		return line
	case !two:
		return line[:indent] + hangingIndent(body, width, indent)
	case at <= width/2:
		return line[:len(line)-len(right)] + hangingIndent(right, width, at)
	}
	if left = line[:indent] + left; !strings.Contains(left, "{") {
		left = term.Wrap(left, width, indent)
	}
	below := indent + 4
	return left + "\n" + strings.Repeat(" ", below) + hangingIndent(right, width, below)
}
