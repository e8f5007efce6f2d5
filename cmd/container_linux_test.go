package cmd_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFirstProcessOfAContainer sends signals to a ferry that is the first process of a PID namespace, which the kernel
// protects from its own signals. The exit code shows the signal and never means that nothing was sent.
func TestFirstProcessOfAContainer(t *testing.T) {
	in, out := batchFiles(t, 1000)
	for name, c := range map[string]struct {
		args []string
		sent syscall.Signal
		code int
		said string
	}{
		"nothing to clean up": {[]string{"ask", "-v", "-n", "demo:?stall", "hello"}, syscall.SIGTERM, 143, ""},
		"an open stream":      {[]string{"stream", "-v", "-n", "demo:?stall", "hello"}, syscall.SIGINT, 130, "stopped by Ctrl-C (SIGINT)"},
		"a batch": {[]string{"ask", "-c", "1", "--batch", in, "--out", out, "-n", "demo:?latency=20ms"}, syscall.SIGTERM, 143,
			"not sent, stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			p := realFerry(t, c.args...)
			p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
			if me := os.Geteuid(); me != 0 {
				p.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
				p.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: me, HostID: me, Size: 1}}
			}
			said := p.stderr()
			if err := p.Start(); err != nil {
				skipMissing(t, "PID namespaces: "+err.Error())
			}
			if name == "a batch" {
				eventually(t, "an answer", func() bool { found, _ := filepath.Glob(out); return len(found) > 0 })
			} else {
				awaitSent(t, said)
			}
			p.send(c.sent)
			rest := readAll(bufio.NewReader(said))
			r := p.wait()
			errorIf(t, r.code != c.code || !strings.Contains(rest, c.said), "exit code %d, want %d, and %q in %q", r.code, c.code, c.said, rest)
		})
	}
}
