//go:build unix

package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// place is a folder with ferry on its PATH and two nodes in its configuration, like a host to measure from.
type place struct {
	dir string
	env []string
}

// emptyPlace returns a place with ferry first on its PATH and the given variables in its environment.
func emptyPlace(t *testing.T, env ...string) place {
	self, err := os.Executable()
	check(t, err)
	p := place{dir: t.TempDir()}
	p.file(t, ".bin/ferry", "#!/bin/sh\nexec '"+p.dir+"/.bin/ferry-real' \"$@\"\n", 0o700)
	check(t, os.Symlink(self, filepath.Join(p.dir, ".bin", "ferry-real")))
	p.env = append([]string{"PATH=" + filepath.Join(p.dir, ".bin") + ":" + os.Getenv("PATH"), "HOME=" + p.dir, raceExit + "=" + raceAtOnce}, env...)
	return p
}

func newPlace(t *testing.T) place {
	p := emptyPlace(t, "CLAUDE_KEY=canary-key-0001")
	url := serve(t, nil).URL
	p.file(t, ".config/ferry/config.yaml",
		fmt.Sprintf("nodes:\n  hongkong: {url: %q, key: env:CLAUDE_KEY}\n  singapore: {url: %q, key: env:CLAUDE_KEY}\n", url, url), 0o600)
	return p
}

func (p place) file(t *testing.T, name, text string, mode os.FileMode) string {
	path := filepath.Join(p.dir, name)
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), mode))
	return path
}

// shell runs a line in the place, and returns standard output and the exit code.
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

// TestVantagesOverSSH runs the recipe's line for GNU parallel. A real sshd on loopback replaces its hosts.
func TestVantagesOverSSH(t *testing.T) {
	skipIfShort(t, "whole benches")
	findProgram(t, "parallel")
	lines := regexp.MustCompile(`(?m)^parallel .*$`).FindAllString(read(t, filepath.Join(checkout, "testdata", "recipes", "vantages.sh")), -1)
	fatalIf(t, len(lines) != 1, "the recipe has %q, want one line of parallel", lines)
	line := lines[0]
	hosts := regexp.MustCompile(`[a-z]+\.example\.com`).FindAllString(line, -1)
	fatalIf(t, len(hosts) != 2 || !strings.HasSuffix(line, "&& ferry bench report run-*.jsonl"),
		"the line has changed: %s", line)
	here := newPlace(t)
	serveSSH(t, here, hosts)
	table, code := here.shell(t, line)
	equal(t, "exit code", code, 0)
	for _, host := range hosts {
		for _, node := range []string{"hongkong", "singapore"} {
			if !regexp.MustCompile(`(?m)^.*` + node + `.*` + regexp.QuoteMeta(host) + `|` + regexp.QuoteMeta(host) + `.*` + node).MatchString(table) {
				t.Errorf("no row for %s from %s", node, host)
			}
		}
	}
	left, _ := filepath.Glob(filepath.Join(here.dir, "far", "*.jsonl"))
	equal(t, "files that are left on the hosts", left, nil)
	t.Log("\n" + table)
}

// TestShardsOverSSH runs the line for GNU parallel of the help on batches twice. The second run sends nothing.
func TestShardsOverSSH(t *testing.T) {
	skipIfShort(t, "an sshd")
	findProgram(t, "parallel")
	line := strings.TrimSpace(regexp.MustCompile(`(?m)^  parallel .*\n.*\n.*$`).FindString(ferry(t, nil, "help", "batch").stdout))
	hosts := regexp.MustCompile(`[a-z]+\.example\.com`).FindAllString(line, -1)
	fatalIf(t, len(hosts) != 2, "the line has changed: %s", line)
	here := newPlace(t)
	here.env = append(here.env, "FERRY_NODE=hongkong")
	serveSSH(t, here, hosts)
	here.file(t, "in.jsonl", strings.Repeat("a prompt\n", 3)+"{\"id\":\"a\",\"prompt\":\"one\"}\nfive\n", 0o644)
	for range 2 {
		_, code := here.shell(t, line+" && ferry ask --batch in.jsonl --merge out-*.jsonl >answers.jsonl")
		equal(t, "exit code", code, 0)
		equal(t, "items", linesOf(t, filepath.Join(here.dir, "answers.jsonl")), map[string]bool{"1": true, "2": true, "3": true, "a": true, "5": true})
	}
}

// serveSSH starts an sshd on loopback and makes the place's ssh connect to it for every host, into the folder far.
func serveSSH(t *testing.T, p place, hosts []string) {
	sshd, ssh := findProgram(t, "sshd"), findProgram(t, "ssh")
	const separation = "/run/sshd" // empty folder that sshd requires when root starts it, as in Debian's service
	if os.Getuid() == 0 && os.Mkdir(separation, 0o755) == nil {
		t.Cleanup(func() { _ = os.Remove(separation) })
	}
	for _, name := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(p.dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	port := freePort(t)
	var far strings.Builder
	for _, variable := range p.env {
		fmt.Fprintf(&far, "export '%s'\n", variable)
	}
	far.WriteString("cd '" + filepath.Join(p.dir, "far") + "' && exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n")
	p.file(t, "far/.keep", "", 0o600)
	login := p.file(t, "login", far.String(), 0o600)
	config := p.file(t, "sshd_config", fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s/host\nPidFile none\nUsePAM no\n"+
		"StrictModes no\nAuthorizedKeysFile %s/user.pub\nPasswordAuthentication no\nForceCommand sh %s\n", port, p.dir, p.dir, login), 0o600)
	runServer(t, exec.Command(sshd, "-D", "-e", "-f", config), "127.0.0.1:"+port) // by its absolute path, which sshd requires

	me, err := user.Current()
	check(t, err)
	public := read(t, filepath.Join(p.dir, "host.pub"))
	known := p.file(t, "known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s", port, public), 0o600)
	client := p.file(t, "ssh_config", fmt.Sprintf("Host %s\nHostName 127.0.0.1\nPort %s\nUser %s\nIdentityFile %s/user\nIdentitiesOnly yes\n"+
		"UserKnownHostsFile %s\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\nBatchMode yes\n",
		strings.Join(hosts, " "), port, me.Username, p.dir, known), 0o600)
	p.file(t, ".bin/ssh", "#!/bin/sh\nexec '"+ssh+"' -F '"+client+"' \"$@\"\n", 0o700)
}

// kubernetesJob is what the tests read of a Job.
type kubernetesJob struct {
	Spec struct {
		Completions int
		Template    struct {
			Spec struct {
				NodeSelector map[string]string `yaml:"nodeSelector"`
				Containers   []struct{ Args []string }
			}
		}
	}
}

// manifest returns ferry's configuration and the Jobs of a manifest for Kubernetes.
func manifest(t *testing.T, name string) (config string, jobs []kubernetesJob) {
	first, rest, _ := strings.Cut(read(t, filepath.Join(checkout, "testdata", "kubernetes", name)), "\n---\n")
	var file struct{ Data map[string]string }
	check(t, yaml.Unmarshal([]byte(first), &file))
	for document := range strings.SplitSeq(rest, "\n---\n") {
		var job kubernetesJob
		check(t, yaml.Unmarshal([]byte(document), &job))
		jobs = append(jobs, job)
	}
	return file.Data["config.yaml"], jobs
}

// TestVantagesInKubernetes runs what the containers of the manifest run: the log is a saved run.
func TestVantagesInKubernetes(t *testing.T) {
	skipIfShort(t, "whole benches")
	config, jobs := manifest(t, "bench-job.yaml")
	here := newPlace(t)
	out, _ := here.shell(t, "ferry bench --dry-run hongkong singapore", "FERRY_CONFIG="+here.file(t, "manifest.yaml", config, 0o600))
	contains(t, "a run with the manifest's configuration", out, "hk.example.com")
	var regions []string
	for _, job := range jobs {
		pod := job.Spec.Template.Spec
		region := pod.NodeSelector["topology.kubernetes.io/region"]
		regions = append(regions, region)
		runs := filepath.Join(here.dir, region)
		here.file(t, region+"/.keep", "", 0o600)
		log, code := here.shell(t, pod.Containers[0].Args[0], "REGION="+region, "RUNS="+runs)
		equal(t, "exit code of "+region, code, 0)
		here.file(t, region+".jsonl", log, 0o600)
		missed := strings.Replace(pod.Containers[0].Args[0], "success>=95%", "p50<1us", 1)
		here.file(t, region+"/2/.keep", "", 0o600)
		if log, code = here.shell(t, missed, "REGION="+region, "RUNS="+filepath.Join(runs, "2")); code != 5 || !strings.HasPrefix(log, "{") {
			t.Errorf("a missed threshold is exit code %d, want 5, with the log %.40q", code, log)
		}
	}
	table, code := here.shell(t, "ferry bench report *.jsonl")
	contains(t, "the table", table, regions...)
	errorIf(t, len(regions) < 2 || code != 0,
		"%v, exit code %d, want two regions at least and 0:\n%s", regions, code, table)
}
