package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

func shell(line string) string {
	said, _ := exec.Command("sh", "-c", line).CombinedOutput()
	return strings.TrimSpace(string(said))
}

// machine describes the date, the machine and its load.
func machine(ferry string) string {
	load := shell("cut -d ' ' -f 1 /proc/loadavg")
	var busy float64
	fmt.Sscan(load, &busy)
	if busy >= float64(runtime.NumCPU())/2 {
		load += ": **the machine was busy**, so times are longer and vary more"
	}
	return fmt.Sprintf("One run of `make compare` on **%s** (UTC): **%d cores, %s, %s, %s**;\n%s; load average before the first run %s.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), shell("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"),
		shell("uname -sr | cut -d - -f 1"), runtime.Version(), shell(ferry+" version | head -n 1"), load)
}

const versions = `hyperfine --version
curl --version | head -n 1
jq --version
node --version
node -p "require('./testdata/sdk/node_modules/@anthropic-ai/sdk/package.json').version"
go list -m -modfile=.ci/tools/go.mod github.com/rakyll/hey github.com/tsenart/vegeta/v12
wrk --version | head -n 1`

// howToRepeat describes what a reader needs to run a command.
func howToRepeat() string {
	text := "`go run ./.ci/compare/server` prints the addresses of `$NODE` and `$SECURE_NODE` and writes `ca.pem`; `go build\n" +
		"./.ci/compare/plain` builds plain. Set `GATEWAY_KEY=" + apiKey + "` for all programs, `FERRY_KEY` (the same value) and\n" +
		"`FERRY_CONFIG` for ferry, and `GATEWAY_URL=$NODE/api` for the SDK. `prompts-N` has N lines: `prompt number 1` and so on.\n" +
		"ferry's configuration file, in which you replace the addresses, and the versions of the other programs:\n\n```yaml\n" + config + "```\n\n```text\n"
	for line := range strings.Lines(versions) {
		text += "$ " + strings.TrimSpace(line) + "\n" + shell(line) + "\n"
	}
	return text + "```\n"
}
