//go:build linux || darwin

package hold

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported reports whether this system has what holders need: sockets with a mode and a known peer.
const Supported = true

// detach separates the command from this process: the command gets its own session without a terminal, and inherits
// none of the descriptors that this process inherited. If it inherited a pipe, the pipe would stay open until the
// holder ends.
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

// private runs listen with a umask that makes its files accessible only to this user from the start.
func private(listen func() error) error {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	return listen()
}
