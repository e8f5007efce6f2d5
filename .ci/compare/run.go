package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const apiKey = "loopback-key"

// config is ferry's configuration file.
const config = `nodes:
  gateway: {url: "$NODE/api?envelope", api: complete, key: "env:GATEWAY_KEY"}
  secure: {url: "$SECURE_NODE/api?envelope", api: complete, key: "env:GATEWAY_KEY", tls: {ca: ca.pem}}
  paced: {url: "$NODE/paced", api: messages, key: "env:GATEWAY_KEY"}
  short: {url: "$NODE/short", api: messages, key: "env:GATEWAY_KEY"}
  long: {url: "$NODE/long", api: messages, key: "env:GATEWAY_KEY"}
`

// setup puts all programs into a folder. $0 is the folder, $1 the ferry binary. The Go programs are built with ferry's
// build flags, so that none has an advantage. Commands run in the folder as they would in the checkout, and leave
// nothing in the checkout.
const setup = `set -e
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags=-s -o "$0/bin/" ./.ci/compare/...
CGO_ENABLED=0 go build -trimpath -ldflags=-s -o "$0/bin/" -modfile=.ci/tools/go.mod github.com/rakyll/hey github.com/tsenart/vegeta/v12
ln -s "$PWD/.ci" "$PWD/testdata" "$0"
ln -s "$(realpath "$1")" "$0/bin/ferry"`

// comparison is the environment of all commands: a folder with the programs, their variables, and the node.
type comparison struct {
	ctx   context.Context
	quick bool
	dir   string
	env   map[string]string
	stop  func() // ends the node
}

// prepare builds everything and starts the node, so that no figure includes the time of a compiler.
func prepare(ctx context.Context, dir, ferry string, quick bool) (*comparison, error) {
	if said, err := exec.CommandContext(ctx, "sh", "-c", setup, dir, ferry).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the programs: %w\n%s", err, said)
	}
	c := &comparison{ctx: ctx, quick: quick, dir: dir, env: map[string]string{
		"PATH": dir + "/bin:" + os.Getenv("PATH"), "HOME": dir, "TMPDIR": dir, "XDG_RUNTIME_DIR": dir, "XDG_STATE_HOME": dir,
		"GATEWAY_KEY": apiKey, "FERRY_KEY": apiKey, "FERRY_CONFIG": dir + "/config.yaml",
	}}
	if err := c.start(); err != nil {
		return nil, err
	}
	return c, os.WriteFile(dir+"/config.yaml", []byte(c.expand(config)), 0o600)
}

// nodeCore gives the node a core of its own if there are two, and cores keeps the load generators on the others.
var (
	nodeCore = fmt.Sprintf("taskset -c %d ", runtime.NumCPU()-1)
	cores    = fmt.Sprintf("taskset -c 0-%d ", max(0, runtime.NumCPU()-2))
)

// start starts the node. The node ends when its standard input ends, at the latest with this process.
func (c *comparison) start() error {
	node := c.command("sh", "-c", "exec "+nodeCore+"server")
	node.Stderr = os.Stderr
	in, errIn := node.StdinPipe()
	out, errOut := node.StdoutPipe()
	if err := errors.Join(errIn, errOut, node.Start()); err != nil {
		return err
	}
	c.stop = func() {
		in.Close()
		node.Wait()
	}
	var plain, secure string
	_, err := fmt.Fscan(out, &plain, &secure)
	c.env["NODE"], c.env["SECURE_NODE"], c.env["GATEWAY_URL"] = plain, secure, plain+"/api"
	return err
}

func (c *comparison) expand(text string) string {
	return os.Expand(text, func(name string) string { return c.env[name] })
}

func (c *comparison) command(name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(c.ctx, name, args...)
	command.Dir, command.WaitDelay = c.dir, time.Second
	for name, value := range c.env {
		command.Env = append(command.Env, name+"="+value)
	}
	return command
}

// counts are the node's counters since they were last read.
type counts struct{ Requests, Failed, Connections int }

func (c *comparison) seen() (seen counts, err error) {
	answer, err := http.Get(c.env["NODE"] + "/seen")
	if err != nil {
		return seen, err
	}
	defer answer.Body.Close()
	return seen, json.NewDecoder(answer.Body).Decode(&seen)
}

// side is one program of a comparison: a shell command, and one value per round for each quantity.
type side struct {
	name, line string
	runs       int // how many runs of hyperfine per round
	code       int // the exit code for success
	got        map[string][]float64
}

func (s *side) keep(quantity string, value float64) {
	if s.got == nil {
		s.got = map[string][]float64{}
	}
	s.got[quantity] = append(s.got[quantity], value)
}

// interleave calls once for each side in every round, in a different order each time.
func (c *comparison) interleave(rounds int, sides []*side, once func(s *side) error) error {
	if c.quick {
		rounds = min(rounds, 2)
	}
	for range rounds {
		for _, i := range rand.Perm(len(sides)) {
			if err := once(sides[i]); err != nil {
				return fmt.Errorf("%s: %w", sides[i].name, err)
			}
		}
	}
	return nil
}

// hyperfine measures a side's command and stores the median time and the mean processor time. The node must see each
// run once.
func (c *comparison) hyperfine(s *side, flags ...string) error {
	args := append([]string{"-N", "--style=none", "--warmup=1", "--runs=" + strconv.Itoa(s.runs), "--export-json=times.json"}, flags...)
	if said, err := c.command("hyperfine", append(args, c.expand(s.line))...).CombinedOutput(); err != nil {
		return fmt.Errorf("hyperfine: %w: %s", err, said)
	}
	if seen, err := c.seen(); err != nil || seen.Requests != s.runs+1 || seen.Failed > 0 {
		return fmt.Errorf("the node saw %+v, want %d requests (%v)", seen, s.runs+1, err)
	}
	var report struct {
		Results [1]struct {
			Times        []float64
			User, System float64
		}
	}
	text, err := os.ReadFile(c.dir + "/times.json")
	if err == nil {
		err = json.Unmarshal(text, &report)
	}
	if err != nil {
		return fmt.Errorf("hyperfine's report: %w", err)
	}
	s.keep("ms", 1000*quantile(report.Results[0].Times, 0.5))
	s.keep("processor ms", 1000*(report.Results[0].User+report.Results[0].System))
	return nil
}

// execute runs a side's command once under GNU time, and returns its output and the node's counters.
func (c *comparison) execute(s *side) (out string, seen counts, err error) {
	if _, err := c.seen(); err != nil {
		return "", seen, err
	}
	command := c.command("time", "-q", "-f", "%M", "-o", "peak", "sh", "-c", s.line)
	var printed, notes bytes.Buffer
	command.Stdout, command.Stderr = &printed, &notes
	start := time.Now()
	err = command.Run()
	took := time.Since(start)
	if command.ProcessState == nil || command.ProcessState.ExitCode() != s.code {
		return "", seen, fmt.Errorf("%w: %.500s", err, notes.Bytes())
	}
	if seen, err = c.seen(); err != nil {
		return "", seen, err
	}
	peak, errRead := os.ReadFile(c.dir + "/peak")
	kib, errParse := strconv.ParseFloat(strings.TrimSpace(string(peak)), 64)
	cpu := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	s.keep(peakMiB, kib/1024)
	s.keep(perSecond, float64(seen.Requests)/took.Seconds())
	s.keep(perThousand, 1e6*cpu.Seconds()/float64(seen.Requests))
	s.keep(connections, float64(seen.Connections))
	return printed.String(), seen, errors.Join(errRead, errParse)
}

// The quantities that execute stores.
const (
	peakMiB     = "peak MiB"
	perSecond   = "requests/s"
	perThousand = "processor ms for 1000 requests"
	connections = "connections"
)
