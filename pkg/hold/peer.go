package hold

import (
	"fmt"
	"net"
	"os"
)

// checkPeer fails unless the process on the other side is this user's.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var user uint32
	var failed error
	if err := raw.Control(func(fd uintptr) { user, failed = peerUser(fd) }); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if own := uint32(os.Geteuid()); user != own {
		return fmt.Errorf("the process behind the socket is user %d's", user)
	}
	return nil
}
