//go:build unix

package config

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"ferry/pkg/state"
)

// ownGroup makes the command start in a new process group, and its end kill the complete group.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

// checkProgram returns an error if path cannot be run.
func checkProgram(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return state.StripPath(err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return fs.ErrPermission
	}
	return nil
}
