package cmd_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"ferry/cmd"

	"golang.org/x/sys/windows"
)

// limitedMain is Main: Windows has no limit on a file's size.
func limitedMain() int { return cmd.Main() }

// TestNoHolders checks that without holders the flag is refused, the file's setting gets a note, and the list says so.
func TestNoHolders(t *testing.T) {
	env := configure(t, serve(t, nil).URL, "hold: 5m")
	ferry(t, env, "ask", "-n", "n", "hello").want(0, "hello", "ferry: hold is off: windows has no holders\n")
	ferry(t, env, "ask", "--hold", "1m", "-n", "n", "hello").fails(2, "Error: --hold: windows has no holders\nhint: leave it out")
	ferry(t, env, "config", "hold").exactly(0, "", "ferry: windows has no holders\n")
}

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
