package transport

import (
	"errors"
	"os"
	"syscall"
	"time"

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

// readNow reads what is there. It waits a millisecond: here a deadline is the only way not to wait for long.
func (s *socket) readNow(p []byte) (int, error) {
	if s.raw == nil {
		return 0, nothingYet{}
	}
	if err := s.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	clear(p) // TLS has decrypted the last answer there
	n, err := s.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nothingYet{}
	}
	if reset := s.SetReadDeadline(time.Time{}); reset != nil && err == nil {
		err = reset
	}
	return n, err
}
