package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
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
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	check(t, err)
	return string(text)
}

func readmeBlocks(t *testing.T) []codeBlock {
	t.Helper()
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
	if open != nil || len(all) < 20 {
		t.Fatalf("README.md was misread: %d blocks", len(all))
	}
	return all
}

// TestReadmeLinks holds every link inside the repository to something that is there.
func TestReadmeLinks(t *testing.T) {
	text := readme(t)
	var anchors []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchors = append(anchors, anchorOf(heading[1]))
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 30 {
		t.Fatalf("only %d links: README.md was misread", len(links))
	}
	for _, link := range links {
		file, anchor, _ := strings.Cut(link[1], "#")
		switch {
		case strings.Contains(file, "://"):
		case file == "" && !slices.Contains(anchors, anchor):
			t.Errorf("no heading for #%s", anchor)
		case file != "":
			if _, err := os.Stat(filepath.Join(checkout, file)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, page := range regexp.MustCompile("ferry help ([a-z-]+)").FindAllStringSubmatch(text, -1) {
		if helpPages["topic-"+page[1]] == nil {
			t.Errorf("there is no page for %s", page[0])
		}
	}
	for name := range helpPages {
		if topic, ok := strings.CutPrefix(name, "topic-"); ok && !strings.Contains(text, "ferry help "+topic) {
			t.Errorf("README.md does not name ferry help %s", topic)
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
	_, page, _ := run(t, nil, "help", "environment")
	var want []string
	for line := range strings.Lines(page) {
		name, meaning, ok := strings.Cut(line, "  ")
		if ok && name != "variable" {
			want = append(want, "| `"+strings.ReplaceAll(name, ", ", "`, `")+"` | "+strings.TrimSpace(meaning)+" |")
		}
	}
	if len(want) < 20 {
		t.Fatalf("only %d variables: the page was misread", len(want))
	}
	if table := strings.Join(want, "\n"); !strings.Contains(readme(t), "|---|---|\n"+table+"\n\n") {
		t.Errorf("README.md should list the variables so:\n%s", table)
	}
	read := regexp.MustCompile(`"(FERRY_[A-Z_]+)"`)
	for _, s := range sources(t) {
		text, err := os.ReadFile(filepath.Join(checkout, s.path))
		check(t, err)
		if strings.HasSuffix(s.path, "_test.go") || strings.HasPrefix(s.path, ".") {
			continue
		}
		for _, name := range read.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(page, "\n"+name[1]+" ") {
				t.Errorf("%s reads %s, which ferry help environment does not list", s.path, name[1])
			}
		}
	}
}

// TestReadmeExitCodes holds the table to the page: the same codes, each linked to its line there.
func TestReadmeExitCodes(t *testing.T) {
	const file = "testdata/golden/help/topic-exit-codes.txt"
	text, err := os.ReadFile(filepath.Join(checkout, file))
	check(t, err)
	lines := strings.Split(string(text), "\n")
	linked := map[string]bool{}
	for _, link := range regexp.MustCompile(`\[(\d+)\]\(`+regexp.QuoteMeta(file)+`#L(\d+)\)`).FindAllStringSubmatch(readme(t), -1) {
		number, _ := strconv.Atoi(link[2])
		if number > len(lines) || !strings.HasPrefix(lines[number-1], link[1]+" ") {
			t.Errorf("exit code %s leads to line %d, which is not about it", link[1], number)
		}
		linked[link[1]] = true
	}
	for _, heading := range regexp.MustCompile(`(?m)^(\d+) `).FindAllStringSubmatch(string(text), -1) {
		if !linked[heading[1]] {
			t.Errorf("README.md has no link to exit code %s", heading[1])
		}
	}
	if len(linked) < 9 {
		t.Errorf("only %d codes are linked", len(linked))
	}
}

// TestReadmeCurlTable holds ferry's side of the table to the flags and keys that there are, and holds what does not exist
// on purpose to not existing.
func TestReadmeCurlTable(t *testing.T) {
	_, table, _ := strings.Cut(readme(t), "| curl | ferry |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	_, ask, _ := run(t, nil, "ask", "--help")
	_, stream, _ := run(t, nil, "stream", "--help")
	_, file, _ := run(t, map[string]string{"HOME": t.TempDir()}, "config", "list")
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
					if !regexp.MustCompile(`(?m)^ +(-\w, +)?` + word + `[ ,]`).MatchString(ask + stream) {
						t.Errorf("there is no flag %s: %s", word, line)
					}
				case isKey && key != "Authorization" && !regexp.MustCompile(`\b`+key+`\b`).MatchString(string(config.Template())+file):
					t.Errorf("the configuration has no %s: %s", key, line)
				}
			}
		}
		if strings.HasPrefix(cells[1], "does not exist") {
			for _, flag := range regexp.MustCompile("`(-[^`]+)`").FindAllStringSubmatch(cells[0], -1) {
				if code, _, _ := run(t, nil, "ask", flag[1], "-n", "demo", "hello"); code != 2 {
					t.Errorf("%s is exit code %d", flag[1], code)
				}
			}
		}
	}
	if rows < 20 || flags < 20 {
		t.Errorf("%d rows with %d flags: the table was misread", rows, flags)
	}
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
		if code, _, stderr := run(t, map[string]string{"FERRY_CONFIG": path}, "config", "list"); code != 0 {
			t.Errorf("README.md:%d: %s", block.line, stderr)
		}
	}
	if loaded != 2 {
		t.Errorf("loaded %d configurations", loaded)
	}
}

// TestReadmeRecipes holds the README's blocks to the files in testdata/recipes, byte by byte.
func TestReadmeRecipes(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(checkout, "testdata", "recipes", "*"))
	if err != nil || len(found) < 5 {
		t.Fatalf("%d recipes, %v", len(found), err)
	}
	blocks := readmeBlocks(t)
	for _, path := range found {
		text, err := os.ReadFile(path)
		check(t, err)
		if !slices.ContainsFunc(blocks, func(b codeBlock) bool { return b.section == "Recipes" && b.text == string(text) }) {
			t.Errorf("README.md does not show %s as it is", filepath.Base(path))
		}
		if strings.HasSuffix(path, ".yml") {
			if err := yaml.Unmarshal(text, new(map[string]any)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
