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
	text := read(t, filepath.Join(checkout, "testdata", "recipes", name))
	return text
}

func (r *reader) succeeds(t *testing.T, line string, env ...string) string {
	t.Helper()
	code, said := r.types(t, line, "", env...)
	if code != 0 {
		t.Fatalf("exit code %d, want 0: %s\n%s", code, line, said)
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
		} else {
			equal(t, "what is kept", step.With["path"], "bench.xml")
		}
	}
	if github.On["schedule"] == nil || smoke.Env["ANTHROPIC_API_KEY"] != "${{ secrets.ANTHROPIC_API_KEY }}" {
		t.Errorf("on %v, with %v, want a schedule and the key", github.On, smoke.Env)
	}
	var gitlab map[string]struct {
		Script    []string
		Artifacts struct{ Reports map[string]string }
	}
	check(t, yaml.Unmarshal([]byte(recipe(t, "gitlab-ci.yml")), &gitlab))
	steps["gitlab"] = gitlab["model smoke"].Script
	equal(t, "the report", gitlab["model smoke"].Artifacts.Reports["junit"], "bench.xml")
	for system, lines := range steps {
		t.Run(system, func(t *testing.T) {
			equal(t, "steps", len(lines), 3)
			r := newReader(t, w)
			binary := "BINARY_URL=file://" + filepath.Join(r.dir, ".bin", "ferry")
			for _, line := range lines {
				r.succeeds(t, line, binary)
			}
			report, err := os.ReadFile(filepath.Join(r.dir, "bench.xml"))
			if err != nil || xml.Unmarshal(report, new(struct{})) != nil || !strings.Contains(string(report), "<testcase") {
				t.Errorf("%v, %s", err, report)
			}
			code, said := r.types(t, lines[1], "", "ANTHROPIC_BASE_URL="+w.demo+"?status=401")
			equal(t, "exit code with a node that refuses: "+said, code, 1)
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
		contains(t, path, read(t, path), want)
		info, err := os.Stat(path)
		check(t, err)
		equal(t, "the mode, for the collector may be another user", info.Mode().Perm()&0o444, 0o444)
		all, _ := os.ReadDir(filepath.Dir(path))
		equal(t, "files in its folder", len(all), 2)
	}
	r.succeeds(t, command)
	looks(`ferry_bench_success_ratio{node="singapore",connection="cold"} 1`)
	r.succeeds(t, "ferry config set nodes.singapore.url 'https://sg.example.com/api?status=503'")
	code, said := r.types(t, command, "")
	equal(t, "exit code with a node that is down: "+said, code, 1)
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
	contains(t, "the proposal", message("git commit", "GIT_EDITOR=true"), "Hello from the demo node", "diff --git")
	for name, env := range map[string]string{
		"a node that refuses": "ANTHROPIC_BASE_URL=http://127.0.0.1:1",
		"no key":              "ANTHROPIC_API_KEY=",
		"a broken file":       "FERRY_CONFIG=notes.md",
	} {
		equal(t, "the message with "+name, strings.TrimSpace(message("git commit", byHand, env, "CLAUDE_KEY=")), "by hand")
	}
	r.file(t, ".bin/ferry", "#!/bin/sh\necho half of it\nexit 127\n", 0o700)
	equal(t, "the message without ferry", strings.TrimSpace(message("git commit", byHand)), "by hand")
	r.file(t, ".bin/ferry", "#!/bin/sh\ntouch asked\n", 0o700)
	equal(t, "the message of one's own", strings.TrimSpace(message("git commit -m mine && ! test -e asked")), "mine")
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
		t.Errorf("got exit code 0 with a node that refuses, want another:\n%s", said)
	}
	found := func(pattern string) []string { found, _ := filepath.Glob(filepath.Join(r.dir, pattern)); return found }
	equal(t, "files after a failure", found("*.fr.md"), nil)
	r.succeeds(t, line)
	for _, page := range []string{"notes.fr.md", "second.fr.md"} {
		contains(t, page, read(t, filepath.Join(r.dir, page)), "Translate this page")
	}
	r.succeeds(t, line, refuses) // nothing is left to ask
	equal(t, "files that are translated twice", found("*.fr.fr.md"), nil)
}
