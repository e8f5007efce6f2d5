//go:build unix

package cmd_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ferry/pkg/demo"

	"go.yaml.in/yaml/v4"
)

// place is a folder with ferry on its PATH and two nodes in its configuration: what a host to measure from has.
type place struct {
	dir string
	env []string
}

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	check(t, err)
	node := demo.New(demo.Options{})
	server := httptest.NewServer(node)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = node.Close() })
	p := place{dir: dir}
	p.file(t, "bin/ferry", "#!/bin/sh\nexec '"+dir+"/bin/ferry-real' \"$@\"\n", 0o700)
	p.file(t, "config.yaml", fmt.Sprintf("nodes:\n  hongkong: {url: %q, key: env:CLAUDE_KEY}\n  singapore: {url: %q, key: env:CLAUDE_KEY}\n",
		server.URL, server.URL), 0o600)
	check(t, os.Symlink(self, filepath.Join(dir, "bin", "ferry-real")))
	p.env = []string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "FERRY_CONFIG=" + filepath.Join(dir, "config.yaml"),
		"CLAUDE_KEY=canary-key-0001", raceExit + "=" + raceAtOnce,
	}
	return p
}

func (p place) file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), mode))
	return path
}

// shell runs a line there, and gives standard output and the exit code.
func (p place) shell(t *testing.T, line string, env ...string) (string, int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", line)
	c.Dir, c.Env = p.dir, slices.Concat(p.env, env)
	var notes strings.Builder
	c.Stderr = &notes
	out, err := c.Output()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	if code := c.ProcessState.ExitCode(); code != 0 {
		t.Logf("%s\nexit code %d\n%s", line, code, notes.String())
	}
	return string(out), c.ProcessState.ExitCode()
}

// readmeLine is the one line of the README's code that begins so.
func readmeLine(t *testing.T, start string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	check(t, err)
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, start) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d lines of README.md begin with %q", len(found), start)
	}
	return found[0]
}

// readmeBlock is the README's block of YAML that holds a word.
func readmeBlock(t *testing.T, word string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	check(t, err)
	for _, after := range strings.Split(string(text), "\n```yaml\n")[1:] {
		if block, _, ok := strings.Cut(after, "\n```\n"); ok && strings.Contains(block, word) {
			return block
		}
	}
	t.Fatalf("README.md has no YAML with %s", word)
	return ""
}

// TestVantagesOverSSH runs the README's line for GNU parallel as it stands there: its hosts are names that this test's
// ssh leads to a real sshd on loopback.
func TestVantagesOverSSH(t *testing.T) {
	long(t, "whole benches")
	if _, err := exec.LookPath("parallel"); err != nil {
		needed(t, "GNU parallel")
	}
	line := readmeLine(t, "parallel ")
	hosts := regexp.MustCompile(`[a-z]+\.example\.com`).FindAllString(line, -1)
	if len(hosts) != 2 || !strings.HasSuffix(line, "&& ferry bench report run-*.jsonl") {
		t.Fatalf("the line has changed: %s", line)
	}
	here := newPlace(t)
	serveSSH(t, here, hosts)
	table, code := here.shell(t, line)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, table)
	}
	for _, host := range hosts {
		for _, node := range []string{"hongkong", "singapore"} {
			if !regexp.MustCompile(`(?m)^.*` + node + `.*` + regexp.QuoteMeta(host) + `|` + regexp.QuoteMeta(host) + `.*` + node).MatchString(table) {
				t.Errorf("no row for %s from %s", node, host)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(here.dir, "far", "*.jsonl")); len(left) != 0 {
		t.Errorf("left on the hosts: %v", left)
	}
	t.Log("\n" + table)
}

// serveSSH starts an sshd on loopback for this user, with keys and a configuration of its own, and makes the ssh of the
// place lead every host there. A login lands in the folder far, with the place's surroundings.
func serveSSH(t *testing.T, p place, hosts []string) {
	t.Helper()
	sshd := ""
	for _, name := range []string{"sshd", "/usr/sbin/sshd"} {
		if path, err := exec.LookPath(name); err == nil {
			sshd = path // by its whole path, which it wants
		}
	}
	ssh, err := exec.LookPath("ssh")
	if sshd == "" || err != nil {
		needed(t, "OpenSSH, server and client")
	}
	privilegeSeparation(t)
	for _, name := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(p.dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	var far strings.Builder
	for _, variable := range p.env {
		fmt.Fprintf(&far, "export '%s'\n", variable)
	}
	far.WriteString("cd '" + filepath.Join(p.dir, "far") + "' && exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n")
	p.file(t, "far/.keep", "", 0o600)
	login := p.file(t, "login", far.String(), 0o600)
	config := p.file(t, "sshd_config", fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nPidFile none\nUsePAM no\n"+
		"StrictModes no\nAuthorizedKeysFile %s/user.pub\nPasswordAuthentication no\nForceCommand sh %s\n", port, p.dir, p.dir, login), 0o600)
	startSSHD(t, sshd, config)

	me, err := user.Current()
	check(t, err)
	public, err := os.ReadFile(filepath.Join(p.dir, "host.pub"))
	check(t, err)
	known := p.file(t, "known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", port, public), 0o600)
	client := p.file(t, "ssh_config", fmt.Sprintf("Host %s\nHostName 127.0.0.1\nPort %d\nUser %s\nIdentityFile %s/user\nIdentitiesOnly yes\n"+
		"UserKnownHostsFile %s\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\nBatchMode yes\n",
		strings.Join(hosts, " "), port, me.Username, p.dir, known), 0o600)
	p.file(t, "bin/ssh", "#!/bin/sh\nexec '"+ssh+"' -F '"+client+"' \"$@\"\n", 0o700)
}

// privilegeSeparation makes the empty folder that sshd wants when root starts it, as Debian's service does.
func privilegeSeparation(t *testing.T) {
	const folder = "/run/sshd"
	if os.Getuid() != 0 {
		return
	}
	if err := os.Mkdir(folder, 0o755); err == nil {
		t.Cleanup(func() { _ = os.Remove(folder) })
	}
}

// startSSHD starts an sshd and waits until it listens.
func startSSHD(t *testing.T, path, config string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), path, "-D", "-e", "-f", config)
	stderr, err := c.StderrPipe()
	check(t, err)
	check(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	var said strings.Builder
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			t.Fatalf("sshd does not listen:\n%s", said.String())
		}
		if strings.HasPrefix(line, "Server listening on ") {
			break
		}
	}
	go func() { _, _ = lines.WriteTo(devNull{}) }() // a full pipe would stop it
}

type devNull struct{}

func (devNull) Write(b []byte) (int, error) { return len(b), nil }

// TestVantagesInKubernetes runs what the containers of the manifest run: the log is a saved run, whatever came of it, and
// the exit code is bench's. The module in .ci/kubernetes holds the manifest to the official types.
func TestVantagesInKubernetes(t *testing.T) {
	long(t, "whole benches")
	text, err := os.ReadFile(filepath.Join(checkout, "testdata", "kubernetes", "bench-job.yaml"))
	check(t, err)
	for line := range strings.Lines(readmeBlock(t, "completionMode")) {
		if !strings.Contains(string(text), strings.TrimSpace(line)) {
			t.Errorf("README.md shows what the manifest has not: %s", line)
		}
	}
	here := newPlace(t)
	var regions []string
	for i, document := range strings.Split(string(text), "\n---\n") {
		var job struct {
			Spec struct {
				Template struct {
					Spec struct {
						NodeSelector map[string]string `yaml:"nodeSelector"`
						Containers   []struct{ Command, Args []string }
					}
				}
			}
			Data map[string]string
		}
		check(t, yaml.Unmarshal([]byte(document), &job))
		if i == 0 {
			config := here.file(t, "manifest.yaml", job.Data["config.yaml"], 0o600)
			if out, code := here.shell(t, "ferry bench --dry-run hongkong singapore", "FERRY_CONFIG="+config); code != 0 || !strings.Contains(out, "hk.example.com") {
				t.Errorf("the manifest's configuration: %s", out)
			}
			continue
		}
		pod := job.Spec.Template.Spec
		region := pod.NodeSelector["topology.kubernetes.io/region"]
		regions = append(regions, region)
		runs := filepath.Join(here.dir, region)
		here.file(t, region+"/.keep", "", 0o600)
		log, code := here.shell(t, pod.Containers[0].Args[0], "REGION="+region, "RUNS="+runs)
		if code != 0 {
			t.Fatalf("exit code %d", code)
		}
		here.file(t, region+".jsonl", log, 0o600)
		missed := strings.Replace(pod.Containers[0].Args[0], "success>=95%", "p50<1us", 1)
		here.file(t, region+"/2/.keep", "", 0o600)
		if log, code = here.shell(t, missed, "REGION="+region, "RUNS="+filepath.Join(runs, "2")); code != 5 || !strings.HasPrefix(log, "{") {
			t.Errorf("a missed threshold is exit code %d, with the log %.40q", code, log)
		}
	}
	table, code := here.shell(t, "ferry bench report *.jsonl")
	for _, region := range regions {
		if !strings.Contains(table, region) {
			t.Errorf("no row from %s", region)
		}
	}
	if len(regions) < 2 || code != 0 {
		t.Errorf("%v, exit code %d:\n%s", regions, code, table)
	}
}
