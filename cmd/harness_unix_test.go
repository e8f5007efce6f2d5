//go:build !windows

package cmd_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferry/cmd"
)

// fileLimit names, in the environment of a real ferry, the most bytes that a file of its may have.
const fileLimit = "FERRY_TEST_FILE_LIMIT"

// openFilesLimit names, likewise, the most files that it may have open.
const openFilesLimit = "FERRY_TEST_OPEN_FILES"

// faults, likewise, lets a goroutine panic at SIGUSR1, and makes the runtime give up at SIGUSR2.
const faults = "FERRY_TEST_FAULTS"

// Files that others can write are refused: the tests' own are closed to them, whatever the caller's umask.
func init() { syscall.Umask(0o022) }

// limitedMain is Main under these limits.
func limitedMain() int {
	if most, err := strconv.ParseUint(os.Getenv(openFilesLimit), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	if most, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	if os.Getenv(faults) != "" {
		wanted := make(chan os.Signal, 1)
		signal.Notify(wanted, syscall.SIGUSR1, syscall.SIGUSR2)
		go func() {
			if <-wanted == syscall.SIGUSR1 {
				panic("a fault of a library")
			}
			new(sync.Mutex).Unlock() // nothing recovers from that
		}()
	}
	return cmd.Main()
}

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
