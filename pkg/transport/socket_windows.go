package transport

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// resets are the errors of a connection that the peer has closed. Windows has its own, in addition to those that
// ferry makes.
var resets = []error{syscall.EPIPE, syscall.ECONNRESET, windows.WSAECONNABORTED, windows.WSAECONNRESET}

// timedOut is the error of a connection whose packets were not acknowledged.
const timedOut = windows.WSAETIMEDOUT

// portable maps a Windows network error to the error and text of the other systems. Go defines those error numbers on
// Windows too, but its network functions never return them.
func portable(err error) error {
	switch err {
	case windows.WSAECONNRESET, windows.WSAECONNABORTED:
		return syscall.ECONNRESET
	case windows.WSAECONNREFUSED:
		return syscall.ECONNREFUSED
	case windows.WSAETIMEDOUT:
		return syscall.ETIMEDOUT
	case windows.WSAENETUNREACH:
		return syscall.ENETUNREACH
	case windows.WSAEHOSTUNREACH:
		return syscall.EHOSTUNREACH
	case windows.WSAEADDRINUSE:
		return syscall.EADDRINUSE
	case windows.WSAEADDRNOTAVAIL:
		return syscall.EADDRNOTAVAIL
	case windows.WSAEACCES:
		return syscall.EACCES
	}
	return err
}

// arrived reports whether there are bytes to read.
func (s *socket) arrived() bool {
	const bytesToRead = 0x4004667f // FIONREAD
	var bytes, size uint32
	_ = s.raw.Control(func(socket uintptr) {
		_ = windows.WSAIoctl(windows.Handle(socket), bytesToRead, nil, 0, (*byte)(unsafe.Pointer(&bytes)), 4, &size, nil, 0)
	})
	return bytes > 0
}

// readNow reads the bytes that have arrived. To notice the end of the connection it waits a millisecond, with a
// deadline. On a busy machine the deadline can pass before the read begins, so arrived is checked first.
func (s *socket) readNow(p []byte) (int, error) {
	if s.raw == nil {
		return 0, nothingYet{}
	}
	clear(p) // TLS decrypted the last response into it
	if s.arrived() {
		return s.Conn.Read(p)
	}
	if err := s.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nothingYet{}
	}
	if reset := s.SetReadDeadline(time.Time{}); reset != nil && err == nil {
		err = reset
	}
	return n, err
}
