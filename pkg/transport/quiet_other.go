//go:build !unix

package transport

import "net"

// Polled gives the connection as it is.
func Polled(conn net.Conn) net.Conn { return conn }

// Quiet reports true: here only a read finds bytes that wait.
func Quiet(net.Conn) bool { return true }

// Await does not wait.
func Await(net.Conn) {}
