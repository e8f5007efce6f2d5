package cmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/cmd"

	"github.com/spf13/cobra"
)

// TestNamedConfigIsThere runs every command with a FERRY_CONFIG that names no file: but for those that make the file, or
// read no settings, each is exit 2, names the file and leaves nothing behind. A misspelt name would take the filter and the
// audit log away in silence.
func TestNamedConfigIsThere(t *testing.T) {
	args := map[string][]string{
		"config get": {"timeout"}, "config unset": {"timeout"}, "config key": {"direct"}, "config pin": {"direct"}, "config purge": {"--yes", "--audit"},
		"config session show": {"s"}, "config session rm": {"s"}, "config token new": {"dev"}, "config token revoke": {"x"}, "config hold run": {"n"},
		"ask": {"-n", "demo", "hello"}, "stream": {"-n", "demo", "hello"}, "bench": {"demo"}, "bench report": {"x.json"}, "bench compare": {"x", "y"},
	}
	exempt := []string{"config", "config init", "config set", "demo", "version", "completion", "help"}
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
		code, stdout, stderr := run(t, env, append(strings.Fields(name), args[name]...)...)
		if want := "Error: FERRY_CONFIG: there is no file " + path + "\nhint: correct the path, or unset FERRY_CONFIG"; code != 2 || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: exit code %d, want 2 with %q\n%s", name, code, want, stderr)
		}
		if name != "config path" && stdout != "" || name == "config path" && stdout != path+"\n" {
			t.Errorf("%s prints %q", name, stdout)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s leaves %v behind", name, left)
		}
	}
	walk(cmd.Commands())
	if walked < 20 {
		t.Errorf("%d commands were run", walked)
	}
}

// TestNamedConfigIsMade holds what needs no file: what makes one, and what reads none.
func TestNamedConfigIsMade(t *testing.T) {
	for _, args := range [][]string{
		{"config", "init"}, {"config", "set", "timeout", "1m"}, {"config"}, {"config", "--help"}, {"ask", "--help"}, {"version"}, {},
		{"help", "environment"}, {"completion", "bash"}, {"__complete", "ask", "-n", ""}, {"__complete", "config", "get", ""}, {"__complete", "config", "key", ""},
	} {
		dir := t.TempDir()
		env := map[string]string{"FERRY_CONFIG": filepath.Join(dir, "new", "config.yaml"), "HOME": dir}
		code, stdout, stderr := run(t, env, args...)
		if code != 0 || strings.Contains(stderr, "there is no file") {
			t.Errorf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}
