package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ferry/pkg/bench"
)

// TestHTMLInBrowser opens every page in a headless Chromium, light and dark, narrow and wide. FERRY_SHOTS names a folder for
// pictures of them.
func TestHTMLInBrowser(t *testing.T) {
	script := filepath.Join("..", "..", "testdata", "browser")
	node, err := exec.LookPath("node")
	if err != nil {
		needed(t, "node, to drive the browser")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil {
		needed(t, "chromium, to show the report")
	}
	if _, err := os.Stat(filepath.Join(script, "node_modules", "playwright-core")); err != nil {
		needed(t, "playwright-core (npm ci in testdata/browser)")
	}
	folder := t.TempDir()
	for name, s := range looks() {
		expectation, err := json.Marshal(map[string][]string{"rows": rowNames(s), "plots": plotIDs(s)})
		if err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string]string{name + ".html": write(t, HTML, s, Options{}), name + ".json": string(expectation)} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	look := exec.CommandContext(t.Context(), node, "report.mjs", folder)
	look.Dir = script
	look.Env = append(os.Environ(), "FERRY_CHROMIUM="+browser)
	out, err := look.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	passed := strings.Count("\n"+string(out), "\nok ")
	if want := 1 + 7*len(looks()); err != nil || passed != want {
		t.Errorf("%d of %d looks passed:\n%s", passed, want, out)
	}
}

// rowNames are the names that the table of results shows.
func rowNames(s *bench.Summary) []string {
	names := []string{}
	for _, r := range s.Rows {
		names = append(names, visible(r.Node.Name))
	}
	return names
}

// plotIDs are the pictures that a summary has, in the order of the page.
func plotIDs(s *bench.Summary) []string {
	ids := []string{}
	rows := func(plot string, has func(*bench.Row) bool) {
		for i, r := range s.Rows {
			if has(r) {
				ids = append(ids, fmt.Sprintf("%s-%d", plot, i))
			}
		}
	}
	all := func(*bench.Row) bool { return true }
	rows("comparison", func(r *bench.Row) bool { return r.VsReference != nil })
	rows("distribution", all)
	rows("timeline", all)
	for _, r := range s.Rows {
		if hasPhases(r) {
			rows("phases", all)
			break
		}
	}
	return ids
}

// needed skips a test by the name of what it lacks. Where everything is to be there it fails instead: a skip that nobody
// sees is a check that nobody makes.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}
