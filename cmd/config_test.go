package cmd_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ferry/cmd"

	"github.com/spf13/cobra"
)

// TestCheckPrintsAsItGoes checks that each result is printed before the next request is sent.
func TestCheckPrintsAsItGoes(t *testing.T) {
	var out, errs bytes.Buffer
	var seen []string
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, out.String())
		fmt.Fprint(w, `{"data":[]}`)
	})).URL
	env := withConfig(t, fmt.Sprintf("nodes:\n  one: {url: %q, key: \"env:NODE_KEY\"}\n  two: {url: %q, key: \"env:NODE_KEY\"}\n", url, url), nil)
	equal(t, "exit code", cmd.Run(t.Context(), []string{"config", "check"}, testEnv(env, &out, &errs)), 0)
	for i, want := range [][2]string{{"✓ key", "address"}, {"✓ address", "models"}, {"two  http", "two  http\n  ✓ address"}, {"– TLS", "nothing"}} {
		fatalIf(t, i >= len(seen) || !strings.Contains(seen[i], want[0]) || strings.Contains(seen[i], want[1]),
			"%d requests; at number %d there was %q, want %q and not yet %q", len(seen), i+1, seen, want[0], want[1])
	}
	errorIf(t, len(seen) != 4 || strings.Count(seen[2], "✓ key") != 2,
		"%d requests, want 4; at the third there was %q, want two keys in it", len(seen), seen)
}

// TestCheckTimeout runs config check against a node that accepts a request and never answers, in virtual time.
func TestCheckTimeout(t *testing.T) {
	for timeout, args := range map[string][]string{"30s": nil, "2s": {"--timeout", "2s"}} {
		synctest.Test(t, func(t *testing.T) {
			ferry(t, nil, append([]string{"config", "check", "demo:?stall"}, args...)...).want(1, "within the timeout of "+timeout, "")
		})
	}
}

// TestNamedConfigIsThere runs every command with a FERRY_CONFIG that names no file. Except for commands that create
// the file or read no settings, each is exit 2, names the file and leaves nothing behind. Otherwise a misspelled name
// would disable the filter and the audit log without notice.
func TestNamedConfigIsThere(t *testing.T) {
	args := map[string][]string{
		"config get": {"timeout"}, "config unset": {"timeout"}, "config key": {"direct"}, "config pin": {"direct"}, "config purge": {"--yes", "--audit"},
		"config session show": {"s"}, "config session rm": {"s"}, "config token new": {"dev"}, "config token revoke": {"x"}, "config hold run": {"n"},
		"ask": {"-n", "demo", "hello"}, "stream": {"-n", "demo", "hello"}, "bench": {"demo"}, "bench report": {"x.json"}, "bench compare": {"x", "y"},
	}
	exempt := []string{"config", "config add", "config init", "config set", "demo", "version", "completion", "help"}
	var walk func(c *cobra.Command)
	walked := 0
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "ferry"), " ")
		if name == "" || slices.Contains(exempt, name) || !c.Runnable() || c.IsAdditionalHelpTopicCommand() ||
			strings.HasPrefix(name, "completion ") || c.Parent().Name() == "ferry" && !slices.Contains([]string{"ask", "stream", "bench"}, name) {
			return
		}
		walked++
		dir := t.TempDir()
		path := filepath.Join(dir, "misspelt", "config.yaml")
		env := map[string]string{"FERRY_CONFIG": path, "HOME": dir, "ANTHROPIC_API_KEY": canaryKey}
		r := ferry(t, env, append(strings.Fields(name), args[name]...)...)
		r.want(2, "", "Error: FERRY_CONFIG: there is no file "+path+"\nhint: correct the path, or unset FERRY_CONFIG")
		equal(t, name+" prints", r.stdout, map[string]string{"config path": path + "\n"}[name])
		left, _ := os.ReadDir(dir)
		equal(t, name+" leaves files behind", len(left), 0)
	}
	walk(cmd.Commands())
	atLeast(t, "commands that were run", walked, 20)
}

// TestNamedConfigIsMade checks the commands that need no file: they create it or do not read it.
func TestNamedConfigIsMade(t *testing.T) {
	for _, args := range [][]string{
		{"config", "init"}, {"config", "set", "timeout", "1m"}, {"config", "add"}, {"config"}, {"config", "--help"}, {"ask", "--help"}, {"version"}, {},
		{"help", "environment"}, {"completion", "bash"}, {"__complete", "ask", "-n", ""}, {"__complete", "config", "get", ""}, {"__complete", "config", "key", ""},
	} {
		dir := t.TempDir()
		r := ferry(t, map[string]string{"FERRY_CONFIG": filepath.Join(dir, "new", "config.yaml"), "HOME": dir}, args...).want(0, "", "")
		lacks(t, strings.Join(args, " "), r.stderr, "there is no file")
	}
}
