//go:build !windows

package cmd_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOfficialSDKs lets the official JavaScript SDKs of two providers, as real clients, talk to `ferry demo`: what they
// take for an answer, an error and a stream is what the demo node must speak.
func TestOfficialSDKs(t *testing.T) {
	sdk := filepath.Join("..", "testdata", "sdk")
	node, err := exec.LookPath("node")
	if err != nil {
		needed(t, "node, to run the official SDKs")
	}
	if _, err := os.Stat(filepath.Join(sdk, "node_modules", "@anthropic-ai", "sdk")); err != nil {
		needed(t, "the official SDKs (npm ci in testdata/sdk)")
	}
	demo := realFerry(t, "demo", "-q", "--listen", "127.0.0.1:0")
	stdout, err := demo.StdoutPipe()
	check(t, err)
	check(t, demo.Start())
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		_ = demo.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	check(t, err)
	clients := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=tap", "sdk.test.mjs")
	clients.Dir = sdk
	clients.Env = append(os.Environ(), "FERRY_DEMO_URL="+strings.TrimSpace(address))
	out, err := clients.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "# pass ") || strings.HasPrefix(line, "# fail ") {
			t.Log(line)
		}
	}
	if !strings.Contains(string(out), "\n# fail 0\n") || strings.Contains(string(out), "\n# pass 0\n") {
		t.Errorf("no test passed:\n%s", out)
	}
}

// needed skips a test by the name of what it lacks. Where everything is to be there it fails instead: a skip that
// nobody sees is a check that nobody makes.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}
