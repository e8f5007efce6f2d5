package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"ferry/pkg/config"

	"go.yaml.in/yaml/v4"
)

// readmes are the README in both languages.
var readmes = []string{"README.md", "README.zh-CN.md"}

// codeBlock is a block of code in a README, with the heading above it.
type codeBlock struct {
	file, language, section, text string
	line                          int // number of its first line of code
}

func readme(t *testing.T, file string) string { return read(t, filepath.Join(checkout, file)) }

// readmeBlocks returns the blocks of code of both READMEs.
func readmeBlocks(t *testing.T) (all []codeBlock) {
	for _, file := range readmes {
		all = append(all, blocksOf(t, file)...)
	}
	return all
}

func blocksOf(t *testing.T, file string) []codeBlock {
	const fence = "```"
	var all []codeBlock
	var open *codeBlock
	section, number := "", 0
	for line := range strings.Lines(readme(t, file)) {
		number++
		marked, isFence := strings.CutPrefix(strings.TrimSpace(line), fence)
		switch {
		case isFence && open == nil:
			open = &codeBlock{file: file, language: marked, section: section, line: number + 1}
		case isFence:
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line
		case strings.HasPrefix(line, "## "):
			section = strings.TrimSpace(line[3:])
		}
	}
	fatalIf(t, open != nil || len(all) < 15, "%s was misread: %d blocks", file, len(all))
	return all
}

// TestReadmeSizes checks that a README is short enough to read at once, and that both link to each other and show the
// same picture.
func TestReadmeSizes(t *testing.T) {
	for _, file := range readmes {
		text := readme(t, file)
		errorIf(t, len(text) < 12_000 || len(text) > 15_000, "%s has %d bytes, want 12000 to 15000", file, len(text))
		contains(t, file, text, "](testdata/recording/ferry.svg)")
	}
	contains(t, "README.md", readme(t, readmes[0]), "\nEnglish | [简体中文](README.zh-CN.md)\n")
	contains(t, "README.zh-CN.md", readme(t, readmes[1]), "\n[English](README.md) | 简体中文\n")
}

// TestReadmeLinks checks that the target of every link inside the repository exists.
func TestReadmeLinks(t *testing.T) {
	pages := helpPages()
	for _, file := range readmes {
		text := readme(t, file)
		var anchors []string
		for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
			anchors = append(anchors, anchorOf(heading[1]))
		}
		links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
		atLeast(t, "links of "+file, len(links), 20)
		for _, link := range links {
			path, anchor, _ := strings.Cut(link[1], "#")
			if path == "" {
				equal(t, "a heading for #"+anchor, slices.Contains(anchors, anchor), true)
			} else if !strings.Contains(path, "://") {
				_, err := os.Stat(filepath.Join(checkout, path))
				check(t, err)
			}
		}
		for _, page := range regexp.MustCompile("ferry help ([a-z-]+)").FindAllStringSubmatch(text, -1) {
			equal(t, "a page for "+page[0], pages["topic-"+page[1]] != nil, true)
		}
		for name := range pages {
			if topic, ok := strings.CutPrefix(name, "topic-"); ok {
				contains(t, file, text, "ferry help "+topic)
			}
		}
	}
}

// anchorOf returns the link anchor of a heading: lower case, dashes for spaces, no punctuation.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// TestVariables compares the variables in the source with the help page on variables.
func TestVariables(t *testing.T) {
	page := ferry(t, nil, "help", "environment").stdout
	named, found := regexp.MustCompile(`"(FERRY_[A-Z0-9_]+)"`), 0
	for _, s := range sources(t) {
		for _, name := range named.FindAllStringSubmatch(read(t, filepath.Join(checkout, s.path)), -1) {
			found++
			contains(t, "ferry help environment, as "+s.path+" reads it", page, "\n"+name[1]+" ")
		}
	}
	atLeast(t, "variables", found, 20)
}

// TestReadmeExitCodes compares the exit codes in the tables with the help page.
func TestReadmeExitCodes(t *testing.T) {
	page := ferry(t, nil, "help", "exit-codes").stdout
	for _, file := range readmes {
		codes := map[string]bool{}
		for _, row := range regexp.MustCompile(`(?m)^\| (\d[\d, 、]*) \|`).FindAllStringSubmatch(readme(t, file), -1) {
			for _, code := range regexp.MustCompile(`\d+`).FindAllString(row[1], -1) {
				codes[code] = true
				contains(t, "the page", "\n"+page, "\n"+code+" ")
			}
		}
		for _, heading := range regexp.MustCompile(`(?m)^(\d+) `).FindAllStringSubmatch(page, -1) {
			equal(t, file+": exit code "+heading[1], codes[heading[1]], true)
		}
	}
}

// curlRows returns the rows of ferry help curl: curl's option and ferry's equivalent.
func curlRows(t *testing.T) [][2]string {
	page, _, found := strings.Cut(ferry(t, nil, "help", "curl").stdout, "\nComing from the bash/curl script")
	fatalIf(t, !found, "the page on curl has no part on the script")
	var rows [][2]string
	for _, line := range regexp.MustCompile(`(?m)^  (.{38})(.*)$`).FindAllStringSubmatch(page, -1) {
		option, here := strings.TrimSpace(line[1]), line[2]
		if last := len(rows) - 1; last >= 0 && !strings.HasPrefix(option, "-") && option != "curl URL" { // a continued row
			rows[last] = [2]string{strings.TrimSpace(rows[last][0] + " " + option), rows[last][1] + " " + here}
			continue
		}
		rows = append(rows, [2]string{option, here})
	}
	return rows
}

// TestCurlPage checks that the flags and keys on the page exist.
func TestCurlPage(t *testing.T) {
	ask := ferry(t, nil, "ask", "--help").stdout
	stream := ferry(t, nil, "stream", "--help").stdout
	file := ferry(t, map[string]string{"HOME": t.TempDir()}, "config", "list").stdout
	flags, rows := 0, curlRows(t)
	for _, row := range rows {
		for _, word := range strings.FieldsFunc(row[1], func(r rune) bool { return strings.ContainsRune(" ,;{}()", r) }) {
			key, isKey := strings.CutSuffix(word, ":")
			switch {
			case strings.HasPrefix(word, "-"):
				flags++
				flag := strings.TrimSuffix(word, ":")
				errorIf(t, !regexp.MustCompile(`(?m)^ +(-\w, +)?`+flag+`[ ,]`).MatchString(ask+stream), "there is no flag %s: %s", flag, row)
			case isKey && !slices.Contains([]string{"Authorization", "always", "exist"}, key) &&
				!regexp.MustCompile(`\b`+key+`\b`).MatchString(string(config.Template())+file):
				t.Errorf("the configuration has no %s: %s", key, row)
			}
		}
		if strings.HasPrefix(row[1], "does not exist") {
			for flag := range strings.SplitSeq(row[0], ", ") {
				ferry(t, nil, "ask", flag, "-n", "demo", "hello").want(2, "", "")
			}
		}
	}
	errorIf(t, len(rows) < 20 || flags < 20,
		"got %d rows with %d flags, want at least 20 of each: the page was misread", len(rows), flags)
}

// TestReadmeConfigurations loads the READMEs' configuration files.
func TestReadmeConfigurations(t *testing.T) {
	loaded := 0
	for _, block := range readmeBlocks(t) {
		if block.language != "yaml" {
			continue
		}
		loaded++
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, block.text)
		ferry(t, map[string]string{"FERRY_CONFIG": path}, "config", "list").want(0, "", "")
	}
	equal(t, "configurations", loaded, len(readmes))
}

// TestReadmeRecipes checks that both READMEs link to each file in testdata/recipes.
func TestReadmeRecipes(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(checkout, "testdata", "recipes", "*"))
	fatalIf(t, err != nil || len(found) < 7, "%d recipes, %v", len(found), err)
	for _, path := range found {
		for _, file := range readmes {
			contains(t, file, readme(t, file), "](testdata/recipes/"+filepath.Base(path)+")")
		}
		if strings.HasSuffix(path, ".yml") {
			if err := yaml.Unmarshal([]byte(read(t, path)), new(map[string]any)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestReadmeMeasured expects a date, a machine, goals and a command for each row of the last run's figures.
func TestReadmeMeasured(t *testing.T) {
	text := measured(t)
	day := regexp.MustCompile(`One run of .make compare. on \*\*(\d{4}-\d\d-\d\d)\*\* \(UTC\): \*\*\d+ cores?, .*\*\*;\nferry \S+`).FindStringSubmatch(text)
	fatalIf(t, day == nil, "testdata/measured.md does not say its day, its machine and its ferry: make compare")
	if _, err := time.Parse(time.DateOnly, day[1]); err != nil {
		t.Error(err)
	}
	rows := commandRows(t, text)
	for _, want := range []string{"ferry ask ", "curl ", "bash .ci/compare/loop.sh ", "node ", "hey ", "vegeta ", "wrk ", "xargs "} {
		errorIf(t, !slices.ContainsFunc(rows, func(command string) bool { return strings.Contains(" "+command, " "+want) }),
			"none of %d rows has the command %s…", len(rows), want)
	}
	for _, command := range rows {
		checkTyped(t, command)
	}
	if verdicts := regexp.MustCompile(`\| (met|\*\*missed\*\*) \|`).FindAllString(text, -1); len(verdicts) < 20 {
		t.Errorf("%d goals, want 20 at least", len(verdicts))
	}
}

// measured returns the figures of the last run.
func measured(t *testing.T) string {
	return read(t, filepath.Join(checkout, "testdata", "measured.md"))
}

// measuredSection returns a README's summary of the figures.
func measuredSection(t *testing.T, file string) string {
	parts := regexp.MustCompile(`(?s)\n## (?:Measured|实测数据)\n\n(.*?)\n\n## `).FindStringSubmatch(readme(t, file))
	fatalIf(t, parts == nil, "%s has no section on the figures", file)
	return parts[1]
}

// TestReadmeMeasuredFigures checks that each figure in the READMEs' summaries is in the figures of the last run.
func TestReadmeMeasuredFigures(t *testing.T) {
	text := measured(t)
	for _, file := range readmes {
		section := measuredSection(t, file)
		figures := regexp.MustCompile(`\d{4}-\d\d-\d\d|\b\d+(\.\d+)?`).FindAllString(section, -1)
		for _, figure := range figures {
			errorIf(t, !regexp.MustCompile(`\b`+regexp.QuoteMeta(figure)+`\b`).MatchString(text),
				"%s says %s, which is not in testdata/measured.md", file, figure)
		}
		if lines := strings.Count(section, "\n") + 1; lines > 8 || len(figures) < 10 {
			t.Errorf("%s: the section has %d lines with %d figures, want 8 lines at most with 10 figures at least", file, lines, len(figures))
		}
	}
}

// commandRows returns the commands of all rows. Every table has a column for them without empty cells.
func commandRows(t *testing.T, section string) []string {
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
			fatalIf(t, column == -1, "a table without a column for commands: %s", line)
		case strings.HasPrefix(line, "|---"):
		default:
			command := cells[min(column, len(cells)-1)]
			errorIf(t, len(command) < 3 || command[0] != '`' || command[len(command)-1] != '`',
				"a row without a command: %s", line)
			all = append(all, strings.ReplaceAll(strings.Trim(command, "` "), `\|`, "|"))
		}
	}
	return all
}

var flagWord = regexp.MustCompile(`(?:^| )(-[A-Za-z]|--[a-z-]+)\b`)

// checkTyped checks that the flags of a ferry command and the targets of a make command exist.
func checkTyped(t *testing.T, command string) {
	t.Helper()
	_, typed, isFerry := strings.Cut(" "+command, " ferry ")
	typed, _, _ = strings.Cut(typed, " | ")
	switch {
	case strings.HasPrefix(command, "make "):
		contains(t, "Makefile", read(t, filepath.Join(checkout, "Makefile")), "\n"+strings.Fields(command)[1]+":")
	case isFerry:
		verb := strings.Fields(typed)[0]
		help := ferry(t, nil, verb, "--help").stdout
		if verb == "config" {
			help = ferry(t, nil, verb, strings.Fields(typed)[1], "--help").stdout
		}
		for _, flag := range flagWord.FindAllStringSubmatch(typed, -1) {
			errorIf(t, !regexp.MustCompile(`(?m)^ +(-\w, +)?`+flag[1]+`[ ,]`).MatchString(help),
				"ferry %s has no flag %s: %s", verb, flag[1], command)
		}
	}
}

// TestReadmeFigures checks that outside of that section measured figures appear only in blocks of code, next to their
// command.
func TestReadmeFigures(t *testing.T) {
	inside := regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	unit := regexp.MustCompile(`\d ?(ms|µs|ns|MiB|MB|MB/s|items/s)\b|\d(\.\d+)? ×`)
	for _, file := range readmes {
		words := inside.ReplaceAllString(strings.ReplaceAll(readme(t, file), measuredSection(t, file), ""), "")
		errorIf(t, unit.MatchString(words), "%s: a figure without its command: %s", file, unit.FindString(words))
		for _, block := range blocksOf(t, file) {
			errorIf(t, unit.MatchString(block.text) && !strings.Contains(block.text, "ferry "), "%s: figures without a command:\n%s", file, block.text)
		}
	}
}
