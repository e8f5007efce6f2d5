//go:build !unix

package transport

import "net"

// Polled gives the connection as it is.
func Polled(conn net.Conn) net.Conn { return conn }

// Quiet reports true: here only a read finds bytes that wait.
func Quiet(net.Conn) bool { return true }

// unacknowledged is 0: it is not known here.
func unacknowledged(net.Conn) int { return 0 }

// Await does not wait.
func Await(net.Conn) {}
