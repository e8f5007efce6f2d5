package transport

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// resets are the errors of a connection that the other side has closed. Windows has its own, beside those that ferry makes.
var resets = []error{syscall.EPIPE, syscall.ECONNRESET, windows.WSAECONNABORTED, windows.WSAECONNRESET}

// timedOut is the error of a connection whose packets were not acknowledged.
const timedOut = windows.WSAETIMEDOUT

// portable is an error of the system by the name that it has on other systems, and with their words: Go knows those numbers on
// Windows too, and its network never returns them.
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

// arrived reports whether bytes are there to be read.
func (s *socket) arrived() bool {
	const bytesToRead = 0x4004667f // FIONREAD
	var bytes, size uint32
	_ = s.raw.Control(func(socket uintptr) {
		_ = windows.WSAIoctl(windows.Handle(socket), bytesToRead, nil, 0, (*byte)(unsafe.Pointer(&bytes)), 4, &size, nil, 0)
	})
	return bytes > 0
}

// readNow reads what is there. For an end of the connection it waits a millisecond, by a deadline, which on a busy machine can
// be over before the read begins: so bytes are looked for before.
func (s *socket) readNow(p []byte) (int, error) {
	if s.raw == nil {
		return 0, nothingYet{}
	}
	clear(p) // TLS has decrypted the last answer there
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
