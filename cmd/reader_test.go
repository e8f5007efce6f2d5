//go:build linux

package cmd_test

import (
	"bytes"
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// standIns are programs that have no place in a test. What stands in for them keeps to the part that the README's lines
// see.
var standIns = map[string]string{
	// A cluster: TestVantagesInKubernetes runs what its containers run, .ci/kubernetes holds the manifest to its types.
	"kubectl": `case "$1 $2" in
"create secret") cat >/dev/null ;;
"apply -f") test -s "$3" ;;
"get jobs") echo 'bench-cn   Complete   2/2' ;;
"get pods") printf 'pod/bench-a\npod/bench-b\n' ;;
"logs pod/"*) echo 'ferry: a note of the run'; cat "$HOME/saved/${2#pod/}.jsonl" ;;
*) echo "kubectl: $*" >&2; exit 9 ;;
esac`,
}

// forbidden are programs that change a machine or leave it: a line of the README that calls one and is not listed fails
// instead of being run.
var forbidden = []string{"sudo", "su", "apt", "apt-get", "brew", "dpkg", "rpm", "install", "systemctl", "certbot", "nginx", "ssh", "docker", "npm", "go"}

// reader is somebody who types what the README says: an empty home but for a few files, and ferry first on the PATH.
// All hosts but loopback lead to one demo node behind TLS.
type reader struct {
	dir string
	env []string
}

const readerConfig = `nodes:
  hongkong:  {url: "https://hk.example.com/api", key: "env:CLAUDE_KEY"}
  singapore: {url: "https://sg.example.com/api", key: "env:CLAUDE_KEY"}
  qwen:      {url: "https://qwen.example.com/v1", api: chat, key: "env:CLAUDE_KEY", model: qwen-plus}
  llama:     {url: "https://llama.example.com/v1", api: chat, key: "env:CLAUDE_KEY", model: llama3.2}
`

// world is what all readers share.
type world struct{ demo, proxy, ca string }

// newWorld starts `ferry demo` for the node direct, and what stands for the hosts of the README.
func newWorld(t *testing.T) world {
	t.Helper()
	for _, name := range []string{"bash", "git", "jq", "xargs", "make", "timeout", "curl"} {
		findProgram(t, name)
	}
	ca := newAuthority(t, "the README's hosts", nil)
	pair := ca.issueFor(t, "*.example.com", "*.anthropic.com")
	node := serve(t, nil, withTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}))
	return world{startDemo(t), connectProxy(t, nil, node.host).URL, ca.file}
}

func newReader(t *testing.T, w world) *reader {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	top, err := filepath.Abs(checkout)
	check(t, err)
	r := &reader{dir: t.TempDir()}
	r.env = []string{
		"PATH=" + filepath.Join(r.dir, ".bin") + ":" + os.Getenv("PATH"), "HOME=" + r.dir, "LANG=C.UTF-8", "TERM=dumb",
		"ANTHROPIC_BASE_URL=" + w.demo, "ANTHROPIC_API_KEY=canary-key-0001", "CLAUDE_KEY=canary-key-0002",
		"HTTPS_PROXY=" + w.proxy, "SSL_CERT_FILE=" + w.ca, raceExit + "=" + raceAtOnce,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	r.file(t, ".bin/ferry", "#!/bin/sh\nexec '"+r.dir+"/.bin/ferry-real' \"$@\"\n", 0o700)
	for name, script := range standIns {
		r.file(t, ".bin/"+name, "#!/bin/sh\n"+script+"\n", 0o700)
	}
	for _, name := range forbidden {
		r.file(t, ".bin/"+name, "#!/bin/sh\necho 'not in a test: "+name+"' >&2\nexit 9\n", 0o700)
	}
	for from, to := range map[string]string{self: ".bin/ferry-real", filepath.Join(top, "testdata"): "testdata"} {
		check(t, os.Symlink(from, filepath.Join(r.dir, to)))
	}
	r.file(t, ".config/ferry/config.yaml", readerConfig, 0o600)
	r.belongings(t)
	return r
}

// belongings are the files that the README's lines are about.
func (r *reader) belongings(t *testing.T) {
	t.Helper()
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

func (r *reader) file(t *testing.T, name, text string, mode os.FileMode) {
	place{dir: r.dir}.file(t, name, text, mode)
}

// types runs a line and gives its exit code and all that it printed.
func (r *reader) types(t *testing.T, line, stdin string, env ...string) (code int, said string) {
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

// unrun are the commands of the README that this test does not run, by their exact text: why not, and the test or the
// step of .ci/run that does, where there is one.
var unrun = map[string]struct{ why, by string }{
	"make demo": {"builds ferry and measures for half a minute", "readme_commands"},
	"make test": {"runs this test", "readme_commands"},
	"make build && sudo install ferry /usr/local/bin/": {"needs root; make demo builds", "readme_commands"},

	"sha256sum --check --ignore-missing checksums.txt": {"needs a release", "unpacked_archives"},
	"sudo apt install ./ferry_*_amd64.deb":             {"needs a release", "unpacked_packages"},

	"sudo -i":                   {"needs root", ""},
	"apt install nginx certbot": {"needs root and a network", ""},
	"systemctl stop nginx":      {"needs root and systemd", ""},
	`certbot certonly --standalone -d ai.example.com --deploy-hook "nginx -s reload"`: {"needs a public name", ""},
	"mv /etc/nginx/nginx.conf /etc/nginx/nginx.conf.debian":                           {"changes the machine", ""},
	"ferry config nginx --out /etc/nginx":                                             {"changes the machine", "TestNginxGateway"},
	"nginx -t && systemctl start nginx":                                               {"needs root and systemd", "TestNginxGateway"},
	"ferry config check team":                                                         {"is about a gateway, and the node here is none", "TestNginxGateway"},
}

// unrunBeginning are such commands that are too long to be repeated here, by their beginning.
var unrunBeginning = map[string]struct{ why, by string }{
	"parallel -j0 ": {"needs hosts to log in to", "TestVantagesOverSSH"},
}

// otherCodes are the commands that end with another exit code than 0 here, and why that is right.
var otherCodes = map[string]struct {
	code int
	why  string
}{
	`ferry ask -x "a shell script that …" > script.sh`: {1, "the demo node writes no code"},
}

// commandsOf are the lines of a block that a reader types: all of a block of sh, and what stands behind $ in one that
// shows what came of it.
func commandsOf(t *testing.T, b codeBlock) []string {
	var lines []string
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		typed, isTyped := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasSuffix(line, `\`):
			t.Errorf("README.md, from line %d: this test knows no continued lines: %s", b.line, line)
		case b.language == "sh" && line != "" && !strings.HasPrefix(line, "#"):
			lines = append(lines, line)
		case b.language == "" && isTyped:
			lines = append(lines, typed)
		}
	}
	return lines
}

var remark = regexp.MustCompile(`\s{2,}# .*$`)

// TestReadmeCommands types every command of the README, as it stands there, in the order of its block.
func TestReadmeCommands(t *testing.T) {
	long(t, "every command of the README")
	t.Parallel()
	w := newWorld(t)
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
				delete(left, listing(line))
			}
		}
	}
	if total < 80 {
		t.Errorf("got %d commands, want 80 at least: README.md was misread", total)
	}
	for line := range left {
		t.Errorf("listed, and not in README.md: %s", line)
	}
	for _, s := range sessions {
		t.Run(s.block.section+" "+strings.Fields(s.lines[0])[0], func(t *testing.T) {
			t.Parallel()
			r := newReader(t, w)
			for _, line := range s.lines {
				r.follows(t, s.block, line)
			}
		})
	}
}

// follows runs a line of the README, or leaves it out where it is listed.
func (r *reader) follows(t *testing.T, b codeBlock, line string) {
	bare := listing(line)
	if _, ok := unrun[bare]; ok {
		return
	}
	if _, ok := unrunBeginning[bare]; ok {
		return
	}
	stdin := ""
	switch {
	case strings.HasPrefix(bare, "ferry config key "), strings.Contains(bare, "/dev/stdin"):
		stdin = "canary-key-0003\n"
	case bare == "ferry config init": // the first command of somebody who has no file yet
		check(t, os.Remove(filepath.Join(r.dir, ".config", "ferry", "config.yaml")))
	}
	want := otherCodes[bare].code
	if code, said := r.types(t, line, stdin); code != want {
		t.Errorf("README.md, from line %d: exit code %d, want %d: %s\n%s", b.line, code, want, line, said)
	}
}

// listing is a line as the lists have it: without its remark, or the beginning where that is listed.
func listing(line string) string {
	for beginning := range unrunBeginning {
		if strings.HasPrefix(line, beginning) {
			return beginning
		}
	}
	return remark.ReplaceAllString(line, "")
}

// listed are all listed lines. The tests that they name have to be there.
func listed(t *testing.T) map[string]bool {
	t.Helper()
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
	for line, entry := range unrun {
		check(line, entry.why, entry.by)
	}
	for line, entry := range unrunBeginning {
		check(line, entry.why, entry.by)
	}
	for line, entry := range otherCodes {
		check(line, entry.why, "")
	}
	return all
}

// TestExitCodesPage runs what the page on exit codes says to try, and holds each command to its code.
func TestExitCodesPage(t *testing.T) {
	long(t, "every command of the page")
	t.Parallel()
	r := newReader(t, newWorld(t))
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
			if got, said := r.types(t, "("+strings.TrimSpace(line)+"); echo exit code $?", ""); !strings.HasSuffix(said, "exit code "+code+"\n") {
				t.Errorf("%d, want %s: %s\n%s", got, code, strings.TrimSpace(line), said)
			}
		}
	}
	for _, want := range []string{"0", "1", "2", "3", "4", "5", "130", "143", "141"} {
		if tried[want] == 0 {
			t.Errorf("the page shows %v, want a command for exit code %s", tried, want)
		}
	}
}
