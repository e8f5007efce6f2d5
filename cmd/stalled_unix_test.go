//go:build !windows

package cmd_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTimeoutOfFIFO holds --timeout to the opening of a file that nothing writes to. Without that the test would hang.
func TestTimeoutOfFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	check(t, syscall.Mkfifo(fifo, 0o600))
	for _, args := range [][]string{{"-f", fifo}, {"--schema", fifo, "hi"}} {
		c := realFerry(t, append([]string{"ask", "--no-stdin", "--timeout", "1s", "-n", "demo"}, args...)...)
		said, err := c.CombinedOutput()
		if c.ProcessState.ExitCode() != 1 || !strings.Contains(string(said), "did not end within the timeout of 1s") ||
			!strings.Contains(string(said), "nothing was sent") {
			t.Errorf("%v: %v: %s", args, err, said)
		}
	}
}

// TestTimeoutOfStalledReader holds --timeout to the printing: a reader that takes nothing ends the call, and the other
// stream says so. Without that the test would hang.
func TestTimeoutOfStalledReader(t *testing.T) {
	long(t, "ten seconds, of which a busy machine may need some for the answer")
	for _, verb := range []string{"ask", "stream"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe() // no one reads it
			check(t, err)
			c := realFerry(t, verb, "--no-stdin", "--timeout", "10s", "-n", "demo:?big=300000", "hi")
			var stderr bytes.Buffer
			c.Stdout, c.Stderr = writer, &stderr
			err = c.Run()
			writer.Close()
			reader.Close()
			if c.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "cannot write to standard output: its reader took nothing more") {
				t.Errorf("%v: %s", err, &stderr)
			}
		})
	}
}
