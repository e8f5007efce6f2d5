package cmd_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/cmd"
)

// update rewrites the golden files: go test ./cmd -run Golden -update.
var update = flag.Bool("update", false, "rewrite the golden files")

// helpPages are the pages that ferry can print about itself, by the name of their golden file.
var helpPages = map[string][]string{
	"ferry":        {"--help"},
	"ask":          {"ask", "--help"},
	"stream":       {"stream", "--help"},
	"bench":        {"bench", "--help"},
	"bench-report": {"bench", "report", "--help"},
	"demo":         {"demo", "--help"},
	"version":      {"version", "--help"},
	"config":       {"config", "--help"},
	"config-init":  {"config", "init", "--help"},
	"config-list":  {"config", "list", "--help"},
	"config-get":   {"config", "get", "--help"},
	"config-set":   {"config", "set", "--help"},
	"config-unset": {"config", "unset", "--help"},
	"config-path":  {"config", "path", "--help"},
	"config-nodes": {"config", "nodes", "--help"},
	"config-check": {"config", "check", "--help"},
	"config-key":   {"config", "key", "--help"},

	"config-pin": {"config", "pin", "--help"},

	"config-session":       {"config", "session", "--help"},
	"config-session-list":  {"config", "session", "list", "--help"},
	"config-session-show":  {"config", "session", "show", "--help"},
	"config-session-rm":    {"config", "session", "rm", "--help"},
	"config-session-prune": {"config", "session", "prune", "--help"},
	"config-hold":          {"config", "hold", "--help"},
	"config-hold-stop":     {"config", "hold", "stop", "--help"},
	"config-usage":         {"config", "usage", "--help"},
	"config-purge":         {"config", "purge", "--help"},

	"config-nginx":        {"config", "nginx", "--help"},
	"config-token":        {"config", "token", "--help"},
	"config-token-new":    {"config", "token", "new", "--help"},
	"config-token-list":   {"config", "token", "list", "--help"},
	"config-token-revoke": {"config", "token", "revoke", "--help"},

	"topic-batch":       {"help", "batch"},
	"topic-hold":        {"help", "hold"},
	"topic-environment": {"help", "environment"},
	"topic-exit-codes":  {"help", "exit-codes"},
	"topic-failover":    {"help", "failover"},
	"topic-filter":      {"help", "filter"},
	"topic-gateway":     {"help", "gateway"},
	"topic-limits":      {"help", "limits"},
	"topic-measuring":   {"help", "measuring"},
	"topic-retries":     {"help", "retries"},
	"topic-storage":     {"help", "storage"},
}

// TestGoldenHelp holds each help page to its golden file, and to a width that suits a wide terminal.
func TestGoldenHelp(t *testing.T) {
	for name, args := range helpPages {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := run(t, nil, args...)
			if code != 0 || stderr != "" {
				t.Fatalf("exit code %d, stderr %q", code, stderr)
			}
			for _, line := range strings.Split(stdout, "\n") {
				if len([]rune(line)) > 120 {
					t.Errorf("%d columns: %s", len([]rune(line)), line)
				}
			}
			golden(t, filepath.Join("..", "testdata", "golden", "help", name+".txt"), stdout)
		})
	}
}

// golden compares got with a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if got != string(want) {
		t.Errorf("%s is not current (go test ./cmd -run Golden -update); got:\n%s", path, got)
	}
}

// run runs the whole program in this process, with nothing on standard input and no environment but env.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cmd.Run(context.Background(), args, testEnv(env, &out, &errs))
	return code, out.String(), errs.String()
}

// testEnv is an environment of a test's own, in which waiting takes no time.
func testEnv(env map[string]string, out, errs *bytes.Buffer) cmd.Env {
	e := cmd.SystemEnv()
	e.Stdin, e.Stdout, e.Stderr = strings.NewReader(""), out, errs
	e.Lookup = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	e.Clock = &storyClock{waits: os.DevNull}
	e.Random = func() float64 { return 0.5 }
	return e
}
