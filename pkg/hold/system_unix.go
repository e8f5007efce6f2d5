//go:build linux || darwin

package hold

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported says whether this system has what holders need: sockets with a mode and a known peer.
const Supported = true

// detach makes the command a process that nothing of this one's surroundings reaches: a session of its own, without a
// terminal, and none of the descriptors that this process was given open. A pipe that is one of those would not end
// before the holder does.
func detach(c *exec.Cmd) error {
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Dir = "/"
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		return err
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// private runs what makes files that are to be this user's alone from their first moment.
func private(listen func() error) error {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	return listen()
}
