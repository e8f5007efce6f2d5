//go:build !windows

package cmd_test

import (
	"bytes"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// findProgram gives the path of a server, also where Debian puts it.
func findProgram(t *testing.T, name string) string {
	t.Helper()
	for _, folder := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(folder + name); err == nil {
			return path
		}
	}
	needed(t, name+", a real server to go through")
	return ""
}

// runServer runs a server until the test ends, and waits until it listens.
func runServer(t *testing.T, process *exec.Cmd, address string) {
	t.Helper()
	var said bytes.Buffer
	process.Stdout, process.Stderr = &said, &said
	process.WaitDelay = 5 * time.Second
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its helpers end with it
	check(t, process.Start())
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL) // after SIGTERM some take seconds to end
		<-ended
		if t.Failed() {
			t.Logf("%s said: %s", process.Path, said.Bytes())
		}
	})
	deadline := time.Now().Add(testTimeout)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", process.Path, err, said.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer", process.Path)
		}
	}
}
