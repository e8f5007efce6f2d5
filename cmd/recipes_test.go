//go:build linux

package cmd_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

func recipe(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "testdata", "recipes", name))
	check(t, err)
	return string(text)
}

func (r *reader) succeeds(t *testing.T, line string, env ...string) string {
	t.Helper()
	code, said := r.types(t, line, "", env...)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, line, said)
	}
	return said
}

// TestRecipesForCI runs the steps of both systems in their order, and the smoke check against a node that refuses.
func TestRecipesForCI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var github struct {
		On   map[string]any
		Jobs map[string]struct {
			Env   map[string]string
			Steps []struct {
				Run, Uses string
				With      map[string]string
			}
		}
	}
	check(t, yaml.Unmarshal([]byte(recipe(t, "github-actions.yml")), &github))
	smoke := github.Jobs["smoke"]
	steps := map[string][]string{}
	for _, step := range smoke.Steps {
		if step.Run != "" {
			steps["github"] = append(steps["github"], step.Run)
		} else if step.With["path"] != "bench.xml" {
			t.Errorf("kept is %v", step.With)
		}
	}
	if github.On["schedule"] == nil || smoke.Env["ANTHROPIC_API_KEY"] != "${{ secrets.ANTHROPIC_API_KEY }}" {
		t.Errorf("on %v, with %v", github.On, smoke.Env)
	}
	var gitlab map[string]struct {
		Script    []string
		Artifacts struct{ Reports map[string]string }
	}
	check(t, yaml.Unmarshal([]byte(recipe(t, "gitlab-ci.yml")), &gitlab))
	steps["gitlab"] = gitlab["model smoke"].Script
	if report := gitlab["model smoke"].Artifacts.Reports["junit"]; report != "bench.xml" {
		t.Errorf("the report is %q", report)
	}
	for system, lines := range steps {
		t.Run(system, func(t *testing.T) {
			if len(lines) != 3 {
				t.Fatalf("%d steps", len(lines))
			}
			r := newReader(t, w)
			binary := "BINARY_URL=file://" + filepath.Join(r.dir, ".bin", "ferry")
			for _, line := range lines {
				r.succeeds(t, line, binary)
			}
			report, err := os.ReadFile(filepath.Join(r.dir, "bench.xml"))
			if err != nil || xml.Unmarshal(report, new(struct{})) != nil || !strings.Contains(string(report), "<testcase") {
				t.Errorf("%v, %s", err, report)
			}
			if code, said := r.types(t, lines[1], "", "ANTHROPIC_BASE_URL="+w.demo+"?status=401"); code != 1 {
				t.Errorf("a node that refuses is exit code %d\n%s", code, said)
			}
		})
	}
}

// TestRecipeForCron runs the crontab's command with a folder of the test's: the file is readable by others, alone in its
// folder, and whole also where a node is down.
func TestRecipeForCron(t *testing.T) {
	t.Parallel()
	const folder = "/var/lib/prometheus/node-exporter"
	r := newReader(t, newWorld(t))
	r.file(t, "metrics/.keep", "", 0o600)
	lines := strings.Split(strings.TrimSpace(recipe(t, "ferry-bench.cron")), "\n")
	fields := strings.SplitN(lines[len(lines)-1], " ", 7)
	command := strings.Replace(fields[6], folder, filepath.Join(r.dir, "metrics"), 1)
	if fields[5] != "prometheus" || strings.Contains(command, folder) || strings.Contains(command, "%") {
		t.Fatalf("a crontab's line has five times, a user and a command without per cent signs: %q", fields)
	}
	looks := func(want string) {
		t.Helper()
		path := filepath.Join(r.dir, "metrics", "ferry.prom")
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v, no %s in\n%s", err, want, text)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o444 != 0o444 {
			t.Errorf("%v: the collector may be another user", info.Mode())
		}
		if all, _ := os.ReadDir(filepath.Dir(path)); len(all) != 2 {
			t.Errorf("left beside it: %v", all)
		}
	}
	r.succeeds(t, command)
	looks(`ferry_bench_success_ratio{node="singapore",connection="cold"} 1`)
	r.succeeds(t, "ferry config set nodes.singapore.url 'https://sg.example.com/api?status=503'")
	if code, said := r.types(t, command, ""); code != 1 {
		t.Errorf("exit code %d\n%s", code, said)
	}
	looks(`ferry_bench_success_ratio{node="singapore",connection="cold"} 0`)
}

// TestRecipeForCommits commits with the hook: with a node, with one that refuses, without ferry, and with a message of
// one's own.
func TestRecipeForCommits(t *testing.T) {
	long(t, "commits in a repository")
	t.Parallel()
	const byHand = `GIT_EDITOR=f() { echo by hand >>"$1"; }; f`
	r := newReader(t, newWorld(t))
	r.succeeds(t, "cp testdata/recipes/prepare-commit-msg .git/hooks/")
	message := func(line string, env ...string) string {
		t.Helper()
		r.file(t, "notes.md", r.succeeds(t, "cat notes.md")+"More.\n", 0o600)
		r.succeeds(t, "git add notes.md && "+line, env...)
		return r.succeeds(t, "git log -1 --format=%B")
	}
	if got := message("git commit", "GIT_EDITOR=true"); !strings.HasPrefix(got, "Hello from the demo node") || !strings.Contains(got, "diff --git") {
		t.Errorf("the proposal is %q", got)
	}
	for name, env := range map[string]string{
		"a node that refuses": "ANTHROPIC_BASE_URL=http://127.0.0.1:1",
		"no key":              "ANTHROPIC_API_KEY=",
		"a broken file":       "FERRY_CONFIG=notes.md",
	} {
		if got := strings.TrimSpace(message("git commit", byHand, env, "CLAUDE_KEY=")); got != "by hand" {
			t.Errorf("%s: the message is %q", name, got)
		}
	}
	r.file(t, ".bin/ferry", "#!/bin/sh\necho half of it\nexit 127\n", 0o700)
	if got := strings.TrimSpace(message("git commit", byHand)); got != "by hand" {
		t.Errorf("without ferry the message is %q", got)
	}
	r.file(t, ".bin/ferry", "#!/bin/sh\ntouch asked\n", 0o700)
	if got := strings.TrimSpace(message("git commit -m mine && ! test -e asked")); got != "mine" {
		t.Errorf("the message is %q", got)
	}
}

// TestRecipeForMake makes the translations: none is made twice, and a failure leaves no file.
func TestRecipeForMake(t *testing.T) {
	t.Parallel()
	const line = "make -j4 -f testdata/recipes/translate.mk"
	w := newWorld(t)
	r := newReader(t, w)
	r.file(t, "second.md", "# Second\n", 0o600)
	refuses := "ANTHROPIC_BASE_URL=" + w.demo + "?status=401"
	if code, said := r.types(t, line, "", refuses); code == 0 {
		t.Errorf("a node that refuses goes unnoticed:\n%s", said)
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, "*.fr.md")); len(left) > 0 {
		t.Errorf("left after a failure: %v", left)
	}
	r.succeeds(t, line)
	for _, page := range []string{"notes.fr.md", "second.fr.md"} {
		if text, err := os.ReadFile(filepath.Join(r.dir, page)); err != nil || !strings.Contains(string(text), "Translate this page") {
			t.Errorf("%s: %v, %q", page, err, text)
		}
	}
	r.succeeds(t, line, refuses) // nothing is left to ask
	if again, _ := filepath.Glob(filepath.Join(r.dir, "*.fr.fr.md")); len(again) > 0 {
		t.Errorf("translated twice: %v", again)
	}
}
