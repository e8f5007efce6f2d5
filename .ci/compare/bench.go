package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	benchName      = "ferry bench"
	benchOneName   = "ferry bench, -c 1"
	benchCrowdName = "ferry bench, -c 200"
	socketName     = "raw-socket loop"
	heyName        = "hey"
	vegetaName     = "vegeta"
	wrkName        = "wrk"

	// What two of them read.
	wrkFile     = "post.lua"
	bodyFile    = "body.json"
	targetsFile = "targets.txt"

	// benchDelay is what the node takes for each answer, benchCrowd how many connections there are where not one.
	benchDelay = 20 * time.Millisecond
	benchCrowd = 50
	// benchRate is the fixed rate of the runs with a stall, a second.
	benchRate   = 100
	benchLength = 10 * time.Second

	// benchBody is what every contestant but ferry posts.
	benchBody = `{"model":"claude-haiku-5-5","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}`

	wrkScript = "wrk.method = \"POST\"\nwrk.body = '" + benchBody + "'\n" +
		"wrk.headers[\"content-type\"] = \"application/json\"\nwrk.headers[\"x-api-key\"] = \"" + key + "\"\n"
)

// load is what a load generator is asked to do.
type load struct {
	// to is where its requests must arrive.
	to string
	// pin is what keeps it to its cores.
	pin []string
	// connections are its own, requests what it must report; 0 where it goes by time. Up to warmup more may arrive.
	connections, requests, warmup int
	// input is its standard input; after is the program that reads what argv left behind, nil where argv itself prints its
	// report.
	input string
	after []string
	read  func(report []byte) (figures, error)

	got map[int]figures // by round
}

// benched are the load generators, once for each thing that is measured.
type benched struct {
	work    string
	body    string   // BODY of the delayed node
	node    string   // the program of the delayed node
	env     []string // of all
	server  []string // pins the node to its core; empty where that is not possible
	clients []string // and the contestants to the others

	ferry, socket, hey, vegeta string            // programs
	missing                    map[string]string // why a contestant cannot run
	built                      []peer            // those that were found or built

	one, crowd, cost []*contestant
	stalled          []*contestant
}

// newBenched builds what the comparison with load generators needs.
func newBenched(work, ferry string, env []string) (*benched, error) {
	b := &benched{
		work: work, body: messagesBody, env: append(slices.Clip(env), "FERRY_KEY="+key), ferry: ferry,
		node: filepath.Join(work, "delayed"), socket: filepath.Join(work, "socket"),
		hey: filepath.Join(work, "hey"), vegeta: filepath.Join(work, "vegeta"), missing: map[string]string{},
	}
	for name, text := range map[string]string{
		wrkFile: wrkScript, bodyFile: benchBody, targetsFile: fmt.Sprintf(vegetaTargets, "$NODE"+messagesPath),
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(goBuild(b.node, "./.ci/compare/delayed"), goBuild(b.socket, "./.ci/compare/socket")); err != nil {
		return nil, err
	}
	b.build(heyName, b.hey, "github.com/rakyll/hey")
	b.build(vegetaName, b.vegeta, "github.com/tsenart/vegeta/v12")
	b.findWrk()
	b.findCores()
	return b, nil
}

// build builds a load generator at the version that .ci/tools/go.mod pins. Without it the others are measured.
func (b *benched) build(name, out, pkg string) {
	if err := goBuild(out, pkg, "-modfile=.ci/tools/go.mod"); err != nil {
		// The page has no place for what the compiler says: it may name this machine's own paths.
		fmt.Fprintln(os.Stderr, "compare:", err)
		b.missing[name] = "it could not be built"
		return
	}
	version := "of a version it does not say"
	if info, err := buildinfo.ReadFile(out); err == nil {
		version = info.Main.Version
	}
	b.built = append(b.built, peer{name, version, "go build -modfile=.ci/tools/go.mod " + pkg})
}

func (b *benched) findWrk() {
	if _, err := exec.LookPath(wrkName); err != nil {
		b.missing[wrkName] = "wrk is not installed (Debian: apt-get install wrk)"
		return
	}
	// It says its version and then fails, whatever it is asked.
	said, _ := exec.Command(wrkName, "--version").Output()
	words := strings.Fields(string(said))
	b.built = append(b.built, peer{wrkName, strings.Join(words[min(1, len(words)):min(2, len(words))], ""), "apt-get install wrk"})
}

// findCores keeps the node and its clients apart where there are two cores: what the node does would otherwise be in
// their way, and more so for whoever is quick.
func (b *benched) findCores() {
	last := runtime.NumCPU() - 1
	server := []string{"taskset", "-c", strconv.Itoa(last)}
	clients := []string{"taskset", "-c", "0-" + strconv.Itoa(last-1)}
	for _, pin := range [][]string{server, clients} {
		if last < 1 || exec.Command(pin[0], append(pin[1:], "true")...).Run() != nil {
			return
		}
	}
	b.server, b.clients = server, clients
}
