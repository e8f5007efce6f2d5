//go:build linux

package cmd_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
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
		if _, err := exec.LookPath(name); err != nil {
			needed(t, name)
		}
	}
	served := realFerry(t, "demo", "--quiet", "--listen", "127.0.0.1:0")
	out, err := served.StdoutPipe()
	check(t, err)
	check(t, served.Start())
	t.Cleanup(func() {
		_ = served.Process.Kill()
		_ = served.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	ca := newAuthority(t, "the README's hosts", nil)
	pair := ca.issue(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"*.example.com", "*.anthropic.com"}, nil
	})
	node := newTLSNode(t, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	proxy, _ := leadingProxy(t, nil, func(string) string { return node.host })
	return world{strings.TrimSpace(address), proxy, ca.file}
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
		if code, said := r.types(t, line, ""); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", line, code, said)
		}
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
