package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pinnedAction is one of a certain commit, with the version that this is.
var pinnedAction = regexp.MustCompile(`^(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// TestArchitectureWorkflows holds the workflows to actions of a certain commit: a tag can be moved to other code, which
// would have the rights of the workflow.
func TestArchitectureWorkflows(t *testing.T) {
	for line, pinned := range map[string]bool{
		"- uses: actions/checkout@" + strings.Repeat("0a", 20) + " # v6.0.2": true,
		"- uses: actions/checkout@v6":                                        false,
		"uses: actions/checkout@main # v6.0.2":                               false,
		"uses: actions/checkout@" + strings.Repeat("0a", 20):                 false,
		"uses: ./.github/actions/own":                                        false,
	} {
		if pinnedAction.MatchString(line) != pinned {
			t.Errorf("the pattern is wrong about %s", line)
		}
	}
	files, err := filepath.Glob(filepath.Join(checkout, ".github", "workflows", "*"))
	check(t, err)
	actions := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		check(t, err)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); !strings.Contains(line, "uses:") {
				continue
			}
			actions++
			if !pinnedAction.MatchString(line) {
				t.Errorf("%s: want OWNER/NAME@COMMIT # vX.Y.Z: %s", filepath.Base(path), line)
			}
		}
	}
	if actions == 0 {
		t.Errorf("no action in %d workflows: they were misread", len(files))
	}
}
