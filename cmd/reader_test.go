//go:build linux

package cmd_test

import (
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// stubs replace programs that cannot run in a test, as far as the README's lines use them.
var stubs = map[string]string{
	// A cluster: TestVantagesInKubernetes runs what its containers run; .ci/kubernetes checks the manifest against its
	// types.
	"kubectl": `case "$1 $2" in
"create secret") cat >/dev/null ;;
"apply -f") test -s "$3" ;;
"get jobs") echo 'bench-cn   Complete   2/2' ;;
"get pods") printf 'pod/bench-a\npod/bench-b\n' ;;
"logs pod/"*) echo 'ferry: a note of the run'; cat "$HOME/saved/${2#pod/}.jsonl" ;;
*) echo "kubectl: $*" >&2; exit 9 ;;
esac`,
}

// forbidden are programs that change or leave a machine. A line of the README that calls one fails.
var forbidden = []string{"sudo", "su", "apt", "apt-get", "brew", "dpkg", "rpm", "install", "systemctl", "certbot", "nginx", "ssh", "docker", "npm", "go"}

// reader is a user who types the README's lines. All hosts except loopback lead to one demo node behind TLS.
type reader struct{ place }

const readerConfig = `nodes:
  hongkong:  {url: "https://hk.example.com/api", key: "env:CLAUDE_KEY"}
  singapore: {url: "https://sg.example.com/api", key: "env:CLAUDE_KEY"}
  qwen:      {url: "https://qwen.example.com/v1", api: chat, key: "env:CLAUDE_KEY", model: qwen-plus}
  llama:     {url: "https://llama.example.com/v1", api: chat, key: "env:CLAUDE_KEY", model: llama3.2}
`

// readmeServers are the servers that all readers share, and their CA.
type readmeServers struct{ demo, proxy, ca string }

// newReadmeServers starts `ferry demo` for the node direct, and a replacement for the hosts of the README.
func newReadmeServers(t *testing.T) readmeServers {
	for _, name := range []string{"bash", "git", "jq", "xargs", "make", "timeout", "curl"} {
		findProgram(t, name)
	}
	ca := newAuthority(t, "the README's hosts", nil)
	pair := ca.issueFor(t, "*.example.com", "*.anthropic.com", "*.deepseek.com")
	node := serve(t, nil, withTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}))
	return readmeServers{startDemo(t), connectProxy(t, nil, node.host).URL, ca.file}
}

func newReader(t *testing.T, w readmeServers) *reader {
	top, err := filepath.Abs(checkout)
	check(t, err)
	r := &reader{emptyPlace(t, "LANG=C.UTF-8", "TERM=dumb",
		"ANTHROPIC_BASE_URL="+w.demo, "ANTHROPIC_API_KEY=canary-key-0001", "CLAUDE_KEY=canary-key-0002", "DEEPSEEK_API_KEY=canary-key-0003", "HTTPS_PROXY="+w.proxy, "SSL_CERT_FILE="+w.ca,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")}
	for name, script := range stubs {
		r.file(t, ".bin/"+name, "#!/bin/sh\n"+script+"\n", 0o700)
	}
	for _, name := range forbidden {
		r.file(t, ".bin/"+name, "#!/bin/sh\necho 'not in a test: "+name+"' >&2\nexit 9\n", 0o700)
	}
	check(t, os.Symlink(filepath.Join(top, "testdata"), filepath.Join(r.dir, "testdata")))
	r.file(t, ".config/ferry/config.yaml", readerConfig, 0o600)
	r.writeFiles(t)
	return r
}

// writeFiles creates the files that the README's lines use.
func (r *reader) writeFiles(t *testing.T) {
	for name, text := range map[string]string{
		"notes.md": "# Notes\n\nA ferry crosses.\n", "letter.txt": "Good morning.\n",
		"prompts.txt": "one\ntwo\n", "提示词.txt": "第一个\n第二个\n", "items.jsonl": `{"id": "a", "prompt": "one"}` + "\n",
		"app.log": "all is well\npanic: no ferry\n", "web.log": "error: no ticket\n", "issues.jsonl": `{"number": 7, "title": "it sinks"}` + "\n",
	} {
		r.file(t, name, text, 0o600)
	}
	for _, line := range []string{
		"git init -q . && git add notes.md",
		"mkdir saved && for run in saved/bench-a saved/bench-b monday; do ferry bench -q -r 2 --save $run.jsonl hongkong; done",
	} {
		r.succeeds(t, line)
	}
}

// run runs a line and returns its exit code and its complete output.
func (r *reader) run(t *testing.T, line, stdin string, env ...string) (code int, said string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", line)
	c.Dir, c.Env, c.Stdin = r.dir, slices.Concat(r.env, env), strings.NewReader(stdin)
	var all bytes.Buffer
	c.Stdout, c.Stderr = &all, &all
	if err := c.Run(); c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), all.String()
}

// skippedCommands are the README's commands that this test does not run: the reason, and the test that runs them
// instead.
var skippedCommands = map[string]struct{ why, by string }{
	"make demo": {"builds ferry and measures for some seconds", "readme_commands"},
	"make test": {"runs this test", "readme_commands"},
	"make build && sudo install ferry /usr/local/bin/": {"needs root; make demo builds", "readme_commands"},

	"sha256sum --check --ignore-missing checksums.txt": {"needs a release", "unpacked_archives"},
	"sudo apt install ./ferry_*_amd64.deb":             {"needs a release", "unpacked_packages"},

	"ferry config nginx --out /etc/nginx": {"changes the machine", "TestNginxGateway"},
	"nginx -t && systemctl start nginx":   {"needs root and systemd", "TestNginxGateway"},
}

// otherCodes are the commands whose exit code is not 0 here, and the reason.
var otherCodes = map[string]struct {
	code int
	why  string
}{
	`ferry ask -x "a shell script that …" > script.sh`: {1, "the demo node writes no code"},
	`ferry ask -x "写一个 shell 脚本……" > script.sh`:        {1, "the demo node writes no code"},
}

// commandsOf returns the lines of a block that a reader types: all lines of a sh block, or what follows $.
func commandsOf(t *testing.T, b codeBlock) []string {
	var lines []string
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		typed, isTyped := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasSuffix(line, `\`):
			t.Errorf("%s, from line %d: this test knows no continued lines: %s", b.file, b.line, line)
		case b.language == "sh" && line != "" && !strings.HasPrefix(line, "#"):
			lines = append(lines, line)
		case b.language == "" && isTyped:
			lines = append(lines, typed)
		}
	}
	return lines
}

var remark = regexp.MustCompile(`\s{2,}# .*$`)

// TestReadmeCommands runs every command of both READMEs exactly as printed, in the order of its block.
func TestReadmeCommands(t *testing.T) {
	skipIfShort(t, "every command of the README")
	t.Parallel()
	w := newReadmeServers(t)
	left := listed(t)
	type session struct {
		block codeBlock
		lines []string
	}
	var sessions []session
	total := 0
	for _, b := range readmeBlocks(t) {
		if lines := commandsOf(t, b); len(lines) > 0 {
			sessions = append(sessions, session{b, lines})
			total += len(lines)
			for _, line := range lines {
				delete(left, withoutRemark(line))
			}
		}
	}
	atLeast(t, "commands of both READMEs", total, 110)
	for line := range left {
		t.Errorf("listed, and in no README: %s", line)
	}
	for _, s := range sessions {
		t.Run(s.block.file+" "+s.block.section, func(t *testing.T) {
			t.Parallel()
			r := newReader(t, w)
			for _, line := range s.lines {
				r.checkLine(t, s.block, line)
			}
		})
	}
}

// checkLine runs a line of the README, or skips it if it is listed.
func (r *reader) checkLine(t *testing.T, b codeBlock, line string) {
	bare := withoutRemark(line)
	if _, ok := skippedCommands[bare]; ok {
		return
	}
	stdin := ""
	switch {
	case strings.HasPrefix(bare, "ferry config key "), strings.Contains(bare, "/dev/stdin"):
		stdin = "canary-key-0003\n"
	case bare == "ferry config init": // the first command of a user who has no file yet
		check(t, os.Remove(filepath.Join(r.dir, ".config", "ferry", "config.yaml")))
	}
	want := otherCodes[bare].code
	if code, said := r.run(t, line, stdin); code != want {
		t.Errorf("%s, from line %d: exit code %d, want %d: %s\n%s", b.file, b.line, code, want, line, said)
	}
}

// withoutRemark returns a line without its remark, as in the lists.
func withoutRemark(line string) string { return remark.ReplaceAllString(line, "") }

// listed returns all listed lines and checks that the tests they name exist.
func listed(t *testing.T) map[string]bool {
	var there strings.Builder
	tests, err := filepath.Glob("*_test.go")
	check(t, err)
	for _, path := range append(tests, filepath.Join(checkout, ".ci", "run"), filepath.Join(checkout, ".ci", "package")) {
		text := read(t, path)
		there.WriteString(text)
	}
	all := map[string]bool{}
	check := func(line, why, by string) {
		all[line] = true
		if why == "" || by != "" && !strings.Contains(there.String(), "\nfunc "+by+"(") && !strings.Contains(there.String(), "\n"+by+"()") {
			t.Errorf("%s: %q, and %s is no test", line, why, by)
		}
	}
	for line, entry := range skippedCommands {
		check(line, entry.why, entry.by)
	}
	for line, entry := range otherCodes {
		check(line, entry.why, "")
	}
	return all
}

// TestExitCodesPage runs the examples of the page on exit codes, and checks the exit code of each.
func TestExitCodesPage(t *testing.T) {
	skipIfShort(t, "every command of the page")
	t.Parallel()
	r := newReader(t, newReadmeServers(t))
	page := ferry(t, nil, "help", "exit-codes").stdout
	code, trying, tried := "", false, map[string]int{}
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if heading := regexp.MustCompile(`^(\d+) `).FindStringSubmatch(line); heading != nil {
			code, trying = heading[1], false
		}
		if !strings.HasPrefix(line, "       ") {
			trying = strings.TrimSpace(line) == "try"
			continue
		}
		if trying {
			tried[code]++
			if got, said := r.run(t, "("+strings.TrimSpace(line)+"); echo exit code $?", ""); !strings.HasSuffix(said, "exit code "+code+"\n") {
				t.Errorf("%d, want %s: %s\n%s", got, code, strings.TrimSpace(line), said)
			}
		}
	}
	for _, want := range []string{"0", "1", "2", "3", "4", "5", "130", "143", "141"} {
		errorIf(t, tried[want] == 0, "the page shows %v, want a command for exit code %s", tried, want)
	}
}

func recipe(t *testing.T, name string) string {
	text := read(t, filepath.Join(checkout, "testdata", "recipes", name))
	return text
}

func (r *reader) succeeds(t *testing.T, line string, env ...string) string {
	t.Helper()
	code, said := r.run(t, line, "", env...)
	fatalIf(t, code != 0, "exit code %d, want 0: %s\n%s", code, line, said)
	return said
}

// TestRecipesForCI runs the steps of both systems in order, and the smoke check against a node that refuses requests.
func TestRecipesForCI(t *testing.T) {
	t.Parallel()
	w := newReadmeServers(t)
	var github struct {
		On   map[string]any
		Jobs map[string]struct {
			Env   map[string]string
			Steps []struct {
				Run  string
				With map[string]string
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
				t.Errorf("%v, want a report of tests in %s", err, report)
			}
			code, said := r.run(t, lines[1], "", "ANTHROPIC_BASE_URL="+w.demo+"?status=401")
			equal(t, "exit code with a node that refuses: "+said, code, 1)
		})
	}
}

// TestRecipeForKubernetes runs the commands with a replacement for the cluster.
func TestRecipeForKubernetes(t *testing.T) {
	t.Parallel()
	r := newReader(t, newReadmeServers(t))
	typed := 0
	for line := range strings.Lines(recipe(t, "kubernetes.sh")) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			typed++
			code, said := r.run(t, line, "canary-key-0003\n")
			equal(t, "exit code of "+line+": "+said, code, 0)
		}
	}
	equal(t, "commands", typed, 5)
}

// TestRecipeForCron runs the crontab's command: others can read the file, and it is complete even if a node is down.
func TestRecipeForCron(t *testing.T) {
	t.Parallel()
	const folder = "/var/lib/prometheus/node-exporter"
	r := newReader(t, newReadmeServers(t))
	r.file(t, "metrics/.keep", "", 0o600)
	lines := strings.Split(strings.TrimSpace(recipe(t, "ferry-bench.cron")), "\n")
	fields := strings.SplitN(lines[len(lines)-1], " ", 7)
	command := strings.Replace(fields[6], folder, filepath.Join(r.dir, "metrics"), 1)
	fatalIf(t, fields[5] != "prometheus" || strings.Contains(command, folder) || strings.Contains(command, "%"),
		"a crontab's line has five times, a user and a command without per cent signs: %q", fields)
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
	code, said := r.run(t, command, "")
	equal(t, "exit code with a node that is down: "+said, code, 1)
	looks(`ferry_bench_success_ratio{node="singapore",connection="cold"} 0`)
}

// TestRecipeForCommits commits with the hook: with a node, without one, and with the user's own message.
func TestRecipeForCommits(t *testing.T) {
	skipIfShort(t, "commits in a repository")
	t.Parallel()
	const byHand = `GIT_EDITOR=f() { echo by hand >>"$1"; }; f`
	r := newReader(t, newReadmeServers(t))
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
	w := newReadmeServers(t)
	r := newReader(t, w)
	r.file(t, "second.md", "# Second\n", 0o600)
	refuses := "ANTHROPIC_BASE_URL=" + w.demo + "?status=401"
	if code, said := r.run(t, line, "", refuses); code == 0 {
		t.Errorf("got exit code 0 with a node that refuses, want another:\n%s", said)
	}
	found := func(pattern string) []string { found, _ := filepath.Glob(filepath.Join(r.dir, pattern)); return found }
	equal(t, "files after a failure", found("*.fr.md"), nil)
	r.succeeds(t, line)
	for _, page := range []string{"notes.fr.md", "second.fr.md"} {
		contains(t, page, read(t, filepath.Join(r.dir, page)), "Translate this page")
	}
	r.succeeds(t, line, refuses) // nothing is left to do
	equal(t, "files that are translated twice", found("*.fr.fr.md"), nil)
}
