//go:build !unix

package transport

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// resets are the errors of a connection that the other side has closed. Windows has its own.
var resets = []error{syscall.EPIPE, syscall.ECONNRESET, syscall.WSAECONNABORTED, syscall.WSAECONNRESET}

// readNow reads what is there. It waits a millisecond: here a deadline is the only way not to wait for long.
func (s *socket) readNow(p []byte) (int, error) {
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
