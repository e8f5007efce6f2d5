//go:build !windows

package cmd_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/cmd"
	"ferry/pkg/text"

	"github.com/charmbracelet/x/ansi"
)

// helpOn returns a help page as printed on a terminal with the given number of columns.
func helpOn(t *testing.T, columns uint16, vars map[string]string, args []string) string {
	t.Helper()
	terminal, shown := terminalWithin(t, columns)
	env := testEnv(vars, nil, nil)
	env.Stdout, env.Stderr = terminal, terminal
	equal(t, fmt.Sprint("exit code of ", args), cmd.Run(context.Background(), args, env), 0)
	return strings.ReplaceAll(shown(), "\r\n", "\n")
}

// TestHelpWidths checks that every page fits terminals of 40 to 120 columns, with the same words at each width.
func TestHelpWidths(t *testing.T) {
	words := func(page string) string { return strings.Join(strings.Fields(strings.ReplaceAll(page, "#", "")), "") }
	for name, args := range helpPages() {
		for _, columns := range []uint16{20, 40, 60, 120, 200} {
			page := ansi.Strip(helpOn(t, columns, nil, args))
			equal(t, fmt.Sprint(name, " at ", columns, " columns, without spaces"), words(page), words(ferry(t, nil, args...).stdout))
			most := min(max(int(columns), 40), 120)
			for _, line := range strings.Split(page, "\n") {
				if w := text.Width(line); w > most && !unwrapped.MatchString(line) && !strings.HasPrefix(line, "      --") {
					t.Errorf("%s at %d columns has %d in the line %q", name, columns, w, line)
				}
			}
		}
	}
}

// TestHelpCommands checks that commands are never wrapped, and that an explanation behind one is a comment, so that they
// can be pasted into a shell.
func TestHelpCommands(t *testing.T) {
	command := regexp.MustCompile(`^ +((ferry|bash|apt|certbot|mv|nginx|parallel|timeout|echo|git|pass|tar) |[A-Za-z_]+=[^ ]).*[^.]$|^ .* [|] ferry `)
	commands := 0
	for name, args := range helpPages() {
		source, err := os.ReadFile(filepath.Join("help", name+".txt"))
		if err != nil || name == "topic-curl" { // its page is a table
			continue
		}
		pages := map[int]string{80: ferry(t, nil, args...).stdout}
		for _, columns := range []uint16{40, 60, 120} {
			pages[int(columns)] = ansi.Strip(helpOn(t, columns, nil, args))
		}
		for line := range strings.Lines(string(source)) {
			line = strings.TrimRight(line, "\n")
			if !command.MatchString(line) {
				continue
			}
			commands++
			code, _, _ := strings.Cut(line, "  # ")
			code = strings.TrimRight(code, " ")
			lacks(t, name+": a command without its comment", strings.TrimLeft(code, " "), "  ")
			for columns, page := range pages {
				found := false
				for shown := range strings.Lines(page) {
					rest, ok := strings.CutPrefix(strings.TrimRight(shown, "\n"), code)
					found = found || ok && (rest == "" || strings.HasPrefix(strings.TrimLeft(rest, " "), "# "))
				}
				errorIf(t, !found, "%s at %d columns has no line %q; got:\n%s", name, columns, code, page)
			}
		}
	}
	atLeast(t, "commands in help pages", commands, 80)
}

// TestHelpGroups checks the order of the groups, and that headings are bold on a terminal only.
func TestHelpGroups(t *testing.T) {
	for name, want := range map[string][]string{
		"ask":    {"Common flags:", "--node", "--session", "--dry-run", "Retries and timeouts:", "--attempts", "Model:", "--max-tokens", "Conversation:", "--new", "Batch:", "--batch"},
		"stream": {"Common flags:", "--node", "Retries and timeouts:", "--idle-timeout", "Input and output:", "--thinking"},
		"bench":  {"Common flags:", "--requests", "--threshold", "Requests:", "--warmup", "Retries and timeouts:", "--attempts", "Report:", "--reference"},
		"config": {"Settings:", " init", " unset", "Nodes:", " nodes", " check", "Stored data:", " session", " purge", "Gateway:", " nginx", " token"},
	} {
		page := helpOn(t, 80, nil, []string{name, "--help"})
		rest := page
		for _, words := range want {
			_, after, found := strings.Cut(rest, words)
			fatalIf(t, !found, "%s --help: got %s, want %q behind what comes before it in %q", name, page, words, want)
			rest = after
		}
		contains(t, name+" on a terminal", page, "\x1b[1m"+want[0]+"\x1b[0m")
		lacks(t, name+" without colour", helpOn(t, 80, map[string]string{"NO_COLOR": "1"}, []string{name, "--help"}), "\x1b")
		lacks(t, name+" in a pipe", ferry(t, nil, name, "--help").stdout, "\x1b")
	}
}

// TestExamples checks that the hint of a command without its arguments is an example from its help.
func TestExamples(t *testing.T) {
	for _, name := range []string{"get", "set", "unset", "key", "session show", "token new"} {
		args := append([]string{"config"}, strings.Fields(name)...)
		ferry(t, nil, args...).want(2, "", "hint: ferry config "+name+" --help shows an example")
		ferry(t, nil, append(args, "--help")...).want(0, "Examples:\n  ferry config "+name+" ", "")
	}
}
