package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"ferry/pkg/config"

	"go.yaml.in/yaml/v4"
)

// codeBlock is a block of the README's code, with the heading that it stands below.
type codeBlock struct {
	language, section, text string
	line                    int // of its first line of code
}

func readme(t *testing.T) string {
	return read(t, filepath.Join(checkout, "README.md"))
}

func readmeBlocks(t *testing.T) []codeBlock {
	const fence = "```"
	var all []codeBlock
	var open *codeBlock
	section, number := "", 0
	for line := range strings.Lines(readme(t)) {
		number++
		marked, isFence := strings.CutPrefix(strings.TrimSpace(line), fence)
		switch {
		case isFence && open == nil:
			open = &codeBlock{language: marked, section: section, line: number + 1}
		case isFence:
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line
		case strings.HasPrefix(line, "## "):
			section = strings.TrimSpace(line[3:])
		}
	}
	fatalIf(t, open != nil || len(all) < 20, "README.md was misread: %d blocks", len(all))
	return all
}

// TestReadmeLinks expects that every link inside the repository leads to something that is there.
func TestReadmeLinks(t *testing.T) {
	text := readme(t)
	var anchors []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchors = append(anchors, anchorOf(heading[1]))
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	atLeast(t, "links", len(links), 30)
	for _, link := range links {
		file, anchor, _ := strings.Cut(link[1], "#")
		if file == "" {
			equal(t, "a heading for #"+anchor, slices.Contains(anchors, anchor), true)
		} else if !strings.Contains(file, "://") {
			_, err := os.Stat(filepath.Join(checkout, file))
			check(t, err)
		}
	}
	pages := helpPages()
	for _, page := range regexp.MustCompile("ferry help ([a-z-]+)").FindAllStringSubmatch(text, -1) {
		equal(t, "a page for "+page[0], pages["topic-"+page[1]] != nil, true)
	}
	for name := range pages {
		if topic, ok := strings.CutPrefix(name, "topic-"); ok {
			contains(t, "README.md", text, "ferry help "+topic)
		}
	}
}

// anchorOf is what a heading is linked by on a page: lower case, dashes for spaces, no punctuation.
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

// TestReadmeVariables holds the README's table of variables to the program's page, row by row, and the source to both.
func TestReadmeVariables(t *testing.T) {
	page := ferry(t, nil, "help", "environment").stdout
	var want []string
	for line := range strings.Lines(page) {
		name, meaning, ok := strings.Cut(line, "  ")
		if ok && name != "variable" {
			want = append(want, "| `"+strings.ReplaceAll(name, ", ", "`, `")+"` | "+strings.TrimSpace(meaning)+" |")
		}
	}
	atLeast(t, "variables", len(want), 20)
	contains(t, "README.md", readme(t), "|---|---|\n"+strings.Join(want, "\n")+"\n\n")
	named := regexp.MustCompile(`"(FERRY_[A-Z_]+)"`)
	for _, s := range sources(t) {
		for _, name := range named.FindAllStringSubmatch(read(t, filepath.Join(checkout, s.path)), -1) {
			contains(t, "ferry help environment, as "+s.path+" reads it", page, "\n"+name[1]+" ")
		}
	}
}

// TestReadmeExitCodes holds the table to the page: the same codes, each linked to its line there.
func TestReadmeExitCodes(t *testing.T) {
	const file = "testdata/golden/help/topic-exit-codes.txt"
	text := read(t, filepath.Join(checkout, file))
	lines := strings.Split(text, "\n")
	linked := map[string]bool{}
	for _, link := range regexp.MustCompile(`\[(\d+)\]\(`+regexp.QuoteMeta(file)+`#L(\d+)\)`).FindAllStringSubmatch(readme(t), -1) {
		number, _ := strconv.Atoi(link[2])
		contains(t, "line "+link[2]+" of the page", "\n"+lines[min(number, len(lines))-1], "\n"+link[1]+" ")
		linked[link[1]] = true
	}
	for _, heading := range regexp.MustCompile(`(?m)^(\d+) `).FindAllStringSubmatch(text, -1) {
		equal(t, "a link to exit code "+heading[1], linked[heading[1]], true)
	}
	atLeast(t, "codes that are linked", len(linked), 9)
}

// TestReadmeCurlTable compares ferry's side of the table with the flags and keys that there are.
func TestReadmeCurlTable(t *testing.T) {
	_, table, _ := strings.Cut(readme(t), "| curl | ferry |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	ask := ferry(t, nil, "ask", "--help").stdout
	stream := ferry(t, nil, "stream", "--help").stdout
	file := ferry(t, map[string]string{"HOME": t.TempDir()}, "config", "list").stdout
	rows, flags := 0, 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 2 {
			continue
		}
		rows++
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			for _, word := range strings.FieldsFunc(code[1], func(r rune) bool { return strings.ContainsRune(" ,{}", r) }) {
				key, isKey := strings.CutSuffix(word, ":")
				switch {
				case strings.HasPrefix(word, "-"):
					flags++
					errorIf(t, !regexp.MustCompile(`(?m)^ +(-\w, +)?`+word+`[ ,]`).MatchString(ask+stream),
						"there is no flag %s: %s", word, line)
				case isKey && key != "Authorization" && !regexp.MustCompile(`\b`+key+`\b`).MatchString(string(config.Template())+file):
					t.Errorf("the configuration has no %s: %s", key, line)
				}
			}
		}
		if strings.HasPrefix(cells[1], "does not exist") {
			for _, flag := range regexp.MustCompile("`(-[^`]+)`").FindAllStringSubmatch(cells[0], -1) {
				ferry(t, nil, "ask", flag[1], "-n", "demo", "hello").want(2, "", "")
			}
		}
	}
	errorIf(t, rows < 20 || flags < 20,
		"got %d rows with %d flags, want at least 20 of each: the table was misread", rows, flags)
}

// TestReadmeConfigurations loads the README's sections of a configuration file.
func TestReadmeConfigurations(t *testing.T) {
	loaded := 0
	for _, block := range readmeBlocks(t) {
		if block.language != "yaml" || block.section != "Configuration" && !strings.HasPrefix(block.section, "Filter") {
			continue
		}
		loaded++
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, block.text)
		ferry(t, map[string]string{"FERRY_CONFIG": path}, "config", "list").want(0, "", "")
	}
	equal(t, "configurations", loaded, 2)
}

// TestReadmeRecipes holds the README's blocks to the files in testdata/recipes, byte by byte.
func TestReadmeRecipes(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(checkout, "testdata", "recipes", "*"))
	fatalIf(t, err != nil || len(found) < 5, "%d recipes, %v", len(found), err)
	blocks := readmeBlocks(t)
	for _, path := range found {
		text := read(t, path)
		errorIf(t, !slices.ContainsFunc(blocks, func(b codeBlock) bool { return b.section == "Recipes" && b.text == text }),
			"README.md does not show %s as it is", filepath.Base(path))
		if strings.HasSuffix(path, ".yml") {
			if err := yaml.Unmarshal([]byte(text), new(map[string]any)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestReadmeMeasured expects a day, a machine, goals and a command for each row of the last run's figures.
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

// measured are the figures of the last run.
func measured(t *testing.T) string {
	return read(t, filepath.Join(checkout, "testdata", "measured.md"))
}

// measuredSection is the README's summary of them.
func measuredSection(t *testing.T) string {
	_, section, _ := strings.Cut(readme(t), "\n## Measured\n\n")
	section, _, found := strings.Cut(section, "\n\n## ")
	fatalIf(t, !found, "README.md has no section Measured")
	return section
}

// TestReadmeMeasuredFigures: what the README says of the last run is in its figures.
func TestReadmeMeasuredFigures(t *testing.T) {
	section, text := measuredSection(t), measured(t)
	figures := regexp.MustCompile(`\d{4}-\d\d-\d\d|\b\d+(\.\d+)?`).FindAllString(section, -1)
	for _, figure := range figures {
		errorIf(t, !regexp.MustCompile(`\b`+regexp.QuoteMeta(figure)+`\b`).MatchString(text),
			"README.md says %s, which is not in testdata/measured.md", figure)
	}
	if lines := strings.Count(section, "\n") + 1; lines > 8 || len(figures) < 20 {
		t.Errorf("the section has %d lines with %d figures, want 8 lines at most with 20 figures at least", lines, len(figures))
	}
}

// commandRows are the commands of all rows; every table has a column for them, and no cell of it is empty.
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

// checkTyped holds a command of ours to the flags that there are, and make to its targets.
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
	atLeast(t, "blocks of README.md", blocks, 20)
}
