//go:build !windows

package cmd_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAuditSignal stops an ask and a stream in the middle: ferry dies of the signal, and its line is in the log.
func TestAuditSignal(t *testing.T) {
	for sent, exit := range map[syscall.Signal]string{syscall.SIGINT: `"exit":130`, syscall.SIGTERM: `"exit":143`} {
		for _, command := range []string{"ask", "stream"} {
			dir := t.TempDir()
			config := filepath.Join(dir, "config.yaml")
			write(t, config, "audit: {file: audit.jsonl}\n")
			c := realFerry(t, command, "-v", "-n", "demo:?stall", "hello")
			c.Env = append(c.Env, "FERRY_CONFIG="+config)
			rest := stopInCall(t, c, sent)
			var ended *exec.ExitError
			if err := c.Wait(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != sent {
				t.Errorf("%s: ended with %v, want killed by %s: %s", command, err, sent, rest)
			}
			log, _ := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
			if !strings.Contains(string(log), exit) || strings.Count(string(log), "\n") != 1 || !strings.Contains(string(log), `"class":"cancelled"`) {
				t.Errorf("%s stopped by %s: the log has %q", command, sent, log)
			}
		}
	}
}
