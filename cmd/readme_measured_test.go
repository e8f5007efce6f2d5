package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// measured is the part of the README that make compare writes.
func measured(t *testing.T) string {
	t.Helper()
	_, section, begun := strings.Cut(readme(t), "\n## Measured\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, written, marked := strings.Cut(section, "<!-- measured: begin")
	written, _, ended := strings.Cut(written, "<!-- measured: end -->")
	if !begun || !marked || !ended {
		t.Fatal("README.md has no section Measured with its two marks")
	}
	return written
}

// TestReadmeMeasured holds the figures to what makes them worth something: a day, a machine, and a command for each row.
func TestReadmeMeasured(t *testing.T) {
	section := measured(t)
	day := regexp.MustCompile(`One run of .make compare. on \*\*(\d{4}-\d\d-\d\d)\*\* \(UTC\): \*\*\d+ cores?, .*\*\*;\nferry \S+`).FindStringSubmatch(section)
	if day == nil {
		t.Fatal("the section does not say its day, its machine and its ferry: make compare")
	}
	if _, err := time.Parse(time.DateOnly, day[1]); err != nil {
		t.Error(err)
	}
	if regexp.MustCompile(`(?m)^\*\*(Left out of this run|The run was cut short)`).MatchString(section) {
		t.Error("the section is of a run that was not whole")
	}
	rows := commandRows(t, section)
	if len(rows) < 60 {
		t.Errorf("only %d rows: the section was misread, or is not whole", len(rows))
	}
	for _, want := range []string{"ferry ask ", "curl ", "bash .ci/compare/loop.sh ", "node ", "hey ", "vegeta ", "wrk ", "xargs "} {
		if !slices.ContainsFunc(rows, func(command string) bool {
			return strings.HasPrefix(command, want) || strings.Contains(command, " "+want)
		}) {
			t.Errorf("no row has the command %s…", want)
		}
	}
	for _, command := range rows {
		checkTyped(t, command)
	}
	if verdicts := regexp.MustCompile(`\| (met|\*\*missed\*\*|\*\*not measured\*\*) \|`).FindAllString(section, -1); len(verdicts) < 20 {
		t.Errorf("only %d goals", len(verdicts))
	}
}

// commandRows are the commands of all rows; every table has a column for them, and no cell of it is empty.
func commandRows(t *testing.T, section string) []string {
	t.Helper()
	bar := regexp.MustCompile(`(?:^|[^\\])\|`)
	var all []string
	column := -1
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			column = -1
			continue
		}
		var cells []string
		for _, cell := range bar.Split(strings.TrimPrefix(line, "|"), -1) {
			cells = append(cells, strings.TrimSpace(cell))
		}
		switch {
		case column == -1:
			column = slices.IndexFunc(cells, func(head string) bool {
				return head == "command" || head == "measured again by" || head == "from"
			})
			if column == -1 {
				t.Fatalf("a table without a column for commands: %s", line)
			}
		case strings.HasPrefix(line, "|---"):
		default:
			command := cells[min(column, len(cells)-1)]
			if len(command) < 3 || command[0] != '`' || command[len(command)-1] != '`' {
				t.Errorf("a row without a command: %s", line)
			}
			all = append(all, strings.ReplaceAll(strings.Trim(command, "` "), `\|`, "|"))
		}
	}
	return all
}

var flagWord = regexp.MustCompile(`(?:^| )(-[A-Za-z]|--[a-z-]+)\b`)

// checkTyped holds a command of ours to the flags that there are, and make to its targets.
func checkTyped(t *testing.T, command string) {
	t.Helper()
	_, typed, isFerry := strings.Cut(" "+command, " ferry ")
	switch {
	case strings.HasPrefix(command, "make "):
		rules, err := os.ReadFile(filepath.Join(checkout, "Makefile"))
		target := strings.Fields(command)[1]
		if err != nil || !strings.Contains(string(rules), "\n"+target+":") {
			t.Errorf("there is no target %s: %s (%v)", target, command, err)
		}
	case isFerry:
		verb := strings.Fields(typed)[0]
		_, help, _ := run(t, nil, verb, "--help")
		if verb == "config" {
			_, help, _ = run(t, nil, verb, strings.Fields(typed)[1], "--help")
		}
		for _, flag := range flagWord.FindAllStringSubmatch(typed, -1) {
			if !regexp.MustCompile(`(?m)^ +(-\w, +)?` + flag[1] + `[ ,]`).MatchString(help) {
				t.Errorf("ferry %s has no flag %s: %s", verb, flag[1], command)
			}
		}
	}
}

// TestReadmeFigures: outside of that section a measured figure stands only where its command does, in a block of code.
func TestReadmeFigures(t *testing.T) {
	text := strings.ReplaceAll(readme(t), measured(t), "")
	inside := regexp.MustCompile("`[^`]*`")
	unit := regexp.MustCompile(`\d ?(ms|µs|ns|MiB|MB|MB/s|items/s)\b|\d(\.\d+)? ×`)
	block, blocks := "", 0
	for number, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			if block != "" {
				blocks++
				if unit.MatchString(block) && !strings.Contains(block, "ferry ") && !strings.Contains(block, "content: ") {
					t.Errorf("README.md, before line %d of its own words: figures without a command:\n%s", number, block)
				}
				block = ""
			} else {
				block = line + "\n"
			}
			continue
		}
		if block != "" {
			block += line + "\n"
		} else if unit.MatchString(inside.ReplaceAllString(line, "")) {
			t.Errorf("a figure without its command: %s", line)
		}
	}
	if blocks < 20 {
		t.Errorf("only %d blocks: README.md was misread", blocks)
	}
}
