//go:build unix

package transport

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// resets are the errors of a connection that the other side has closed.
var resets = []error{syscall.EPIPE, syscall.ECONNRESET}

// timedOut is the error of a connection whose packets were not acknowledged.
const timedOut = syscall.ETIMEDOUT

// portable has nothing to do: the names of this system are the ones that ferry uses.
func portable(err error) error { return err }

// readNow reads what is there without waiting for more.
func (s *socket) readNow(p []byte) (n int, err error) {
	if s.raw == nil {
		return 0, nothingYet{}
	}
	clear(p) // TLS has decrypted the last answer there
	failed := s.raw.Read(func(fd uintptr) bool {
		// Not unix.Read: the race detector takes a read by package syscall for what follows package net's write.
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
