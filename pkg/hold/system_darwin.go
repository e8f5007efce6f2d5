package hold

import (
	"os"

	"golang.org/x/sys/unix"
)

// peerUser returns the user of the process on the other side of a socket.
func peerUser(fd uintptr) (uint32, error) {
	peer, err := unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	return peer.Uid, nil
}
