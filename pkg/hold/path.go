package hold

import (
	"net"
	"syscall"
)

// onTCP runs f on the TCP connection under a connection, if there is one to be found: that to a SOCKS proxy is not.
func onTCP(conn net.Conn, f func(fd int)) {
	for {
		if raw, ok := conn.(syscall.Conn); ok {
			if control, err := raw.SyscallConn(); err == nil {
				_ = control.Control(func(fd uintptr) { f(int(fd)) }) // of a closed one there is nothing to know
			}
			return
		}
		under, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		conn = under.NetConn()
	}
}
