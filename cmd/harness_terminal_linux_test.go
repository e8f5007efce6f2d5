package cmd_test

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// otherSide unlocks the other side of a pseudo-terminal and returns its path.
func otherSide(master int) (path string, err error) {
	number, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	}
	return fmt.Sprintf("/dev/pts/%d", number), err
}
