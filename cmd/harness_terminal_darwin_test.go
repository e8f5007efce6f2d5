package cmd_test

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// otherSide unlocks the other side of a pseudo-terminal and returns its path.
func otherSide(master int) (path string, err error) {
	for _, request := range []uint{unix.TIOCPTYGRANT, unix.TIOCPTYUNLK} {
		if err := unix.IoctlSetInt(master, request, 0); err != nil {
			return "", err
		}
	}
	var name [128]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCPTYGNAME, uintptr(unsafe.Pointer(&name))); errno != 0 {
		return "", errno
	}
	return unix.ByteSliceToString(name[:]), nil
}
