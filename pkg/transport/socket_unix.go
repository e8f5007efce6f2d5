//go:build unix

package transport

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// resets are the errors of a connection that the peer has closed.
var resets = []error{syscall.EPIPE, syscall.ECONNRESET}

// timedOut is the error of a connection whose packets were not acknowledged.
const timedOut = syscall.ETIMEDOUT

// portable returns err unchanged: ferry uses the names of this system.
func portable(err error) error { return err }

// readNow reads the bytes that have arrived, without blocking.
func (s *socket) readNow(p []byte) (n int, err error) {
	if s.raw == nil {
		return 0, nothingYet{}
	}
	clear(p) // TLS decrypted the last response into it
	failed := s.raw.Read(func(fd uintptr) bool {
		// Not unix.Read: for the race detector, only a read by package syscall is ordered after a write by package
		// net.
		for n, err = syscall.Read(int(fd), p); err == unix.EINTR; {
			n, err = syscall.Read(int(fd), p)
		}
		return true
	})
	switch {
	case failed != nil:
		return 0, failed
	case err == unix.EAGAIN:
		return 0, nothingYet{}
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
