package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed loop.sh
var loopScript string

//go:embed sdk.mjs
var sdkScript string

// contestant is one way to send the request, and what came of it.
type contestant struct {
	name string
	argv []string
	dir  string
	env  []string
	// path is where the request must arrive, output what must be on standard output.
	path, output string
	// every says in which rounds it runs: each one, or each n-th for the slow.
	every int
	// skipped is why it does not run at all; broken is what went wrong when it did.
	skipped string
	broken  error

	wall, cpu map[int]float64 // milliseconds by round
	peak      []float64       // MiB
	// delay is what each event of a paced stream took from the server's write to our pipe; middle is each round's median.
	// Both in microseconds.
	delay  []float64
	middle map[int]float64
	// load is nil for what sends one request.
	load *load
}

const (
	ferryName = "ferry ask -o raw"
	curlName  = "curl"
	loopName  = "curl + jq retry loop"
	bareName  = "bare Go, net/http"
	sdkName   = "node, official SDK"
)

// contestants prepares all of them; work is an empty folder of ours, ferry the binary under test.
func contestants(work, ferry, url string, env []string) ([]*contestant, error) {
	loop := filepath.Join(work, "loop.sh")
	if err := os.WriteFile(loop, []byte(loopScript), 0o700); err != nil {
		return nil, err
	}
	bare := filepath.Join(work, "bare")
	if err := goBuild(bare, "./.ci/compare/bare"); err != nil {
		return nil, err
	}
	to := url + completePath
	all := []*contestant{
		{name: ferryName, argv: []string{ferry, "ask", "-o", "raw", "-n", "gateway", "hi"}, output: completeBody},
		{name: curlName, argv: []string{"curl", "-sS", "-X", "POST", "-H", "x-api-key: " + key,
			"-H", "content-type: application/json", "-d", requestBody, to}, output: completeBody},
		{name: loopName, argv: []string{"bash", loop, to, requestBody}, output: completeBody + "\n"},
		{name: bareName, argv: []string{bare, to, requestBody}, output: completeBody},
	}
	for _, c := range all {
		c.path, c.every = completePath, 1
	}
	needs(all[1], "curl")
	needs(all[2], "bash", "curl", "jq")
	all = append(all, sdkContestant())
	for _, c := range all {
		c.env = env
		c.wall, c.cpu = map[int]float64{}, map[int]float64{}
	}
	return all, nil
}

// surroundings writes ferry's configuration, with a node for every script, and returns the environment of all contestants.
func surroundings(work, url string, scripts []*script) ([]string, error) {
	text := fmt.Sprintf("nodes:\n  gateway: {url: %q, api: complete, key: \"env:GATEWAY_KEY\"}\n", url+"/api")
	for _, s := range scripts {
		text += fmt.Sprintf("  %s: {url: %q, api: messages, key: \"env:GATEWAY_KEY\"}\n", s.name, url+"/"+s.name)
	}
	config := filepath.Join(work, configFile)
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + work, "TMPDIR=" + work,
		"GATEWAY_KEY=" + key, "GATEWAY_URL=" + url, "FERRY_CONFIG=" + config,
	}, os.WriteFile(config, []byte(text), 0o600)
}

// sdkContestant takes the client that the SDK tests install; it is fetched by nobody else.
func sdkContestant() *contestant {
	c := &contestant{
		name: sdkName, argv: []string{"node", "--input-type=module", "-e", sdkScript},
		path: messagesPath, output: answerText, every: 6,
	}
	dir, err := filepath.Abs("testdata/sdk")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules", "@anthropic-ai", "sdk"))
	}
	if err != nil {
		c.skipped = "testdata/sdk/node_modules is not there (.ci/peers installs it)"
		return c
	}
	c.dir = dir
	needs(c, "node")
	return c
}

// sdkVersion is what a package.json says, "" where there is none.
func sdkVersion(path string) string {
	var said struct{ Version string }
	if text, err := os.ReadFile(path); err != nil || json.Unmarshal(text, &said) != nil {
		return ""
	}
	return said.Version
}

// needs marks c as skipped where a program is missing.
func needs(c *contestant, programs ...string) {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil && c.skipped == "" {
			c.skipped = program + " is not installed"
		}
	}
}

// goBuild builds a package the way ferry itself is built, so that neither side gains by a flag.
func goBuild(out, pkg string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out}, flags...)
	build := exec.Command("go", append(args, pkg)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if message, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, message)
	}
	return nil
}
