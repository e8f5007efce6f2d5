package cmd_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestChineseTable checks that each row begins with words that ferry still prints, in a source or a story, and that no
// text is lost in the table.
func TestChineseTable(t *testing.T) {
	var said strings.Builder
	for _, s := range sources(t) {
		said.WriteString(read(t, filepath.Join(checkout, s.path)))
	}
	stories, err := filepath.Glob(filepath.Join(checkout, "testdata", "script", "*.txtar"))
	fatalIf(t, err != nil || len(stories) == 0, "%d stories, %v", len(stories), err)
	for _, path := range stories { // for messages of libraries
		said.WriteString(read(t, path))
	}
	hole := regexp.MustCompile(`\{\d?\}`)
	rows := regexp.MustCompile(`(?m)^(.*) → (.*)$`).FindAllStringSubmatch(read(t, "chinese.txt"), -1)
	atLeast(t, "rows", len(rows), 70)
	for _, row := range rows {
		english, chinese := row[1], row[2]
		first := strings.TrimSpace(strings.Join(strings.SplitN(strings.TrimPrefix(english, "{}"), "{}", 2)[:1], ""))
		errorIf(t, !strings.Contains(said.String(), strings.TrimRight(first, ":…")), "%q is nothing that ferry says", first)
		equal(t, "texts in "+chinese, len(hole.FindAllString(chinese, -1)), len(hole.FindAllString(english, -1)))
		errorIf(t, !regexp.MustCompile(`\p{Han}`).MatchString(chinese), "%q is not Chinese", chinese)
	}
}
