package cmd_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

// TestCtrlBreak ends a call and a measurement from the console, as Ctrl-C does. The call reports that it may have been
// billed; the measurement reports its results so far.
func TestCtrlBreak(t *testing.T) {
	program, err := exec.LookPath("ferry-real")
	check(t, err)
	s := serve(t, nil)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"ask", "-n", s.URL + "?stall", "hello"}, "may have been carried out and billed"},
		{[]string{"bench", "-r", "100000", s.URL + "?latency=20ms"}, "success"},
	} {
		var said bytes.Buffer
		c := exec.Command(program, test.args...)
		c.Env = append(os.Environ(), "HOME="+t.TempDir(), "FERRY_KEY="+canaryHeader)
		c.Stdout, c.Stderr = &said, &said
		c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
		before := s.count()
		check(t, c.Start())
		eventually(t, "a request", func() bool { return s.count() > before })
		if err := windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(c.Process.Pid)); err != nil {
			t.Error(err)
			_ = c.Process.Kill()
		}
		_ = c.Wait()
		equal(t, "exit code", c.ProcessState.ExitCode(), 130)
		contains(t, "what it says", said.String(), test.want)
	}
}
