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

// TestReadmeMeasured holds the figures of the last run to what makes them worth something: a day, a machine, goals, and a
// command for each row.
func TestReadmeMeasured(t *testing.T) {
	text := measured(t)
	day := regexp.MustCompile(`One run of .make compare. on \*\*(\d{4}-\d\d-\d\d)\*\* \(UTC\): \*\*\d+ cores?, .*\*\*;\nferry \S+`).FindStringSubmatch(text)
	if day == nil {
		t.Fatal("testdata/measured.md does not say its day, its machine and its ferry: make compare")
	}
	if _, err := time.Parse(time.DateOnly, day[1]); err != nil {
		t.Error(err)
	}
	rows := commandRows(t, text)
	for _, want := range []string{"ferry ask ", "curl ", "bash .ci/compare/loop.sh ", "node ", "hey ", "vegeta ", "wrk ", "xargs "} {
		if !slices.ContainsFunc(rows, func(command string) bool { return strings.Contains(" "+command, " "+want) }) {
			t.Errorf("none of %d rows has the command %s…", len(rows), want)
		}
	}
	for _, command := range rows {
		checkTyped(t, command)
	}
	if verdicts := regexp.MustCompile(`\| (met|\*\*missed\*\*) \|`).FindAllString(text, -1); len(verdicts) < 20 {
		t.Errorf("%d goals, want 20 at least", len(verdicts))
	}
}

// measured are the figures of the last run.
func measured(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "testdata", "measured.md"))
	check(t, err)
	return string(text)
}

// measuredSection is the README's summary of them.
func measuredSection(t *testing.T) string {
	t.Helper()
	_, section, _ := strings.Cut(readme(t), "\n## Measured\n\n")
	section, _, found := strings.Cut(section, "\n\n## ")
	if !found {
		t.Fatal("README.md has no section Measured")
	}
	return section
}

// TestReadmeMeasuredFigures: what the README says of the last run is in its figures.
func TestReadmeMeasuredFigures(t *testing.T) {
	section, text := measuredSection(t), measured(t)
	figures := regexp.MustCompile(`\d{4}-\d\d-\d\d|\b\d+(\.\d+)?`).FindAllString(section, -1)
	for _, figure := range figures {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(figure) + `\b`).MatchString(text) {
			t.Errorf("README.md says %s, which is not in testdata/measured.md", figure)
		}
	}
	if lines := strings.Count(section, "\n") + 1; lines > 8 || len(figures) < 20 {
		t.Errorf("the section has %d lines with %d figures, want 8 lines at most with 20 figures at least", lines, len(figures))
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
	typed, _, _ = strings.Cut(typed, " | ")
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
	text := strings.ReplaceAll(readme(t), measuredSection(t), "")
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
