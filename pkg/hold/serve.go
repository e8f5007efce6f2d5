package hold

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"ferry/pkg/transport"
)

// Clock returns the time and waits.
type Clock interface {
	Now() time.Time
	// Sleep waits until d is over or ctx ends. If ctx ends, it returns the error of ctx.
	Sleep(ctx context.Context, d time.Duration) error
}

// errOrder reports that the standard input of a holder has no valid order.
var errOrder = errors.New("only ferry itself starts a holder")

// Serve runs a holder. It reads from input what a Launch wrote, listens, reports that to the process that waits for it,
// and forwards requests until ctx ends, its idle time is over, it is told to end, its socket is gone, or program, its
// own file, has been replaced.
func Serve(ctx context.Context, input io.Reader, program string, clock Clock) error {
	var o order
	if json.NewDecoder(io.LimitReader(input, 1<<20)).Decode(&o) != nil || filepath.Ext(o.Path) != socketSuffix {
		return errOrder
	}
	options, err := o.options()
	if err != nil {
		return err
	}
	upstream, err := transport.New(options)
	if err != nil {
		return err
	}
	// A holder does little work, and there can be many: low memory use matters more than processor time.
	debug.SetGCPercent(25)
	listener, err := listen(o.Path)
	if err != nil {
		return err
	}
	defer listener.Close()
	started := programID(program)
	h := newHolder(o, options.Target, upstream, clock)
	h.stillCurrent = func() bool { return sameFile(listener.made, o.Path) && programID(program) == started }
	ready := os.NewFile(readyFD, "ready")
	_, _ = ready.Write([]byte{1}) // the process that started it may have ended
	ready.Close()
	return h.serve(ctx, listener)
}

// socket is a listening socket and its file.
type socket struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// listen replaces a stale socket by a new one. Only the process that has the start lock calls it.
func listen(path string) (*socket, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var l *net.UnixListener
	err := private(func() (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // by then the name may belong to another socket
	made, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &socket{l, path, made}, nil
}

// Accept returns the next connection from this user.
func (s *socket) Accept() (net.Conn, error) {
	for {
		conn, err := s.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if checkPeer(conn) == nil {
			return conn, nil
		}
		conn.Close()
	}
}

// Close stops listening, and removes the name if it still refers to this socket.
func (s *socket) Close() error {
	if sameFile(s.made, s.path) {
		_ = os.Remove(s.path)
	}
	return s.UnixListener.Close()
}

func sameFile(made os.FileInfo, path string) bool {
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(made, now)
}
